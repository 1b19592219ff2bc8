"""Signing in, and every way in which somebody who may not tries to; on both databases in tests/faults (P9)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from carebell.staff.passwords import HashCost, Passwords
from carebell.staff.people import StaffPeople
from portal.people import Browser, CodeNeeded, SetUpRefused, SignedIn, SignInRefused
from store import users
from store.tokens import key_of
from tests.carebell.staff.clinic_staff import BROAD, DESK, ELSEWHERE, PASSWORD, ClinicStaff

WRONG = SignInRefused(reason="wrong")
EXPIRED = SignInRefused(reason="expired")


def _needed(staff: ClinicStaff, login: str = "kim", browser: Browser = DESK) -> CodeNeeded:
    outcome = staff.people.sign_in(login, PASSWORD, browser)
    assert isinstance(outcome, CodeNeeded)
    return outcome


def test_a_password_and_a_code_sign_in(staff: ClinicStaff) -> None:
    staff.add()
    staff.after(hours=1)
    done = staff.sign_in("kim")
    session = staff.session(done.token)
    assert session == done.session
    assert (session.person.login, session.person.role, session.person.last_sign_in_at) == (
        "kim",
        "administrator",
        staff.now,
    )
    assert (session.ends_at - staff.now, session.idle_ends_at - staff.now) == (
        timedelta(hours=12),
        timedelta(minutes=30),
    )
    assert session.is_confirmed(staff.now + timedelta(minutes=9))
    assert not session.is_confirmed(staff.now + timedelta(minutes=10))
    assert (session.address, session.agent) == ("192.0.2.7", "Firefox")
    assert staff.audited()[-1] == ("portal:kim", "sign_in", "kim", "password and code")
    assert isinstance(staff.people.sign_in(" KIM ", PASSWORD, DESK), CodeNeeded), "as it is typed on a telephone"


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("kim", "wrong"),
        ("kim", ""),
        ("nobody", PASSWORD),
        ("", ""),
        ("k\0m", PASSWORD),
        ("\udcff", PASSWORD),
        ("x" * 9999, "y"),
    ],
)
def test_what_is_wrong_is_not_said(staff: ClinicStaff, login: str, password: str) -> None:
    staff.add()
    assert staff.people.sign_in(login, password, ELSEWHERE) == WRONG
    whose = login if login == "kim" else "nobody"
    assert staff.audited()[-1] == (f"portal:{whose}", "sign_in.fail", whose, "user name or password")


def test_a_login_that_nobody_has_costs_a_hash_too(staff: ClinicStaff) -> None:
    """So that the time does not tell it; neither does a person without a password, nor one who is switched off."""
    checked = list[bool]()

    class Counting(Passwords):
        def verify(self, stored: str | None, password: str, *, stranger: bool) -> bool:
            checked.append(stored is None)
            return super().verify(stored, password, stranger=stranger)

    kim = staff.add()
    staff.invite("new", "support")
    off = staff.add("off", "support")
    staff.people.switch_off(kim.session, off.session.person.id, DESK)
    people = StaffPeople(replace(staff.context, passwords=Counting(HashCost(passes=1, memory_kib=8))))
    for login in ("kim", "nobody", "new", "off", "not a login"):
        assert people.sign_in(login, "a wrong guess", DESK) == WRONG
    assert checked == [False, True, True, False, True]
    assert people.sign_in("off", PASSWORD, DESK) == WRONG


# Session fixation


def test_no_token_from_before_becomes_a_session(staff: ClinicStaff) -> None:
    """What was in the browser before signing in, and the token of the first step, are nobody's afterwards."""
    staff.add()
    planted = "f" * 64
    needed = _needed(staff)
    done = staff.people.check_code(needed.token, staff.code("kim"), DESK)
    assert isinstance(done, SignedIn)
    assert len({planted, needed.token, done.token}) == 3
    assert staff.people.session(planted) is None
    assert staff.people.session(needed.token) is None
    assert staff.session(done.token).person.login == "kim"


