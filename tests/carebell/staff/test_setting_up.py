"""Set-up links: what they ask for, what they refuse, and that a lost one is void."""

from __future__ import annotations

import pytest
from pyotp import TOTP

from carebell.staff.administration import Administration
from portal.people import CodeNeeded, Invitation, NotDone, SetUpRefused, SignedIn, SignInRefused
from tests.carebell.staff.clinic_staff import BROAD, CLI, DESK, NOW, PASSWORD, ClinicStaff


def test_a_link_shows_what_is_set_up(staff: ClinicStaff) -> None:
    offered = staff.people.set_up_of(staff.invite("dana", "analyst", ("north",)))
    assert offered is not None
    assert (offered.person.login, offered.person.role, offered.person.environments) == ("dana", "analyst", ("north",))
    assert (offered.shortest, offered.ends_at) == (8, staff.now.replace(day=2))
    assert offered.second_factor is not None
    assert offered.second_factor.uri.startswith("otpauth://totp/Carebell%20Lamna%20Healthcare:dana?secret=")
    assert offered.person.invited_until == offered.ends_at
    plain = staff.use(**BROAD).people.set_up_of(staff.invite("sam", "support"))
    assert plain is not None
    assert (plain.second_factor, plain.shortest) == (None, 15)


@pytest.mark.parametrize(
    ("password", "right_code", "refused"),
    [
        ("short", True, SetUpRefused(password="short")),
        ("sunshine1", True, SetUpRefused(password="common")),
        (PASSWORD, False, SetUpRefused(code=True)),
        ("dana-dana", False, SetUpRefused(password="login", code=True)),
        ("Lamna26!", True, SetUpRefused(password="organization")),
    ],
)
def test_what_is_wrong_uses_nothing_up(
    staff: ClinicStaff, password: str, right_code: bool, refused: SetUpRefused
) -> None:
    token = staff.invite("dana", "support")
    offered = staff.people.set_up_of(token)
    assert offered is not None
    assert offered.second_factor is not None
    code = TOTP(offered.second_factor.secret.replace(" ", "")).at(staff.now)
    assert staff.people.set_up(token, password, code if right_code else "000000", DESK) == refused
    assert not refused.is_link_void
    assert isinstance(staff.people.set_up(token, PASSWORD, code, DESK), SignedIn)


def test_a_link_is_good_for_a_day(staff: ClinicStaff) -> None:
    token = staff.use(**BROAD).invite()
    staff.after(hours=23, minutes=59, seconds=59)
    assert staff.people.set_up_of(token) is not None
    staff.after(seconds=1)
    assert staff.people.set_up_of(token) is None
    assert staff.people.set_up(token, PASSWORD, "", DESK).is_link_void  # type: ignore[union-attr]  # the test's claim


def test_a_link_of_somebody_who_was_switched_off_is_void(staff: ClinicStaff) -> None:
    kim = staff.add()
    token = staff.invite("sam", "support")
    sam = next(person for person in staff.people.people() if person.login == "sam")
    staff.people.switch_off(kim.session, sam.id, DESK)
    staff.people.switch_on(kim.session, sam.id, DESK)
    assert staff.people.set_up_of(token) is None
    assert staff.people.set_up(token, PASSWORD, "", DESK) == SetUpRefused()


def test_a_lost_app_is_replaced_by_a_new_link(staff: ClinicStaff) -> None:
    """The password and the app of before count until it is used, and never after; open sessions end."""
    kim, sam = staff.add(), staff.add("sam", "support")
    first = staff.people.invite_again(kim.session, sam.session.person.id, DESK)
    second = staff.people.invite_again(kim.session, sam.session.person.id, DESK)
    assert isinstance(first, Invitation)
    assert isinstance(second, Invitation)
    assert staff.people.set_up_of(first.token) is None, "a newer one makes it void"
    assert isinstance(staff.people.sign_in("sam", PASSWORD, DESK), CodeNeeded)
    offered = staff.people.set_up_of(second.token)
    assert offered is not None
    assert offered.second_factor is not None
    old_app, new_app = staff.secrets["sam"], offered.second_factor.secret.replace(" ", "")
    assert isinstance(
        staff.people.set_up(second.token, "nine eggs are new", TOTP(new_app).at(staff.now), DESK), SignedIn
    )
    assert staff.people.session(sam.token) is None
    assert staff.people.sign_in("sam", PASSWORD, DESK) == SignInRefused(reason="wrong")
    staff.after(minutes=1)
    needed = staff.people.sign_in("sam", "nine eggs are new", DESK)
    assert isinstance(needed, CodeNeeded)
    assert isinstance(staff.people.check_code(needed.token, TOTP(old_app).at(staff.now), DESK), SignInRefused)
    assert isinstance(staff.people.check_code(needed.token, TOTP(new_app).at(staff.now), DESK), SignedIn)


def test_a_link_never_takes_a_second_factor_away(staff: ClinicStaff) -> None:
    sam = staff.add("sam", "support")
    staff.use(**BROAD)
    with staff.store.write() as conn:
        made = Administration(staff.context).invite_again(conn, CLI, sam.session.person.id)
    assert isinstance(made, Invitation)
    offered = staff.people.set_up_of(made.token)
    assert offered is not None
    assert offered.second_factor is not None
    assert staff.people.set_up(made.token, PASSWORD, "", DESK) == SetUpRefused(code=True)


def test_a_link_is_no_way_around_the_organisations_sign_in(staff: ClinicStaff) -> None:
    token = staff.invite("sam", "support")
    staff.use(sign_in={"local": {"enabled": False}})
    assert staff.people.set_up_of(token) is None
    assert staff.people.set_up(token, PASSWORD, "", DESK) == SetUpRefused()
    with staff.store.write() as conn:
        refused = Administration(staff.context).invite(conn, CLI, "lee", "Lee", "support", ())
    assert refused == NotDone(reason="other_sign_in")


def test_the_first_user_is_recorded(staff: ClinicStaff) -> None:
    staff.use(**BROAD).add()
    assert staff.audited() == [
        ("cli:ann", "person.invite", "kim", "administrator"),
        ("portal:kim", "person.set_up", "kim", "password"),
        ("portal:kim", "sign_in", "kim", "link"),
    ]
    assert staff.people.people()[0].created_at == NOW
