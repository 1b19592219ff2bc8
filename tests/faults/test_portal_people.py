"""P9 and P10: somebody who may not comes in by no trick and by no number of guesses, and the right person comes in nevertheless."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import delete

from portal.people import Browser, CodeNeeded, SetUpRefused, SignedIn, SignInRefused
from store.engine import Store, open_in_memory
from store.tables import invitations, metadata, sessions, throttles, users
from tests.carebell.staff.clinic_staff import BROAD, DESK, ELSEWHERE, PASSWORD, ClinicStaff
from tests.faults.conftest import Tally
from tests.store.conftest import backend, migrated_file, postgresql, store, url

__all__ = ["backend", "migrated_file", "postgresql", "store", "url"]

EXPIRED: Final = SignInRefused(reason="expired")
WRONG: Final = SignInRefused(reason="wrong")


# P9


def _needed(staff: ClinicStaff) -> CodeNeeded:
    outcome = staff.people.sign_in("kim", PASSWORD, DESK)
    assert isinstance(outcome, CodeNeeded)
    return outcome


def planted_token(staff: ClinicStaff) -> None:
    """A token that was in the browser before, and the one of the first step, are nobody's after the sign-in."""
    staff.add()
    planted, needed = staff.elsewhere.leave("{}", DESK), _needed(staff)
    done = staff.people.check_code(needed.token, staff.code("kim"), DESK)
    assert isinstance(done, SignedIn)
    assert len({planted, needed.token, done.token}) == 3
    assert [staff.people.session(token) for token in (planted, needed.token)] == [None, None]
    assert staff.people.session(done.token) is not None


def replay_after_sign_out(staff: ClinicStaff) -> None:
    done = staff.add()
    staff.people.sign_out(done.token)
    assert staff.people.session(done.token) is None
    assert staff.people.confirm_again(done.session, PASSWORD, DESK) == EXPIRED


def replay_after_another_role(staff: ClinicStaff) -> None:
    kim, sam = staff.add(), staff.add("sam", "support")
    staff.people.change_role(kim.session, sam.session.person.id, "auditor", (), DESK)
    assert staff.people.session(sam.token) is None


def idle(staff: ClinicStaff) -> None:
    done = staff.add()
    staff.now = done.session.seen_at + timedelta(minutes=30)
    assert staff.people.session(done.token) is None


def absolute(staff: ClinicStaff) -> None:
    done = staff.add()
    while staff.people.session(done.token) is not None:
        assert staff.after(minutes=29) < done.session.ends_at + timedelta(minutes=29)
    assert staff.now >= done.session.ends_at


def code_again(staff: ClinicStaff) -> None:
    staff.add()
    code, steps = staff.code("kim"), [_needed(staff) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda step: staff.people.check_code(step.token, code, DESK), steps))
    assert [type(outcome) for outcome in outcomes].count(SignedIn) == 1
    assert outcomes.count(WRONG) == 2


def link_again(staff: ClinicStaff) -> None:
    token = staff.use(**BROAD).invite()
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda _: staff.people.set_up(token, PASSWORD, "", DESK), range(3)))
    assert [type(outcome) for outcome in outcomes].count(SignedIn) == 1
    assert outcomes.count(SetUpRefused()) == 2
    assert staff.people.set_up(token, PASSWORD, "", ELSEWHERE) == SetUpRefused()


def callback_again(staff: ClinicStaff) -> None:
    token = staff.elsewhere.leave("{}", DESK)
    with ThreadPoolExecutor(3) as pool:
        assert sorted(map(str, pool.map(lambda _: staff.elsewhere.come_back(token), range(3)))) == [
            "None",
            "None",
            "{}",
        ]


ATTACKS: Final[tuple[Callable[[ClinicStaff], None], ...]] = (
    planted_token,
    replay_after_sign_out,
    replay_after_another_role,
    idle,
    absolute,
    code_again,
    link_again,
    callback_again,
)


@pytest.mark.faults("P9")
def test_no_trick_lets_somebody_in(store: Store, tally: Tally) -> None:
    for number in tally.rounds():
        ATTACKS[number % len(ATTACKS)](ClinicStaff(store))
        tally.seen["refused"] += 1
        with store.write() as conn:
            for table in (sessions, invitations, throttles, users):
                conn.execute(delete(table))


# P10


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[ClinicStaff]:
    """Kim, who works at her desk, and Lee, who has signed in nowhere yet. In memory: ten thousand attempts are not waited for."""
    opened = open_in_memory()
    with opened.write() as conn:
        metadata.create_all(conn)
    clinic = ClinicStaff(opened).use(**BROAD)
    clinic.known_by = clinic.add().known_by
    clinic.add("lee", "support", browser=Browser(address="192.0.2.50"))
    yield clinic
    opened.close()


@pytest.mark.faults("P10")
@pytest.mark.parametrize("addresses", [1, 200])
@pytest.mark.parametrize("logins", [("kim",), ("kim", "lee", "root", "admin", "nobody")], ids=["one login", "many"])
def test_guessing_is_slowed_and_the_right_person_comes_in(
    addresses: int, logins: tuple[str, ...], staff: ClinicStaff, tally: Tally
) -> None:
    """An attempt comes each tenth of a second. Few of the attacker's guesses are looked at, and Kim waits for none of them.

    Kim shares the attacker's address where it has one alone, and is known by her browser.
    """
    rng = random.Random(f"{addresses} {logins}")
    begun, attempt = staff.now, -1
    for attempt in tally.rounds():
        staff.after(seconds=0.1)
        browser = DESK if addresses == 1 else Browser(address=f"198.51.100.{rng.randrange(addresses)}")
        outcome = staff.people.sign_in(rng.choice(logins), f"guess {attempt}", browser)
        assert isinstance(outcome, SignInRefused)
        tally.seen["looked at" if outcome == WRONG else "not looked at"] += 1
    hours = (staff.now - begun) / timedelta(hours=1)
    # Of a login that was right from the address, five and then one in fifteen minutes; of strangers thirty an hour and address.
    from_known = 5 + 4 + hours * 4
    from_strangers = min(addresses * 30 * (1 + hours), 100 * len(logins))
    assert tally.seen["looked at"] <= from_known + from_strangers
    at_desk = replace(DESK, known_by=staff.known_by)
    assert isinstance(staff.people.sign_in("kim", PASSWORD, at_desk), SignedIn), "at once"
    if addresses == 1:
        assert isinstance(staff.people.sign_in("lee", PASSWORD, Browser(address="192.0.2.51")), SignedIn), "from home"
        staff.after(minutes=15)
        assert isinstance(staff.people.sign_in("kim", PASSWORD, DESK), SignedIn), (
            "with another browser at the same address"
        )
    locked = {person.login for person in staff.people.people() if person.is_locked}
    assert locked <= set(logins)