def test_the_first_step_is_no_session(staff: ClinicStaff) -> None:
    staff.add()
    needed = _needed(staff)
    assert staff.people.session(needed.token) is None
    assert staff.people.check_code("f" * 64, staff.code("kim"), DESK) == EXPIRED
    done = staff.sign_in()
    staff.after(minutes=1)
    assert staff.people.check_code(done.token, staff.code("kim"), DESK) == EXPIRED, "a session is no first step"


def test_each_sign_in_has_its_own_token_and_form_token(staff: ClinicStaff) -> None:
    staff.use(**BROAD).add()
    first, second = staff.sign_in(), staff.sign_in()
    assert first.token != second.token
    assert first.session.csrf != second.session.csrf
    assert staff.session(first.token).csrf == first.session.csrf
    assert first.session.csrf not in (first.token, first.session.key, key_of(first.session.csrf))


def test_a_changed_role_ends_every_session(staff: ClinicStaff) -> None:
    kim, sam = staff.add(), staff.add("sam", "support")
    needed = _needed(staff, "sam")
    by = staff.session(kim.token)
    assert staff.people.change_role(by, sam.session.person.id, "auditor", (), DESK)
    assert staff.people.session(sam.token) is None
    assert staff.people.check_code(needed.token, staff.code("sam"), DESK) == EXPIRED
    staff.after(minutes=1)
    assert staff.session(staff.sign_in("sam").token).person.role == "auditor"


# Replay after sign-out


def test_nothing_is_left_after_signing_out(staff: ClinicStaff) -> None:
    done = staff.add()
    assert staff.people.session(done.token) is not None
    staff.people.sign_out(done.token)
    assert staff.people.session(done.token) is None
    assert staff.people.confirm_again(done.session, PASSWORD, DESK) == EXPIRED
    assert not isinstance(staff.people.change_password(done.session, PASSWORD, "another long password", DESK), SignedIn)
    staff.people.sign_out(done.token)
    assert [entry[1] for entry in staff.audited()].count("sign_out") == 1


def test_whoever_is_switched_off_is_out_at_once(staff: ClinicStaff) -> None:
    kim, sam = staff.add(), staff.add("sam", "support")
    needed = _needed(staff, "sam")
    assert staff.people.switch_off(staff.session(kim.token), sam.session.person.id, DESK)
    assert staff.people.session(sam.token) is None
    assert staff.people.check_code(needed.token, staff.code("sam"), DESK) == EXPIRED
    assert staff.people.sign_in("sam", PASSWORD, DESK) == WRONG


# Idle and absolute


def test_a_session_ends_when_nothing_is_asked_for(staff: ClinicStaff) -> None:
    done = staff.add()
    staff.after(minutes=28, seconds=59)
    assert staff.people.session(done.token) is not None
    staff.after(minutes=29, seconds=59)
    assert staff.people.session(done.token, touch=False) is not None
    staff.after(seconds=1)
    assert staff.people.session(done.token) is None, "a page that refreshes itself kept nothing open"


def test_a_session_ends_however_much_is_asked_for(staff: ClinicStaff) -> None:
    done = staff.add()
    ends_at = done.session.ends_at
    while staff.now + timedelta(minutes=20) < ends_at:
        staff.after(minutes=20)
        session = staff.session(done.token)
        assert session.idle_ends_at == min(staff.now + timedelta(minutes=30), ends_at)
    staff.now = ends_at
    assert staff.people.session(done.token) is None


def test_a_stricter_configuration_holds_for_open_sessions(staff: ClinicStaff) -> None:
    done = staff.add()
    staff.use(session={"absolute": "5m", "idle": "2m"})
    assert staff.session(done.token).ends_at == done.session.created_at + timedelta(minutes=5)
    staff.after(minutes=2)
    assert staff.people.session(done.token) is None
    assert staff.people.own_sessions(done.session) == ()


