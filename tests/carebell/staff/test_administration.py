"""Administrators: what they do to people, and that nobody is left without one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from carebell.staff.people import StaffPeople
from portal.people import Invitation, NotDone, Person, Session, SignInRefused
from tests.carebell.staff.clinic_staff import BROAD, DESK, PASSWORD, ClinicStaff

Act = Callable[[StaffPeople, Session, str], Any]

ACTS: dict[str, Act] = {
    "invite": lambda people, by, _: people.invite(by, "lee", "Lee", "support", (), DESK),
    "invite again": lambda people, by, whom: people.invite_again(by, whom, DESK),
    "role": lambda people, by, whom: people.change_role(by, whom, "auditor", (), DESK),
    "switch off": lambda people, by, whom: people.switch_off(by, whom, DESK),
    "switch on": lambda people, by, whom: people.switch_on(by, whom, DESK),
    "sign out": lambda people, by, whom: people.sign_out_everywhere(by, whom, DESK),
    "unlock": lambda people, by, whom: people.unlock(by, whom, DESK),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_who_is_no_administrator_any_more_does_nothing(staff: ClinicStaff, act: Act) -> None:
    """The page let Ann through a moment ago; meanwhile Kim made her an auditor."""
    staff.use(**BROAD)
    kim, ann, sam = staff.add(), staff.add("ann"), staff.add("sam", "support")
    staff.people.change_role(kim.session, ann.session.person.id, "auditor", (), DESK)
    before = staff.people.people(), staff.audited()
    assert act(staff.people, ann.session, sam.session.person.id) == NotDone(reason="not_allowed")
    assert (staff.people.people(), staff.audited()) == before


@pytest.mark.parametrize("act", list(ACTS.values())[1:], ids=list(ACTS)[1:])
def test_somebody_who_is_not_there(staff: ClinicStaff, act: Act) -> None:
    assert act(staff.people, staff.use(**BROAD).add().session, "nobody") == NotDone(reason="unknown_person")


@pytest.mark.parametrize("act", [ACTS["role"], ACTS["switch off"]], ids=["role", "switch off"])
def test_the_last_administrator_stays(staff: ClinicStaff, act: Act) -> None:
    staff.use(**BROAD)
    kim = staff.add()
    kims_id = kim.session.person.id
    staff.add("sam", "support")
    staff.invite("ann")
    assert act(staff.people, kim.session, kims_id) == NotDone(reason="last_administrator"), "Ann cannot sign in yet"
    staff.add("lee")
    assert not isinstance(act(staff.people, kim.session, kims_id), NotDone)


@pytest.mark.parametrize("act", [ACTS["role"], ACTS["switch off"]], ids=["role", "switch off"])
def test_two_administrators_do_not_remove_each_other_at_once(both: ClinicStaff, act: Act) -> None:
    both.use(**BROAD)
    kim, ann = both.add(), both.add("ann")

    def remove(pair: tuple[Session, Session]) -> Any:
        return act(both.people, pair[0], pair[1].person.id)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(remove, [(kim.session, ann.session), (ann.session, kim.session)]))
    refusals = [outcome.reason for outcome in done if isinstance(outcome, NotDone)]
    assert refusals == ["not_allowed"]
    assert [person.role for person in both.people.people() if person.disabled_at is None].count("administrator") == 1


@pytest.mark.parametrize(
    ("login", "role", "environments", "reason"),
    [
        ("kim", "support", (), "login_taken"),
        ("KIM", "support", (), "login_taken"),
        ("k", "support", (), "login_unusable"),
        ("lee ann", "support", (), "login_unusable"),
        ("<b>", "support", (), "login_unusable"),
        ("x" * 65, "support", (), "login_unusable"),
        ("lee", "root", (), "role_unknown"),
        ("lee", "analyst", ("north", "west"), "environment_unknown"),
    ],
)
def test_who_cannot_be_invited(
    staff: ClinicStaff, login: str, role: str, environments: tuple[str, ...], reason: str
) -> None:
    by = staff.use(**BROAD).add().session
    outcome = staff.people.invite(by, login, "Lee", role, environments, DESK)
    assert isinstance(outcome, NotDone)
    assert outcome.reason == reason
    assert len(staff.people.people()) == 1


def test_an_invitation(staff: ClinicStaff) -> None:
    by = staff.use(**BROAD).add().session
    made = staff.people.invite(by, " Dana@Lamna ", " Dana   R. ", "analyst", ("south", "north"), DESK)
    assert isinstance(made, Invitation)
    assert (made.person.login, made.person.name, made.person.environments) == (
        "dana@lamna",
        "Dana R.",
        ("south", "north"),
    )
    assert staff.audited()[-1] == ("portal:kim", "person.invite", "dana@lamna", "analyst of south, north")
    sees_all = staff.people.invite(by, "sam", "", "support", ("north",), DESK)
    assert isinstance(sees_all, Invitation)
    assert (sees_all.person.name, sees_all.person.environments) == ("sam", ()), "environments are an analyst's"


def test_an_analyst_may_be_named_as_approver_before_and_after(staff: ClinicStaff) -> None:
    """Whoever is to approve an environment is invited before it is there, and sees it as soon as it is."""
    analyst = staff.use(**BROAD).add("dana", "analyst")
    assert staff.session(analyst.token).person.own_environments == ()
    staff.approvers = {"north": ("lee",), "south": (), "west": ("lee", "dana")}
    assert staff.session(analyst.token).person.own_environments == ("west",)
    assert staff.session(analyst.token).person.environments == ()


def test_a_role_and_its_environments_change(staff: ClinicStaff) -> None:
    by = staff.use(**BROAD).add().session
    dana = staff.add("dana", "analyst", ("north",))
    changed = staff.people.change_role(by, dana.session.person.id, "analyst", ("south",), DESK)
    assert isinstance(changed, Person)
    assert changed.environments == ("south",)
    assert staff.people.session(dana.token) is None
    again = staff.people.change_role(by, changed.id, "analyst", ("south",), DESK)
    assert again == staff.people.person(changed.id)
    entries = [entry for entry in staff.audited() if entry[1] == "person.role"]
    assert entries == [("portal:kim", "person.role", "dana", "analyst of south")], "nothing changed the second time"


def test_switched_off_and_on(staff: ClinicStaff) -> None:
    by = staff.use(**BROAD).add().session
    sam = staff.add("sam", "support").session.person.id
    off = staff.people.switch_off(by, sam, DESK)
    assert isinstance(off, Person)
    assert off.disabled_at == staff.now
    assert staff.people.switch_off(by, sam, DESK) == off
    assert staff.people.invite_again(by, sam, DESK) == NotDone(reason="is_disabled")
    assert isinstance(staff.people.sign_in("sam", PASSWORD, DESK), SignInRefused)
    on = staff.people.switch_on(by, sam, DESK)
    assert isinstance(on, Person)
    assert on.disabled_at is None
    assert staff.people.switch_on(by, sam, DESK) == on
    assert not isinstance(staff.people.sign_in("sam", PASSWORD, DESK), SignInRefused)
    acts = [entry[1] for entry in staff.audited()]
    assert (acts.count("person.disable"), acts.count("person.enable")) == (1, 1)


def test_signed_out_everywhere(staff: ClinicStaff) -> None:
    by = staff.use(**BROAD).add().session
    sam = staff.add("sam", "support")
    second = staff.sign_in("sam")
    assert staff.people.sign_out_everywhere(by, sam.session.person.id, DESK) == 2
    assert [staff.people.session(done.token) for done in (sam, second)] == [None, None]
    assert staff.audited()[-1] == ("portal:kim", "person.sign_out", "sam", "2")
    assert staff.people.sign_out_everywhere(by, sam.session.person.id, DESK) == 0
