"""Clocks: the machine's clock, a clock that stands still until it is moved, and a clock that runs faster.

Only `carebell/` reads a clock; every other package gets `now` as an argument.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The service's time: aware, in UTC."""

    def now(self) -> datetime: ...


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SteppingClock:
    """A clock that stands still until it is moved: for the demo and for tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Move forward or back. Moving back simulates a clock jump."""
        self._now = instant.astimezone(UTC)


class AcceleratedClock:
    """A clock that begins at another time and runs `speed` times as fast: a week of reminders in minutes.

    Args:
        start: its first instant, UTC.
        speed: its seconds for each second of the machine; 1 changes only the start.
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
