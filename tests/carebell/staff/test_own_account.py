"""One's own password, app and sessions."""

from __future__ import annotations

import pytest
from pyotp import TOTP

from portal.people import NotDone, SecondFactor, SignedIn, SignInRefused
from tests.carebell.staff.clinic_staff import BROAD, DESK, ELSEWHERE, PASSWORD, ClinicStaff

NEW = "nine eggs and a new spoon"


def test_a_new_password_ends_every_other_session(both: ClinicStaff) -> None:
    both.use(**BROAD)
    here, other = both.add(), both.sign_in("kim", ELSEWHERE)
    done = both.people.change_password(here.session, PASSWORD, NEW, DESK)
    assert isinstance(done, SignedIn)
    assert [both.people.session(token) for token in (here.token, other.token)] == [None, None]
    assert both.session(done.token).person.login == "kim"
    assert both.people.sign_in("kim", PASSWORD, DESK) == SignInRefused(reason="wrong")
    assert isinstance(both.people.sign_in("kim", NEW, DESK), SignedIn)
    assert ("portal:kim", "person.password", "kim", None) in both.audited()


@pytest.mark.parametrize(
    ("current", "new", "refused"),
    [
        ("a wrong guess", NEW, NotDone(reason="wrong_password")),
        (PASSWORD, "nine eggs", NotDone(password="short")),
        (PASSWORD, "password12345678", NotDone(password="common")),
        (PASSWORD, "Lamna Healthcare!", NotDone(password="organization")),
    ],
)
def test_a_new_password_is_refused(staff: ClinicStaff, current: str, new: str, refused: NotDone) -> None:
    here = staff.use(**BROAD).add()
    assert staff.people.change_password(here.session, current, new, DESK) == refused
    assert staff.people.session(here.token) is not None
    assert isinstance(staff.people.sign_in("kim", PASSWORD, DESK), SignedIn)


def test_a_stolen_session_cannot_guess_the_password(staff: ClinicStaff) -> None:
    here = staff.use(**BROAD).add()
    refused = [staff.people.change_password(here.session, f"guess {number}", NEW, DESK) for number in range(6)]
    assert refused[:5] == [NotDone(reason="wrong_password")] * 5
    assert isinstance(refused[5], SignInRefused)
    assert refused[5].reason == "wait"
    assert isinstance(staff.people.sign_in("kim", PASSWORD, DESK), SignedIn), "and makes the right person not wait"


def test_a_new_app_counts_from_its_first_code(both: ClinicStaff) -> None:
    here, other = both.add(), both.sign_in("kim", ELSEWHERE)
    assert both.people.new_second_factor(here.session) is None
    assert both.people.finish_second_factor(here.session, "123456", DESK) == NotDone(reason="not_started")
    begun = both.people.begin_second_factor(here.session, DESK)
    assert isinstance(begun, SecondFactor)
    assert both.people.new_second_factor(here.session) == begun
    secret = begun.secret.replace(" ", "")
    assert both.people.finish_second_factor(here.session, both.code("kim"), DESK) == NotDone(reason="wrong_code")
    both.after(minutes=1)
    assert isinstance(both.sign_in(), SignedIn), "until then the old one counts"
    done = both.people.finish_second_factor(here.session, TOTP(secret).at(both.now), DESK)
    assert isinstance(done, SignedIn)
    assert [both.people.session(token) for token in (here.token, other.token)] == [None, None]
    assert both.people.new_second_factor(done.session) is None
    both.after(minutes=1)
    both.secrets["kim"] = secret
    assert isinstance(both.sign_in(), SignedIn)
    assert ("portal:kim", "person.second_factor", "kim", "app") in both.audited()


def test_the_code_that_finished_it_signs_nobody_in(staff: ClinicStaff) -> None:
    here = staff.add()
    begun = staff.people.begin_second_factor(here.session, DESK)
    assert isinstance(begun, SecondFactor)
    staff.secrets["kim"] = begun.secret.replace(" ", "")
    assert isinstance(staff.people.finish_second_factor(here.session, staff.code("kim"), DESK), SignedIn)
    with pytest.raises(AssertionError):
        staff.sign_in()


def test_own_sessions_are_listed_and_ended(staff: ClinicStaff) -> None:
    staff.use(**BROAD)
    here = staff.add()
    there = staff.sign_in("kim", ELSEWHERE)
    sams = staff.add("sam", "support")
    rows = staff.people.own_sessions(here.session)
    assert [(row.address, row.agent, row.is_this) for row in rows] == [
        ("203.0.113.9", None, False),
        ("192.0.2.7", "Firefox", True),
    ]
    assert not staff.people.end_session(here.session, sams.session.key, DESK), "another's"
    assert staff.people.session(sams.token) is not None
    assert staff.people.end_session(here.session, there.session.key, DESK)
    assert not staff.people.end_session(here.session, there.session.key, DESK)
    assert staff.people.session(there.token) is None
    staff.sign_in()
    staff.sign_in()
    assert staff.people.end_other_sessions(here.session, DESK) == 2
    assert [row.is_this for row in staff.people.own_sessions(here.session)] == [True]
    assert staff.people.session(here.token) is not None


def test_who_was_signed_out_does_nothing_more(staff: ClinicStaff) -> None:
    here = staff.add()
    begun = staff.people.begin_second_factor(here.session, DESK)
    assert isinstance(begun, SecondFactor)
    staff.people.sign_out(here.token)
    code = TOTP(begun.secret.replace(" ", "")).at(staff.now)
    assert staff.people.finish_second_factor(here.session, code, DESK) == NotDone(reason="not_allowed")
    assert staff.people.change_password(here.session, PASSWORD, NEW, DESK) == NotDone(reason="not_allowed")