def test_the_second_step_has_ten_minutes(staff: ClinicStaff) -> None:
    staff.add()
    needed = _needed(staff)
    staff.after(minutes=10)
    assert staff.people.check_code(needed.token, staff.code("kim"), DESK) == EXPIRED


# TOTP replay


def test_a_code_counts_once(staff: ClinicStaff) -> None:
    """Somebody looked over Kim's shoulder, and knows the password too."""
    staff.add()
    code = staff.code("kim")
    first, second = _needed(staff), _needed(staff)
    assert isinstance(staff.people.check_code(first.token, code, DESK), SignedIn)
    assert staff.people.check_code(second.token, code, DESK) == WRONG
    staff.after(seconds=30)
    assert staff.people.check_code(second.token, code, DESK) == WRONG
    assert isinstance(staff.people.check_code(second.token, staff.code("kim"), DESK), SignedIn)
    assert staff.people.check_code(first.token, staff.code("kim"), DESK) == EXPIRED, "and a first step leads on once"


def test_a_code_that_set_the_app_up_signs_nobody_in(staff: ClinicStaff) -> None:
    staff.add()
    staff.after(minutes=-1)
    assert staff.people.check_code(_needed(staff).token, staff.code("kim"), DESK) == WRONG


def test_of_two_with_the_same_code_at_once_one_comes_in(both: ClinicStaff) -> None:
    both.add()
    code, steps = both.code("kim"), [_needed(both) for _ in range(4)]

    def check(step: CodeNeeded) -> bool:
        return isinstance(both.people.check_code(step.token, code, DESK), SignedIn)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(check, steps)) == 1


# An invitation twice


def test_a_link_lets_in_once(staff: ClinicStaff) -> None:
    staff.use(**BROAD)
    token = staff.invite()
    assert staff.people.set_up_of(token) == staff.people.set_up_of(token), "looking at it uses nothing up"
    assert isinstance(staff.people.set_up(token, PASSWORD, "", DESK), SignedIn)
    assert staff.people.set_up_of(token) is None
    assert staff.people.set_up(token, "another long password", "", ELSEWHERE) == SetUpRefused()
    assert isinstance(staff.people.sign_in("kim", PASSWORD, DESK), SignedIn)


def test_of_two_with_the_same_link_at_once_one_comes_in(both: ClinicStaff) -> None:
    both.use(**BROAD)
    token = both.invite()
    passwords = [f"find nine violet eggs {letter}" for letter in "abcd"]

    def set_up(password: str) -> bool:
        return isinstance(both.people.set_up(token, password, "", DESK), SignedIn)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(set_up, passwords))
    assert sum(done) == 1
    right = [isinstance(both.people.sign_in("kim", password, DESK), SignedIn) for password in passwords]
    assert right == done


def test_of_many_right_sign_ins_at_once_all_come_in(both: ClinicStaff) -> None:
    """They are counted as failures in advance, and uncounted: no more than five at once from a new place."""
    both.use(**BROAD).add()
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: both.people.sign_in("kim", PASSWORD, ELSEWHERE), range(4)))
    assert [type(outcome) for outcome in outcomes] == [SignedIn] * 4
    assert len({outcome.token for outcome in outcomes if isinstance(outcome, SignedIn)}) == 4


def test_of_a_hundred_guesses_at_once_five_are_looked_at(both: ClinicStaff) -> None:
    both.use(**BROAD).add()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: both.people.sign_in("kim", "a wrong guess", DESK), range(40)))
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, SignInRefused)]
    assert (reasons.count("wrong"), reasons.count("wait")) == (5, 35)


# What is configured


def test_without_a_way_to_sign_in_there_is_none(staff: ClinicStaff) -> None:
    staff.add()
    staff.use(sign_in={"local": {"enabled": False}})
    assert staff.people.sign_in("kim", PASSWORD, DESK) == SignInRefused(reason="unavailable")
    assert staff.people.set_up_of("0" * 64) is None


