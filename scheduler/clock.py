"""Clocks: the machine's, one that stands until it is moved, and one that runs faster.

Only `carebell/` reads a clock; every other package gets `now` as a parameter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


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
