"""Who guesses is slowed, and the right person is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.people import Browser, CodeNeeded, SignedIn, SignInRefused
from tests.carebell.staff.clinic_staff import BROAD, DESK, ELSEWHERE, NOW, PASSWORD, ClinicStaff

MINUTE = timedelta(minutes=1)


@pytest.fixture
def plain(staff: ClinicStaff) -> ClinicStaff:
    """Kim, with a password alone."""
    staff.use(**BROAD).add()
    return staff


def _reasons(staff: ClinicStaff, browser: Browser, count: int, login: str = "kim") -> Counter[str]:
    outcomes = [staff.people.sign_in(login, "a wrong guess", browser) for _ in range(count)]
    return Counter(outcome.reason for outcome in outcomes if isinstance(outcome, SignInRefused))


@pytest.mark.parametrize("browser", [DESK, ELSEWHERE], ids=["known", "stranger"])
def test_after_five_failures_each_further_one_has_to_wait(plain: ClinicStaff, browser: Browser) -> None:
    assert _reasons(plain, browser, 5) == {"wrong": 5}
    for minutes in (1, 2, 4, 8, 15, 15):
        begun = plain.now
        refused = plain.people.sign_in("kim", "a wrong guess", browser)
        assert refused == SignInRefused(reason="wait", until=begun + minutes * MINUTE)
        plain.now = begun + minutes * MINUTE - timedelta(microseconds=1)
        assert plain.people.sign_in("kim", PASSWORD, browser) == refused, (
            "not even the right one counts before its time"
        )
        plain.now = begun + minutes * MINUTE
        assert plain.people.sign_in("kim", "a wrong guess", browser) == SignInRefused(reason="wrong")
    plain.after(minutes=15)
    assert isinstance(plain.people.sign_in("kim", PASSWORD, browser), SignedIn)
    assert _reasons(plain, browser, 5) == {"wrong": 5}, "from the beginning"


def test_strangers_failures_make_nobody_wait_who_was_right_before(plain: ClinicStaff) -> None:
    """From many addresses: the login is locked for them, and Kim comes in at her desk at once."""
    reasons: Counter[str] = Counter()
    for number in range(22):
        reasons += _reasons(plain, Browser(address=f"198.51.100.{number}"), 5)
    assert reasons == {"wrong": 100, "locked": 10}
    assert isinstance(plain.people.sign_in("kim", PASSWORD, DESK), SignedIn)
    assert plain.people.sign_in("kim", PASSWORD, ELSEWHERE) == SignInRefused(reason="locked")
    locks = [entry for entry in plain.audited() if entry[1] == "sign_in.lock"]
    assert locks == [("portal:kim", "sign_in.lock", "kim", None)]
    assert [person.is_locked for person in plain.people.people()] == [True]
    kim = plain.session(plain.sign_in().token)
    unlocked = plain.people.unlock(kim, kim.person.id, DESK)
    assert getattr(unlocked, "is_locked", None) is False
    assert isinstance(plain.people.sign_in("kim", PASSWORD, ELSEWHERE), SignedIn)


def test_who_shares_the_attackers_address_comes_in_by_the_browser_that_is_known(plain: ClinicStaff) -> None:
    """Behind a proxy whose X-Forwarded-For is not trusted everybody has the same address."""
    known_by = plain.sign_in().known_by
    assert _reasons(plain, DESK, 6) == {"wrong": 5, "wait": 1}
    assert isinstance(plain.people.sign_in("kim", PASSWORD, replace(DESK, known_by=known_by)), SignedIn)
    assert isinstance(plain.people.sign_in("kim", PASSWORD, DESK), SignInRefused), "and who has no cookie still waits"


def test_a_cookie_is_one_persons(plain: ClinicStaff) -> None:
    """Ann's cookie makes nobody known as Kim, and a planted one is not taken over by who signs in with it."""
    ann = plain.add("ann")
    assert plain.people.sign_in("kim", "wrong", Browser(address="203.0.113.1", known_by=ann.known_by)) == SignInRefused(
        reason="wrong"
    )
    planted = replace(ELSEWHERE, known_by="planted")
    assert plain.sign_in("kim", planted).known_by not in ("planted", "")
    again = plain.sign_in("ann", replace(ELSEWHERE, known_by=ann.known_by))
    assert again.known_by == ann.known_by


