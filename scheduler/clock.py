"""Clocks, and the alarm that rings for the dispatcher and the housekeeping.

Only the front door reads a clock; every other room gets `now` as a parameter. The outbox is the truth about what is due;
APScheduler is the alarm clock alone: periodic ticks from memory, never dropped for being late, never two at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler


class Clock(Protocol):
    """The service's time, UTC and aware."""

    def now(self) -> datetime: ...


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SteppingClock:
    """Stands still until told to move: for the demo and for tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Forward or back; instants before the present one are how a clock jump is rehearsed."""
        self._now = instant.astimezone(UTC)


class AcceleratedClock:
    """Starts elsewhere and runs `speed` times as fast: a week of reminders in minutes.

    Args:
        start: where its time begins, UTC.
        speed: seconds of its time per second of the machine's; 1 only moves the start.
        monotonic: seconds that never go back; injected by tests.
    """

    def __init__(self, start: datetime, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        if speed <= 0:
            raise ValueError("the speed of a clock must be above 0")
        self._start = start.astimezone(UTC)
        self.speed = speed
        self._monotonic = monotonic
        self._origin = monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(self._monotonic() - self._origin) * self.speed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A periodic job: its name, the machine's seconds between two runs, and what it does."""

    name: str
    seconds: float
    run: Callable[[], Awaitable[None]]


class Alarm:
    """Runs ticks on the running event loop until closed. A tick that outlasts its period is followed by one run, not by many."""

    def __init__(self, ticks: list[Tick]) -> None:
        # A tick that is still running when its time comes again is skipped, by design: not worth a line each.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler: Any = AsyncIOScheduler(timezone=UTC, executors={"default": _CancelsNothing()})
        for tick in ticks:
            self._scheduler.add_job(
                _on_the_loop(tick.run),
                "interval",
                id=tick.name,
                seconds=tick.seconds,
                misfire_grace_time=None,
                coalesce=True,
                max_instances=1,
            )

    def start(self) -> None:
        self._scheduler.start()

    def close(self) -> None:
        """Ring no more; a tick under way is the caller's to await."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


class _CancelsNothing(AsyncIOExecutor):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler's own cancels at its end what runs; a tick that has claimed texts must come to its own."""

    def shutdown(self, wait: bool = True) -> None:
        """Nothing to do: the ticks under way are the caller's."""


def _on_the_loop(run: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """APScheduler awaits only what is written `async def`; any other callable it would put in a thread and never await."""

    async def ring() -> None:
        await run()

    return ring