def test_where_a_second_factor_is_asked_for_later_it_must_be_set_up(staff: ClinicStaff) -> None:
    """Who has the password alone does not choose the app."""
    staff.use(**BROAD).add()
    staff.use()
    assert staff.people.sign_in("kim", "a wrong guess", DESK) == WRONG
    assert staff.people.sign_in("kim", PASSWORD, DESK) == SignInRefused(reason="incomplete")


def test_who_has_an_app_needs_it_also_where_none_is_asked_for(staff: ClinicStaff) -> None:
    staff.add()
    staff.use(**BROAD)
    assert isinstance(staff.people.sign_in("kim", PASSWORD, DESK), CodeNeeded)


def test_a_hash_of_another_cost_is_made_again(staff: ClinicStaff) -> None:
    staff.use(**BROAD).add()
    dearer = StaffPeople(replace(staff.context, passwords=Passwords(HashCost(passes=2, memory_kib=8))))
    assert isinstance(dearer.sign_in("kim", PASSWORD, DESK), SignedIn)
    with staff.store.read() as conn:
        [kim] = users.listed(conn)
    assert kim.password is not None
    assert kim.password.startswith("$argon2id$v=19$m=8,t=2,")
    assert isinstance(staff.people.sign_in("kim", PASSWORD, DESK), SignedIn)


def test_nobody_can_sign_in_at_first(staff: ClinicStaff) -> None:
    assert staff.people.is_empty()
    staff.invite("ann")
    assert staff.people.is_empty(), "a link is no way in yet"
    staff.add()
    assert not staff.people.is_empty()


# Proving it again


@pytest.mark.parametrize("by_code", [True, False], ids=["code", "password"])
def test_it_is_proved_again_by_password_or_code(both: ClinicStaff, by_code: bool) -> None:
    done = both.add()
    both.after(minutes=20)
    session = both.session(done.token)
    assert not session.is_confirmed(both.now)
    assert both.people.confirm_again(session, "a wrong guess", DESK) == WRONG
    proof = both.code("kim") if by_code else PASSWORD
    confirmed = both.people.confirm_again(session, proof, DESK)
    assert not isinstance(confirmed, SignInRefused)
    assert confirmed.is_confirmed(both.now)
    assert both.session(done.token).confirmed_until == both.now + timedelta(minutes=10)
    assert (both.people.confirm_again(session, proof, DESK) == WRONG) == by_code, "a code counts once here too"
    assert [entry[3] for entry in both.audited() if entry[1] == "sign_in.confirm"][:2] == ["wrong", "right"]


def test_another_sessions_proof_is_not_this_ones(staff: ClinicStaff) -> None:
    first = staff.add()
    second = staff.sign_in()
    staff.after(minutes=11)
    assert not isinstance(staff.people.confirm_again(first.session, PASSWORD, DESK), SignInRefused)
    assert not staff.session(second.token).is_confirmed(staff.now)


def test_no_secret_is_shown_or_recorded(filed: ClinicStaff) -> None:
    done = filed.add()
    needed = _needed(filed)
    shown = repr((done, needed, filed.people.people(), replace(DESK, known_by=done.known_by)))
    secrets = (done.token, needed.token, done.known_by, done.session.csrf, PASSWORD, filed.secrets["kim"])
    recorded = repr(filed.audited())
    assert [secret for secret in secrets if secret in shown or secret in recorded] == []
    content = b"".join(file.read_bytes() for file in filed.store.files if file.exists())
    assert key_of(done.token).encode() in content, "the files can be searched"
    assert [secret for secret in secrets if secret.encode() in content] == []


def test_a_denied_page_is_recorded(staff: ClinicStaff) -> None:
    staff.people.denied(staff.add().session, "/people", DESK)
    assert staff.audited()[-1] == ("portal:kim", "page.denied", "/people", None)
