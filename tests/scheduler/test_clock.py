"""Clocks whose seconds are ours, and the alarm with periods of milliseconds: what happens, never how fast."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from scheduler.clock import AcceleratedClock, Alarm, Clock, RealClock, SteppingClock, Tick

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
PERIOD = 0.005
PATIENCE = 60  # seconds until a test that waits for a tick gives up


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


class Counted:
    """A tick's work that counts itself and can be waited for."""

    def __init__(self, then: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.runs = 0
        self._then = then
        self._rang = asyncio.Condition()

    async def __call__(self) -> None:
        self.runs += 1
        async with self._rang:
            self._rang.notify_all()
        if self._then is not None:
            await self._then(self.runs)

    async def wait_for(self, runs: int) -> None:
        async with asyncio.timeout(PATIENCE), self._rang:
            await self._rang.wait_for(lambda: self.runs >= runs)


async def test_ticks_ring_again_and_again_each_by_itself() -> None:
    one, other = Counted(), Counted()
    alarm = Alarm([Tick(name="one", seconds=PERIOD, run=one), Tick(name="other", seconds=PERIOD, run=other)])
    alarm.start()
    await one.wait_for(3)
    await other.wait_for(3)
    alarm.close()


async def test_nothing_rings_before_the_start_or_after_the_end() -> None:
    quiet, witness = Counted(), Counted()
    alarm = Alarm([Tick(name="quiet", seconds=PERIOD, run=quiet)])
    clock = Alarm([Tick(name="witness", seconds=PERIOD, run=witness)])
    clock.start()
    await witness.wait_for(3)
    assert quiet.runs == 0
    alarm.start()
    await quiet.wait_for(1)
    alarm.close()
    await witness.wait_for(witness.runs + 2)  # what was already on its way has arrived
    heard = quiet.runs
    await witness.wait_for(witness.runs + 5)
    assert quiet.runs == heard
    clock.close()


async def test_a_tick_that_outlasts_its_period_is_never_two_at_a_time() -> None:
    go_on = asyncio.Event()
    here: list[int] = []
    most = 0

    async def linger(run: int) -> None:
        nonlocal most
        here.append(run)
        most = max(most, len(here))
        await go_on.wait()
        here.remove(run)

    slow, witness = Counted(linger), Counted()
    alarm = Alarm([Tick(name="slow", seconds=PERIOD, run=slow), Tick(name="witness", seconds=PERIOD, run=witness)])
    alarm.start()
    await slow.wait_for(1)
    await witness.wait_for(witness.runs + 10)
    assert slow.runs == 1
    go_on.set()
    await slow.wait_for(3)
    alarm.close()
    assert most == 1


async def test_a_tick_under_way_comes_to_its_end_when_the_alarm_is_closed() -> None:
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def linger(_: int) -> None:
        await go_on.wait()
        ended.set()

    slow, witness = Counted(linger), Counted()
    alarm = Alarm([Tick(name="slow", seconds=PERIOD, run=slow)])
    clock = Alarm([Tick(name="witness", seconds=PERIOD, run=witness)])
    alarm.start()
    clock.start()
    await slow.wait_for(1)
    alarm.close()
    await witness.wait_for(witness.runs + 2)  # by then it is closed
    go_on.set()
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
    clock.close()
    assert slow.runs == 1


async def test_a_tick_that_fails_rings_again() -> None:
    async def stumble(run: int) -> None:
        if run == 1:
            raise RuntimeError("the first time only")

    tick = Counted(stumble)
    alarm = Alarm([Tick(name="stumbling", seconds=PERIOD, run=tick)])
    alarm.start()
    await tick.wait_for(2)
    alarm.close()


async def test_an_alarm_may_be_closed_before_it_was_started_and_twice() -> None:
    alarm = Alarm([])
    alarm.close()
    alarm.start()
    alarm.close()
    alarm.close()
