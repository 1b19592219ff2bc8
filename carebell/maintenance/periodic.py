"""A node's ticks: each fails on its own, is told once, and comes again; those under way can be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from journal.events import Event
from journal.logs import Journal
from journal.traces import trace
from scheduler.clock import Clock, RealClock, Tick
from store.faults import classify

_CLOCK_JUMP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds of the machine between two ticks.

    Attributes:
        dispatch: a text is at most this late on an idle service.
        keep_house: a phone is at most this long in the files after its time.
    """

    dispatch: float = 1.0
    reconciliation: float = 15.0
    purge: float = 15.0

    @classmethod
    def at_speed(cls, speed: float) -> Pace:
        """The same pace on a clock that runs `speed` times as fast, as far as a machine can."""
        return cls(dispatch=max(0.02, 1 / speed), reconciliation=max(0.1, 15 / speed), purge=max(0.1, 15 / speed))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicTasks:
    """Makes ticks out of work.

    Attributes:
        database: its kind, for the log.
        seconds: a monotonic counter.
    """

    journal: Journal
    database: str
    seconds: Callable[[], float]
    _down: dict[str, float] = field(default_factory=dict, init=False)  # tick -> when its database went away
    _busy: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def tick(self, name: str, seconds: float, run: Callable[[], Awaitable[None]]) -> Tick:
        """A tick whose failure is logged and does not end the next one."""

        async def guarded() -> None:
            task = asyncio.current_task()
            if task is not None:
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)
            try:
                await run()
            except Exception as error:
                self._tell_failure(name, error)
            else:
                self._tell_recovery(name)

        return Tick(name=name, seconds=seconds, run=guarded)

    async def finish(self) -> None:
        """Let ticks that are under way end: a text handed to the gateway must be recorded."""
        while self._busy:
            await asyncio.wait(set(self._busy), timeout=10)

    def _tell_failure(self, name: str, error: Exception) -> None:
        fault = classify(error)
        if fault is not None and fault.transient:
            if name not in self._down:
                self._down[name] = self.seconds()
                self.journal.emit(Event.DATABASE_UNAVAILABLE, database=self.database, reason=fault.code)
        elif name == "housekeeping":
            reason = fault.code if fault is not None else "INTERNAL"
            self.journal.emit(Event.PURGE_FAILED, reason=reason, **trace(error))
        else:
            self.journal.emit(Event.INTERNAL_ERROR, where=name, **trace(error))

    def _tell_recovery(self, name: str) -> None:
        since = self._down.pop(name, None)
        if since is not None:
            seconds = round(self.seconds() - since, 1)
            self.journal.emit(Event.DATABASE_RECOVERED, database=self.database, seconds=seconds)


class ClockComparison:
    """Says so when the machine's clock was set: texts leave by the new time from then on."""

    def __init__(self, clock: Clock, journal: Journal, seconds: Callable[[], float]) -> None:
        self._clock = clock
        self._journal = journal
        self._seconds = seconds
        self._before: tuple[float, datetime] | None = None

    def look(self) -> None:
        """Compare what both clocks counted since the last look."""
        if not isinstance(self._clock, RealClock):
            return
        here = (self._seconds(), self._clock.now())
        before, self._before = self._before, here
        if before is not None:
            shift = (here[1] - before[1]).total_seconds() - (here[0] - before[0])
            if abs(shift) > _CLOCK_JUMP_SECONDS:
                self._journal.emit(Event.CLOCK_JUMPED, shift_seconds=round(shift, 1))


def in_thread(work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Blocking work as a tick's."""
    return lambda: asyncio.to_thread(work)
