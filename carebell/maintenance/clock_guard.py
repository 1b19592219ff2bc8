"""What time forgetting goes by when the machine's clock jumps ahead: a key that is destroyed too early never comes back.

The wall clock is compared with the monotonic one, and at the first look with the database server's, where there is one. If it is
ahead of what they count, one of two things is true: it was set wrong, or it was set right (or the machine slept). Until that is
known, forgetting goes on by the time that they count: what is due by that is forgotten on time. After `PATIENCE` the wall clock
is believed. So a jump that is put right meanwhile destroys nothing, and one that stays delays no deadline by more than
`PATIENCE`, which with a round's time is within the 15 minutes that are promised (docs/decisions/0011).

A clock that is put back is believed at once: forgetting later can be made good, forgetting earlier cannot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from journal.events.service import ClockBelieved, ClockDoubted
from journal.logs import Journal
from scheduler.clock import Clock, RealClock
from store.engine import Store

PATIENCE: Final = timedelta(minutes=10)
TOLERANCE: Final = timedelta(seconds=30)
"""A correction as small as this forgets nothing that matters; time daemons step by less."""


@dataclass(slots=True, kw_only=True)
class ClockGuard:
    """One node's, asked once a round.

    Attributes:
        seconds: a monotonic counter of the machine's seconds.
        witness: the database server's time, or None where the database has no clock of its own; asked once.
    """

    seconds: Callable[[], float]
    witness: Callable[[], datetime | None]
    journal: Journal
    _believed: tuple[datetime, float] | None = field(default=None, init=False)  # a good time, and the counter at it
    _since: float | None = field(default=None, init=False)  # the counter when the doubt began

    def time(self, wall: datetime) -> datetime:
        """The time to forget by: `wall`, or an earlier one while it is in doubt."""
        counted = self.seconds()
        if self._believed is None:
            self._believed = (min(wall, self.witness() or wall), counted)
        steady = self._believed[0] + timedelta(seconds=counted - self._believed[1])
        ahead = wall - steady
        if ahead <= TOLERANCE:
            self._settle(wall, counted, "put_right")
            return wall
        if self._since is None:
            self._since = counted
            self.journal.emit(
                ClockDoubted(shift_seconds=round(ahead.total_seconds(), 1), seconds=PATIENCE.total_seconds())
            )
        if counted - self._since >= PATIENCE.total_seconds():
            self._settle(wall, counted, "stayed")
            return wall
        return steady

    def _settle(self, wall: datetime, counted: float, reason: Literal["put_right", "stayed"]) -> None:
        self._believed = (wall, counted)
        if self._since is not None:
            self.journal.emit(ClockBelieved(reason=reason, seconds=round(counted - self._since, 1)))
            self._since = None


def doubt_of(clock: Clock, store: Store, journal: Journal) -> ClockGuard | None:
    """Of the machine's clock; a rehearsal's runs as it is told and is in no doubt."""
    if not isinstance(clock, RealClock):
        return None
    return ClockGuard(seconds=time.monotonic, witness=store.server_time, journal=journal)
