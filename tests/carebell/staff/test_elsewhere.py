"""Signing in at the organisation's provider: who somebody is here, and what is remembered while they are away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from carebell.staff.elsewhere import ProviderIdentity
from portal.people import Browser, NotDone, SignedIn, SignInRefused
from tests.carebell.staff.clinic_staff import DESK, PASSWORD, ClinicStaff

ISSUER = "https://login.lamna.example/v2.0"
SETTINGS = {
    "sign_in": {
        "oidc": {
            "name": "Lamna sign-in",
            "issuer": ISSUER,
            "client_id": "0000",
            "client_secret_file": "oidc.secret",
            "roles": {
                "cb-admin": "administrator",
                "cb-analyst": "analyst",
                "cb-support": "support",
                "cb-all": "support",
            },
        }
    }
}
DANA = ProviderIdentity(
    issuer=ISSUER, subject="s-1", login="Dana.R@lamna.example", name="Dana R.", roles=("cb-support", "x")
)


def _in(outcome: SignedIn | SignInRefused) -> SignedIn:
    assert isinstance(outcome, SignedIn)
    return outcome


def test_a_person_is_added_at_the_first_sign_in_and_found_at_the_next(both: ClinicStaff) -> None:
    both.use(**SETTINGS)
    first = _in(both.elsewhere.sign_in(DANA, DESK)).session.person
    assert (first.login, first.name, first.role) == ("dana.r@lamna.example", "Dana R.", "support")
    assert (first.has_password, first.signs_in_elsewhere) == (False, True)
    renamed = replace(DANA, login="dana.smith", name="Dana\u202e  Smith")
    second = _in(both.elsewhere.sign_in(renamed, DESK)).session.person
    assert (second.id, second.login, second.name) == (first.id, first.login, "Dana Smith")
    assert both.audited()[-1] == ("portal:dana.r@lamna.example", "sign_in", "dana.r@lamna.example", ISSUER)
    assert len(both.people.people()) == 1


def test_the_subject_is_the_issuers(staff: ClinicStaff) -> None:
    staff.use(**SETTINGS)
    first = _in(staff.elsewhere.sign_in(DANA, DESK)).session.person
    other = replace(DANA, issuer="https://other.example")
    second = _in(staff.elsewhere.sign_in(other, DESK)).session.person
    assert first.id != second.id
    assert second.login.startswith("dana.r@lamna.example-")


def test_a_user_name_of_somebody_with_a_password_is_not_taken_over(staff: ClinicStaff) -> None:
    """Whoever may choose a name at the provider does not become Kim, the administrator, by it."""
    staff.use(**SETTINGS)
    kim = staff.add()
    stranger = _in(staff.elsewhere.sign_in(replace(DANA, login="Kim"), DESK)).session.person
    assert (stranger.id != kim.session.person.id, stranger.role) == (True, "support")
    assert stranger.login.startswith("kim-")
    assert staff.people.sign_in(stranger.login, PASSWORD, DESK) == SignInRefused(reason="wrong")


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        (("cb-support",), "support"),
        (("cb-support", "cb-admin", "cb-analyst"), "administrator"),
        (("cb-analyst", "cb-support"), "analyst"),
        (("other", "cb-all"), "support"),
    ],
)
def test_the_claim_decides_the_role(staff: ClinicStaff, roles: tuple[str, ...], role: str) -> None:
    staff.use(**SETTINGS)
    assert _in(staff.elsewhere.sign_in(replace(DANA, roles=roles), DESK)).session.person.role == role


@pytest.mark.parametrize("roles", [(), ("other",), ("administrator",), ("CB-ADMIN",)])
def test_without_a_role_nobody_comes_in_or_is_added(staff: ClinicStaff, roles: tuple[str, ...]) -> None:
    staff.use(**SETTINGS)
    assert staff.elsewhere.sign_in(replace(DANA, roles=roles), DESK) == SignInRefused(reason="no_role")
    assert staff.people.people() == ()
    assert staff.audited() == [("portal:nobody", "sign_in.fail", "nobody", "no role")]


def test_a_role_that_changed_there_ends_the_sessions_of_before(staff: ClinicStaff) -> None:
    staff.use(**SETTINGS)
    before = _in(staff.elsewhere.sign_in(replace(DANA, roles=("cb-admin",)), DESK))
    after = _in(staff.elsewhere.sign_in(DANA, DESK))
    assert (after.session.person.role, staff.people.session(before.token)) == ("support", None)
    assert staff.people.session(after.token) is not None
    assert ("portal:dana.r@lamna.example", "person.role", "dana.r@lamna.example", "support") in staff.audited()


def test_an_analyst_keeps_the_environments_that_were_given_here(staff: ClinicStaff) -> None:
    staff.use(**SETTINGS)
    kim, analyst = staff.add(), replace(DANA, roles=("cb-analyst",))
    dana = _in(staff.elsewhere.sign_in(analyst, DESK)).session.person
    assert dana.environments == ()
    staff.people.change_role(kim.session, dana.id, "analyst", ("north",), DESK)
    assert _in(staff.elsewhere.sign_in(analyst, DESK)).session.person.environments == ("north",)


def test_who_is_switched_off_here_stays_so(staff: ClinicStaff) -> None:
    staff.use(**SETTINGS)
    kim = staff.add()
    dana = _in(staff.elsewhere.sign_in(DANA, DESK))
    staff.people.switch_off(kim.session, dana.session.person.id, DESK)
    assert staff.people.session(dana.token) is None
    assert staff.elsewhere.sign_in(DANA, DESK) == SignInRefused(reason="switched_off")


def test_nobody_from_elsewhere_gets_a_password_here(staff: ClinicStaff) -> None:
    staff.use(**SETTINGS)
    kim, dana = staff.add(), _in(staff.elsewhere.sign_in(DANA, DESK))
    refused = NotDone(reason="other_sign_in")
    assert staff.people.invite_again(kim.session, dana.session.person.id, DESK) == refused
    assert staff.people.change_password(dana.session, "", "find nine violet eggs", DESK) == refused
    assert staff.people.begin_second_factor(dana.session, DESK) == refused
    assert staff.people.confirm_again(dana.session, "", DESK) == SignInRefused(reason="unavailable")


def test_of_two_first_sign_ins_at_once_there_is_one_person(both: ClinicStaff) -> None:
    both.use(**SETTINGS)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: _in(both.elsewhere.sign_in(DANA, DESK)), range(4)))
    assert len({signed_in.session.person.id for signed_in in done}) == 1
    assert len(both.people.people()) == 1


@pytest.mark.parametrize("login", ["", "..", "<script>", "ünï", "a" * 300, "x\0y"])
def test_any_name_there_makes_a_user_name_here(staff: ClinicStaff, login: str) -> None:
    staff.use(**SETTINGS)
    person = _in(staff.elsewhere.sign_in(replace(DANA, login=login, name=""), DESK)).session.person
    assert staff.people.person(person.id) == person
    assert person.name == person.login
    assert 2 <= len(person.login) <= 64


# While somebody is away


def test_what_was_left_is_taken_once_by_the_same_browser(both: ClinicStaff) -> None:
    token = both.elsewhere.leave('{"state": "s"}', DESK)
    assert both.people.session(token) is None
    assert both.elsewhere.come_back("f" * 64) is None
    assert both.elsewhere.come_back(token) == '{"state": "s"}'
    assert both.elsewhere.come_back(token) is None


def test_of_two_callbacks_at_once_one_counts(both: ClinicStaff) -> None:
    token = both.elsewhere.leave("{}", DESK)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(str, pool.map(lambda _: both.elsewhere.come_back(token), range(4)))) == ["None"] * 3 + [
            "{}"
        ]


def test_nobody_is_away_for_longer_than_ten_minutes(staff: ClinicStaff) -> None:
    token = staff.elsewhere.leave("{}", Browser(address="192.0.2.1"))
    staff.after(minutes=10)
    assert staff.elsewhere.come_back(token) is None


def test_who_is_signed_in_proves_access_to_an_ehr(both: ClinicStaff) -> None:
    done = both.add()
    assert both.elsewhere.take_flow(done.session.key) is None
    assert both.elsewhere.keep_flow(done.session.key, "first")
    assert both.elsewhere.keep_flow(done.session.key, "second")
    assert both.elsewhere.take_flow(done.session.key) == "second"
    assert both.elsewhere.take_flow(done.session.key) is None
    assert both.people.session(done.token) is not None
    both.people.sign_out(done.token)
    assert not both.elsewhere.keep_flow(done.session.key, "third")