def test_an_address_may_fail_thirty_times_an_hour(plain: ClinicStaff) -> None:
    def guesses() -> Iterator[Counter[str]]:
        for number in range(10):
            yield _reasons(plain, ELSEWHERE, 5, login=f"person{number}")

    assert sum(guesses(), Counter()) == {"wrong": 30, "wait": 20}
    assert plain.people.sign_in("kim", PASSWORD, ELSEWHERE) == SignInRefused(reason="wait", until=NOW + 3 * MINUTE)
    assert isinstance(plain.people.sign_in("kim", PASSWORD, DESK), SignedIn)
    plain.after(minutes=2)
    assert isinstance(plain.people.sign_in("kim", PASSWORD, ELSEWHERE), SignedIn), "who is right spends nothing"
    plain.add("lee")
    assert isinstance(plain.people.sign_in("lee", PASSWORD, ELSEWHERE), SignedIn)


@pytest.mark.parametrize("address", ["2001:db8:1:2:ffff::1", "2001:db8:1:2::2"])
def test_a_network_of_ipv6_is_one_address(plain: ClinicStaff, address: str) -> None:
    for number in range(6):
        _reasons(plain, Browser(address=f"2001:db8:1:2::{number:x}"), 5, login=f"person{number}")
    assert plain.people.sign_in("kim", PASSWORD, Browser(address=address)).reason == "wait"  # type: ignore[union-attr]  # the test's claim
    assert isinstance(plain.people.sign_in("kim", PASSWORD, Browser(address="2001:db8:1:3::2")), SignedIn)
    assert _reasons(plain, Browser(address="::ffff:198.51.100.1"), 5) == {"wrong": 5}
    assert _reasons(plain, Browser(address="198.51.100.1"), 1) == {"wait": 1}


def test_nothing_tells_a_login_that_is_somebodys_from_one_that_is_not(plain: ClinicStaff) -> None:
    """The same answers at the same attempts, to the lock and after it."""

    def answers(login: str) -> list[tuple[str, timedelta | None]]:
        seen: list[tuple[str, timedelta | None]] = []
        for number in range(21):
            for _ in range(6):
                refused = plain.people.sign_in(login, "a wrong guess", Browser(address=f"198.51.{len(login)}.{number}"))
                assert isinstance(refused, SignInRefused)
                seen.append((refused.reason, None if refused.until is None else refused.until - plain.now))
        return seen

    assert answers("kim") == answers("nobody")


def test_wrong_codes_count_as_wrong_passwords_and_right_passwords_do_not(staff: ClinicStaff) -> None:
    staff.add()
    for _ in range(10):  # going away before the code is no failure
        needed = staff.people.sign_in("kim", PASSWORD, ELSEWHERE)
        assert isinstance(needed, CodeNeeded)
    assert isinstance(needed, CodeNeeded)
    wrong = [staff.people.check_code(needed.token, "000000", ELSEWHERE) for _ in range(6)]
    assert [refused.reason for refused in wrong if isinstance(refused, SignInRefused)] == ["wrong"] * 5 + ["wait"]
    assert staff.people.check_code(needed.token, staff.code("kim"), ELSEWHERE).reason == "wait"  # type: ignore[union-attr]  # the test's claim
    staff.after(minutes=1)
    assert isinstance(staff.people.check_code(needed.token, staff.code("kim"), ELSEWHERE), SignedIn)


def test_who_proves_it_again_is_not_stopped_by_strangers(plain: ClinicStaff) -> None:
    """Kim is signed in from a place that is not known any more, and her login is locked for strangers meanwhile."""
    session = plain.session(plain.sign_in("kim", ELSEWHERE).token)
    for number in range(20):
        _reasons(plain, Browser(address=f"198.51.100.{number}"), 5)
    train = Browser(address="100.64.0.1")
    assert plain.people.sign_in("kim", PASSWORD, train) == SignInRefused(reason="locked")
    guesses = [plain.people.confirm_again(session, "a wrong guess", train) for _ in range(6)]
    assert [refused.reason for refused in guesses if isinstance(refused, SignInRefused)] == ["wrong"] * 5 + ["wait"]
    plain.after(minutes=1)
    assert not isinstance(plain.people.confirm_again(session, PASSWORD, train), SignInRefused)
    assert plain.people.sign_in("kim", PASSWORD, train) == SignInRefused(reason="locked"), "strangers stay locked"


def test_a_clock_that_was_set_back_makes_nobody_wait_longer(plain: ClinicStaff) -> None:
    _reasons(plain, DESK, 5)
    plain.after(days=-1)
    assert plain.people.sign_in("kim", PASSWORD, DESK) == SignInRefused(reason="wait", until=plain.now + MINUTE)
