"""Periodic tasks with periods of milliseconds: what happens, never how fast."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from carebell.maintenance.periodic import PATIENCE as STALLED_AFTER
from carebell.maintenance.periodic import SAID_AGAIN, ClockComparison, PeriodicTask, PeriodicTasks
from carebell.maintenance.supervisor import Supervisor
from journal.logs import Journal, setup
from journal.metrics import Metrics
from scheduler.clock import RealClock, SteppingClock
from store.faults import StoreFault

PERIOD = 0.005
NEVER = 3600.0
PATIENCE = 60  # seconds until a test that waits for a run gives up


class Seconds:
    """Monotonic seconds, turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A task's work that counts itself and can be waited for."""

    def __init__(self, then: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.runs = 0
        self._then = then
        self._ran = asyncio.Condition()

    async def __call__(self) -> None:
        self.runs += 1
        async with self._ran:
            self._ran.notify_all()
        if self._then is not None:
            await self._then(self.runs)

    async def wait_for(self, runs: int) -> None:
        async with asyncio.timeout(PATIENCE), self._ran:
            await self._ran.wait_for(lambda: self.runs >= runs)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "service.log"


@pytest.fixture
def journal(log: Path) -> Any:
    with setup(now=lambda: datetime(2026, 3, 2, tzinfo=UTC), file=log, terminal=StringIO()) as journal:
        yield journal


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@asynccontextmanager
async def running(
    journal: Journal, seconds: Seconds | None = None, **tasks: tuple[float, Callable[[], Awaitable[None]]]
) -> AsyncIterator[PeriodicTasks]:
    """Tasks by name: (period, work)."""
    counter = seconds or Seconds()
    supervisor = Supervisor(journal=journal, metrics=Metrics(), seconds=counter)
    periodic = PeriodicTasks(journal=journal, database="sqlite", seconds=counter, supervisor=supervisor)
    for name, (period, work) in tasks.items():
        periodic.start(PeriodicTask(name=name, seconds=period, run=work))  # type: ignore[arg-type]  # any name does here
    try:
        yield periodic
    finally:
        async with asyncio.timeout(PATIENCE):
            await periodic.finish()


async def test_each_task_runs_again_and_again_by_itself(journal: Journal) -> None:
    first, second = Counted(), Counted()
    async with running(journal, first=(PERIOD, first), second=(PERIOD, second)):
        await first.wait_for(3)
        await second.wait_for(3)


async def test_nothing_runs_after_the_end(journal: Journal) -> None:
    work, witness = Counted(), Counted()
    async with running(journal, witness=(PERIOD, witness)):
        async with running(journal, work=(PERIOD, work)):
            await work.wait_for(1)
        runs = work.runs
        await witness.wait_for(witness.runs + 5)
        assert work.runs == runs


async def test_a_run_that_outlasts_its_period_is_never_two_at_a_time(journal: Journal) -> None:
    go_on = asyncio.Event()
    present: list[int] = []
    most = 0

    async def linger(run: int) -> None:
        nonlocal most
        present.append(run)
        most = max(most, len(present))
        await go_on.wait()
        present.remove(run)

    slow, witness = Counted(linger), Counted()
    async with running(journal, slow=(PERIOD, slow), witness=(PERIOD, witness)):
        await slow.wait_for(1)
        await witness.wait_for(witness.runs + 10)
        assert slow.runs == 1
        go_on.set()
        await slow.wait_for(3)
    assert most == 1


async def test_a_run_under_way_comes_to_its_end(journal: Journal) -> None:
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def linger(_: int) -> None:
        await go_on.wait()
        ended.set()

    slow = Counted(linger)
    async with running(journal, slow=(PERIOD, slow)) as periodic:
        await slow.wait_for(1)
        periodic.close()
        finishing = asyncio.create_task(periodic.finish())
        await asyncio.sleep(0)
        assert not finishing.done()
        go_on.set()
        async with asyncio.timeout(PATIENCE):
            await finishing
        assert ended.is_set()
    assert slow.runs == 1


async def test_what_is_to_run_now_does_not_wait_for_its_period(journal: Journal) -> None:
    work = Counted()
    async with running(journal, work=(NEVER, work)) as periodic:
        for runs in (1, 2):
            periodic.run_now()
            await work.wait_for(runs)


async def test_a_run_that_fails_is_logged_and_comes_again(journal: Journal, log: Path) -> None:
    async def stumble(run: int) -> None:
        if run == 1:
            raise RuntimeError("its text may hold a number")

    work = Counted(stumble)
    async with running(journal, work=(PERIOD, work)):
        await work.wait_for(3)
    line, recovered = lines(log)
    assert (line["event"], line["where"], line["exception"]) == ("internal_error", "work", "RuntimeError")
    assert (recovered["event"], recovered["name"]) == ("task_recovered", "work")


async def test_a_task_that_always_fails_has_a_line_an_hour_and_not_one_a_run(journal: Journal, log: Path) -> None:
    seconds = Seconds()

    async def stumble(run: int) -> None:
        if run == 6:
            seconds.now += SAID_AGAIN
        if run < 8:
            raise RuntimeError
        if run == 8:
            raise ValueError  # another failure is news

    work = Counted(stumble)
    async with running(journal, seconds, work=(PERIOD, work)):
        await work.wait_for(10)
    assert [(line["event"], line.get("exception"), line.get("repeats")) for line in lines(log)] == [
        ("internal_error", "RuntimeError", None),
        ("internal_error", "RuntimeError", 4),
        ("internal_error", "ValueError", None),
        ("task_recovered", None, None),
    ]


async def test_a_database_that_is_away_is_logged_once_and_its_return_too(journal: Journal, log: Path) -> None:
    async def stumble(run: int) -> None:
        if run < 4:
            raise StoreFault("STORE_DOWN")

    work = Counted(stumble)
    async with running(journal, work=(PERIOD, work)):
        await work.wait_for(6)
    assert [line["event"] for line in lines(log)] == ["database_unavailable", "database_recovered"]


async def test_a_task_that_is_cancelled_is_started_again(journal: Journal, log: Path) -> None:
    async def stumble(run: int) -> None:
        if run == 1:
            raise asyncio.CancelledError

    work = Counted(stumble)
    async with running(journal, work=(PERIOD, work)):
        await work.wait_for(2)
    [line] = lines(log)
    assert (line["event"], line["name"], line["exception"]) == (
        "background_task_ended",
        "work",
        "asyncio.exceptions.CancelledError",
    )


async def test_a_task_without_a_good_run_is_shown_as_stalled(journal: Journal) -> None:
    async def stumble(_: int) -> None:
        raise StoreFault("STORE_LOCKED")

    seconds, failing, good = Seconds(), Counted(stumble), Counted()
    async with running(journal, seconds, failing=(PERIOD, failing), good=(PERIOD, good)) as periodic:
        await failing.wait_for(1)
        assert periodic.stalled() == {}
        seconds.now += STALLED_AFTER + 1
        await good.wait_for(good.runs + 2)
        assert periodic.stalled() == {"failing": STALLED_AFTER + 1}


# The clock that was set


class SetClock(RealClock):
    """The machine's, as it is set by hand."""

    def __init__(self) -> None:
        self.shown = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.shown


@pytest.mark.parametrize("jump", [timedelta(minutes=10), timedelta(minutes=-10), timedelta(days=1), timedelta(days=-1)])
async def test_a_jump_is_one_warning_and_everything_runs_at_once(journal: Journal, log: Path, jump: timedelta) -> None:
    clock, seconds = SetClock(), Seconds()
    work = Counted()
    async with running(journal, work=(NEVER, work)) as periodic:
        comparison = ClockComparison(clock, journal, seconds, periodic.run_now)
        await comparison.look()
        for step in (timedelta(0), jump, timedelta(0), timedelta(0)):
            seconds.now += 1
            clock.shown += timedelta(seconds=1) + step
            await comparison.look()
        await work.wait_for(1)
    [line] = lines(log)
    assert (line["event"], line["level"], line["shift_seconds"]) == ("clock_jumped", "warning", jump.total_seconds())


async def test_small_corrections_and_a_rehearsals_clock_are_no_jumps(journal: Journal, log: Path) -> None:
    clock, seconds = SetClock(), Seconds()
    stepping = SteppingClock(clock.shown)
    jumps: list[str] = []
    machine = ClockComparison(clock, journal, seconds, lambda: jumps.append("machine"))
    rehearsal = ClockComparison(stepping, journal, seconds, lambda: jumps.append("rehearsal"))
    for _ in range(3):
        await machine.look()
        await rehearsal.look()
        seconds.now += 1
        clock.shown += timedelta(seconds=-28)
        stepping.move_to(stepping.now() + timedelta(days=1))
    assert jumps == []
    assert lines(log) == []
