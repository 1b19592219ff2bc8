"""Throttles: what is counted is counted once each, also when it all comes at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select

from store import throttles
from store.engine import Store
from store.forgetting import sweep
from store.keys import KeyRing
from store.tables import throttles as throttles_table
from store.throttles import AttemptLimit, ThrottleScope
from store.vault import Vault
from tests.store.samples import NOW

MINUTE = timedelta(minutes=1)
THIRTY = AttemptLimit(count=30, period=60 * MINUTE)
DAY = timedelta(days=1)


def test_an_allowance_is_spent_and_fills_again(store: Store) -> None:
    def take(after: timedelta) -> timedelta | None:
        until = throttles.take(conn, ThrottleScope.ADDRESS, "k", THIRTY, now=NOW + after)
        return None if until is None else until - NOW

    with store.write() as conn:
        assert [take(timedelta()) for _ in range(30)] == [None] * 30
        assert take(timedelta()) == 2 * MINUTE
        assert take(MINUTE) == 2 * MINUTE, "a refused attempt costs nothing"
        assert take(2 * MINUTE) is None
        assert take(2 * MINUTE) == 4 * MINUTE
        throttles.give_back(conn, ThrottleScope.ADDRESS, "k")
        assert take(2 * MINUTE) is None
        assert [take(DAY) for _ in range(31)] == [None] * 30 + [DAY + 2 * MINUTE]
        assert take(timedelta()) is not None, "a clock that was set back gives nothing"


def test_failures_in_a_row_are_counted_and_forgotten(store: Store) -> None:
    pair = ThrottleScope.PAIR

    def failures() -> tuple[int, timedelta]:
        counted = throttles.failures(conn, pair, "k", now=NOW, keep=DAY)
        return counted.count, counted.last_at - NOW

    with store.write() as conn:
        assert failures() == (0, timedelta())
        assert [throttles.fail(conn, pair, "k", now=NOW + second * MINUTE, keep=DAY) for second in range(3)] == [
            1,
            2,
            3,
        ]
        assert failures() == (3, 2 * MINUTE)
        assert throttles.counts(conn, pair, ["k", "other"]) == {"k": 3}
        throttles.take_back(conn, pair, "k", throttles.Failures(count=2, last_at=NOW + MINUTE))
        assert failures() == (2, MINUTE)
        assert throttles.clear(conn, pair, "k")
        assert not throttles.clear(conn, pair, "k")
        throttles.take_back(conn, pair, "k", throttles.Failures(count=0, last_at=NOW))
        assert failures() == (0, timedelta())
        throttles.take_back(conn, pair, "k", throttles.Failures(count=0, last_at=NOW))
        assert failures() == (0, timedelta())


def test_failures_are_looked_at_one_after_the_other_from_the_first_on(store: Store) -> None:
    """Also where there is no row yet: each sees what the one before it counted."""

    def look_and_count(_: int) -> int:
        with store.write() as conn:
            before = throttles.failures(conn, ThrottleScope.PAIR, "k", now=NOW, keep=DAY).count
            throttles.fail(conn, ThrottleScope.PAIR, "k", now=NOW, keep=DAY)
            return before

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(look_and_count, range(40))) == list(range(40))


def test_a_thousand_attempts_at_once_are_counted_one_by_one(store: Store) -> None:
    def attempt(_: int) -> tuple[int, bool]:
        with store.write() as conn:
            count = throttles.fail(conn, ThrottleScope.LOGIN, "k", now=NOW, keep=DAY)
            return count, throttles.take(conn, ThrottleScope.PAIR, "k", THIRTY, now=NOW) is None

    with ThreadPoolExecutor(8) as pool:
        attempts = list(pool.map(attempt, range(100)))
    assert sorted(count for count, _ in attempts) == list(range(1, 101))
    assert sum(allowed for _, allowed in attempts) == 30


def test_who_is_known_is_known_for_a_while(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        throttles.remember(conn, "k", now=NOW, keep=DAY)
        throttles.remember(conn, "k", now=NOW + DAY / 2, keep=DAY)
        assert throttles.is_known(conn, "k", NOW + DAY)
        assert not throttles.is_known(conn, "k", NOW + 2 * DAY)
        assert not throttles.is_known(conn, "other", NOW)
        throttles.fail(conn, ThrottleScope.PAIR, "k", now=NOW, keep=DAY)
        sweep(conn, vault, NOW + DAY)
        assert conn.execute(select(throttles_table.c.scope)).scalars().all() == ["known"]


def test_a_key_tells_neither_an_address_nor_a_name() -> None:
    ring = KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32)
    keys = {
        ring.throttle_key(*words) for words in (("pair", "a", "b"), ("pair", "ab"), ("login", "a", "b"), ("pair", "a"))
    }
    assert len(keys) == 4
    assert all(len(key) == 64 for key in keys)
