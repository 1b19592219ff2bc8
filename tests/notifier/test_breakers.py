"""The breaker's states as a story each: trip, probe, recover, and a probe that never reports."""

from __future__ import annotations

from datetime import datetime, timedelta

from notifier.breakers import PROBE_LIMIT, PROBES, Breaker, State
from tests.notifier.samples import NOW


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_closed_lets_everything_through() -> None:
    assert Breaker().may_send(NOW)
    assert Breaker().probing(NOW) == Breaker()
    assert Breaker().succeeded() == Breaker()


def test_tripped_it_stops_until_the_probe() -> None:
    opened = Breaker().trip(20003, NOW)
    assert (opened.state, opened.code, opened.since, opened.next_at) == (State.OPEN, 20003, NOW, after(1))
    assert not opened.may_send(after(0.99))
    assert opened.may_send(after(1))


def test_one_probe_at_a_time() -> None:
    probing = Breaker().trip(20003, NOW).probing(after(1))
    assert probing.state is State.HALF_OPEN
    assert not probing.may_send(after(1))
    assert probing.probing(after(1)) == probing


def test_a_good_probe_closes_it() -> None:
    assert Breaker().trip(20003, NOW).probing(after(1)).succeeded() == Breaker()


def test_bad_probes_wait_longer_each_time_up_to_an_hour() -> None:
    breaker, now = Breaker().trip(20003, NOW), NOW
    waits = []
    for _ in range(8):
        assert breaker.next_at is not None
        waits.append(breaker.next_at - now)
        now = breaker.next_at
        breaker = breaker.probing(now).trip(21606, now)
    assert waits == [*PROBES, PROBES[-1], PROBES[-1]]
    assert (breaker.since, breaker.code, breaker.probes) == (NOW, 21606, 8)


def test_late_answers_of_texts_from_before_change_nothing() -> None:
    opened = Breaker().trip(20003, NOW)
    assert opened.trip(20003, after(0.5)) == opened
    assert opened.succeeded() == opened


def test_a_probe_that_never_reports_lapses() -> None:
    probing = Breaker().trip(20003, NOW).probing(after(1))
    lapsed = after(1) + PROBE_LIMIT
    assert not probing.may_send(lapsed - timedelta(seconds=1))
    assert probing.may_send(lapsed)
    assert probing.probing(lapsed).next_at == lapsed + PROBE_LIMIT


def test_a_person_can_close_it() -> None:
    assert Breaker().trip(20003, NOW).reset() == Breaker()
