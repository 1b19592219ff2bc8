"""Clocks whose seconds are ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from scheduler.clock import AcceleratedClock, Clock, RealClock, SteppingClock

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


class Stopwatch:
    """The machine's monotonic seconds, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("speed", [1.0, 3600.0, 0.5])
def test_an_accelerated_clock_runs_so_many_times_as_fast(speed: float) -> None:
    watch = Stopwatch()
    clock = AcceleratedClock(NOON, speed, monotonic=watch)
    assert clock.now() == NOON
    watch.seconds += 10
    assert clock.now() == NOON + timedelta(seconds=10 * speed)


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_a_clock_never_stands_or_runs_back(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        AcceleratedClock(NOON, speed)


def test_a_stepping_clock_stands_until_it_is_moved_forward_or_back() -> None:
    clock = SteppingClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.move_to(NOON + timedelta(days=30))
    assert clock.now() == NOON + timedelta(days=30)
    clock.move_to(NOON - timedelta(hours=1))
    assert clock.now() == NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    "clock", [RealClock(), SteppingClock(NOON), AcceleratedClock(NOON)], ids=["real", "stepping", "accelerated"]
)
def test_every_clock_tells_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_a_clock_set_in_another_zone_tells_utc() -> None:
    there = timezone(timedelta(hours=-7))
    clock = SteppingClock(NOON.astimezone(there))
    assert (clock.now(), clock.now().tzinfo) == (NOON, UTC)
    clock.move_to(NOON.astimezone(there))
    assert clock.now().tzinfo is UTC
    assert AcceleratedClock(NOON.astimezone(there), monotonic=Stopwatch()).now().utcoffset() == timedelta(0)
