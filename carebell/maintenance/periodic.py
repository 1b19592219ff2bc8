"""A node's periodic tasks: if one fails, it is logged and runs again, and the others continue; runs under way can be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from carebell.maintenance.supervisor import Supervisor
from journal.events.database import DatabaseRecovered, DatabaseUnavailable
from journal.events.retention import PurgeFailed
from journal.events.service import ClockJumped, InternalError, TaskRecovered
from journal.events.shared import ErrorTrace, TaskName
from journal.logs import Journal
from journal.traces import trace
from scheduler.clock import Clock, RealClock
from store.faults import StoreFault, classify, is_fatal

PATIENCE: Final = 300.0
"""Seconds that a run may take, or fail in a row, before `/health` shows the task as stalled."""
SAID_AGAIN: Final = 3600.0
"""A failure that repeats is logged again after so many seconds."""
_CLOCK_JUMP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds of the machine between two runs of each periodic task.

    Attributes:
        dispatch: a text is at most this late on an idle service.
        purge: a phone is at most this long in the files after its time.
        beat: how often a node writes its heartbeat to the database.
        clock: how soon a changed clock is noticed.
        overdue: how soon a gateway that does not answer is.
        alarms: how soon an alarm is raised or cleared.
        visits: how soon it is noticed that a patient left the waiting room without a word, or that a visit's time is over.
    """

    dispatch: float = 1.0
    reconciliation: float = 15.0
    purge: float = 15.0
    beat: float = 15.0
    clock: float = 1.0
    overdue: float = 15.0
    alarms: float = 15.0
    visits: float = 5.0

    @classmethod
    def at_speed(cls, speed: float) -> Pace:
        """The same pace on a clock that runs `speed` times as fast, as far as a machine can follow."""
        rare = max(0.1, 15 / speed)
        return cls(
            dispatch=max(0.02, 1 / speed),
            reconciliation=rare,
            purge=rare,
            overdue=rare,
            alarms=max(1.0, 15 / speed),
            visits=max(0.1, 5 / speed),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicTask:
    """Attributes:
    seconds: of the machine between the beginnings of two runs.
    run: what it does.
    """

    name: TaskName
    seconds: float
    run: Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class _Failing:
    """A task that fails. `held_back`: failures that were not logged since `logged_at`."""

    trace: ErrorTrace
    since: float
    logged_at: float
    held_back: int = 0


class PeriodicTasks:
    """Runs tasks repeatedly on the monotonic clock, which cannot be set.

    If a run takes longer than its period, one run follows at once, not many. A failed run is logged, and the task runs again. Each
    task is a background task of the supervisor.

    Args:
        database: its kind, for the log.
        seconds: a monotonic counter.
        on_fatal: called if the database is damaged; it must end the process.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        database: str,
        seconds: Callable[[], float],
        supervisor: Supervisor,
        on_fatal: Callable[[StoreFault], None] = lambda _: None,
    ) -> None:
        self._on_fatal = on_fatal
        self._journal = journal
        self._database = database
        self._seconds = seconds
        self._supervisor = supervisor
        self._closed = False
        self._wake: dict[str, asyncio.Event] = {}
        self._unavailable: dict[str, float] = {}  # task -> when its database went away
        self._failures: dict[TaskName, _Failing] = {}
        self._finished: dict[str, float] = {}  # task -> when its last good run ended
        self._patience: dict[str, float] = {}
        self._under_way: dict[str, float] = {}  # task -> when the run began that has not ended

    def start(self, task: PeriodicTask) -> None:
        """Start a task; the first run begins after one period."""
        wake = self._wake[task.name] = asyncio.Event()
        self._patience[task.name] = task.seconds + PATIENCE
        self._finished[task.name] = self._seconds()
        self._supervisor.start(task.name, partial(self._repeat, task, wake), is_over=self.is_closed)

    def run_now(self) -> None:
        """Let the next run of every task begin at once."""
        for wake in self._wake.values():
            wake.set()

    def is_closed(self) -> bool:
        """Whether no more runs begin."""
        return self._closed

    def close(self) -> None:
        """Begin no more runs."""
        self._closed = True
        self.run_now()

    async def finish(self) -> None:
        """Wait for runs that are under way, because a posted text must be recorded."""
        self.close()
        for name in self._wake:
            await self._supervisor.tasks[name].ended()

    def stalled(self) -> dict[str, float]:
        """Tasks without a good run for `PATIENCE` more than their period: name -> seconds since the last, or since the start."""
        now = self._seconds()
        return {
            name: round(now - finished, 1)
            for name, finished in self._finished.items()
            if now - finished > self._patience[name]
        }

    def hung(self) -> dict[str, float]:
        """Tasks with a run that has not come back for `PATIENCE`, where a failing one would have: name -> seconds."""
        now = self._seconds()
        return {name: round(now - began, 1) for name, began in self._under_way.items() if now - began > PATIENCE}

    async def _repeat(self, task: PeriodicTask, wake: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()  # its time is the machine's monotonic time
        next_at = loop.time() + task.seconds
        while not self.is_closed():
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), max(next_at - loop.time(), 0.0))
            if self.is_closed():
                return
            wake.clear()
            next_at = loop.time() + task.seconds
            self._under_way[task.name] = self._seconds()
            try:
                await task.run()
            except Exception as error:
                self._log_failure(task.name, error)
            else:
                self._finished[task.name] = self._seconds()
                self._log_recovery(task.name)
            finally:
                del self._under_way[task.name]

    def _log_failure(self, name: TaskName, error: Exception) -> None:
        fault = classify(error)
        if fault is not None and is_fatal(error):
            self._on_fatal(fault)
        elif fault is not None and fault.transient:
            if name not in self._unavailable:
                self._unavailable[name] = self._seconds()
                self._journal.emit(DatabaseUnavailable(database=self._database, reason=fault.code, trace=trace(error)))
        elif (repeats := self._failing(name, error)) is None:
            return
        elif name == "housekeeping":
            reason = fault.code if fault is not None else "INTERNAL"
            self._journal.emit(PurgeFailed(reason=reason, trace=trace(error), repeats=repeats or None))
        else:
            self._journal.emit(InternalError(where=name, trace=trace(error), repeats=repeats or None))

    def _failing(self, name: TaskName, error: Exception) -> int | None:
        """How many failures like this one were not logged since the last line; None: this one is not logged either.

        A task that always fails would fill the log with a line for each run.
        """
        failure, now = trace(error), self._seconds()
        before = self._failures.get(name)
        if before is None or before.trace != failure:
            since = now if before is None else before.since
            self._failures[name] = _Failing(trace=failure, since=since, logged_at=now)
            return 0
        if now - before.logged_at < SAID_AGAIN:
            before.held_back += 1
            return None
        repeats, before.held_back, before.logged_at = before.held_back, 0, now
        return repeats

    def _log_recovery(self, name: TaskName) -> None:
        since = self._unavailable.pop(name, None)
        if since is not None:
            seconds = round(self._seconds() - since, 1)
            self._journal.emit(DatabaseRecovered(database=self._database, seconds=seconds))
        failing = self._failures.pop(name, None)
        if failing is not None:
            self._journal.emit(
                TaskRecovered(
                    name=name, repeats=failing.held_back or None, seconds=round(self._seconds() - failing.since, 1)
                )
            )


class ClockComparison:
    """Logs when the machine's clock was set, and lets the texts that are due by the new time be decided at once.

    Args:
        on_jump: called after the warning.
    """

    def __init__(
        self, clock: Clock, journal: Journal, seconds: Callable[[], float], on_jump: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._seconds = seconds
        self._on_jump = on_jump
        self._before: tuple[float, datetime] | None = None

    async def look(self) -> None:
        """Compare how far both clocks advanced since the last call."""
        if not isinstance(self._clock, RealClock):
            return
        counted, now = self._seconds(), self._clock.now()
        before, self._before = self._before, (counted, now)
        if before is None:
            return
        shift = (now - before[1]).total_seconds() - (counted - before[0])
        if abs(shift) > _CLOCK_JUMP_SECONDS:
            self._journal.emit(ClockJumped(shift_seconds=round(shift, 1)))
            self._on_jump()


def in_thread(work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """A periodic task's function that runs blocking work in a thread."""
    return lambda: asyncio.to_thread(work)
