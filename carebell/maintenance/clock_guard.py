"""The time that forgetting uses when the machine's clock jumps ahead. A key that is destroyed too early is lost for ever.

The wall clock is compared with the monotonic clock, and at the first call with the database server's clock, if there is one. If
the wall clock is ahead, it was either set wrong, or corrected (or the machine slept). For `PATIENCE` forgetting uses the time of
the other clocks: what is due by that time is forgotten on time. After `PATIENCE` it uses the wall clock. So a wrong jump that is
corrected in that time destroys nothing, and a right one delays no deadline by more than `PATIENCE`, which together with a round
is within the promised 15 minutes (docs/decisions/0011).

If the clock is set back, forgetting uses it at once: forgetting late can be made up for, forgetting early cannot.
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
"""A correction of at most this size does no harm; time daemons step by less."""


@dataclass(slots=True, kw_only=True)
class ClockGuard:
    """The guard of one node, called once in each round.

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
        """The time for forgetting: `wall`, or an earlier time while `wall` is in doubt."""
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
    """The guard of the machine's clock; None for a rehearsal's clock, which is never doubted."""
    if not isinstance(clock, RealClock):
        return None
    return ClockGuard(seconds=time.monotonic, witness=store.server_time, journal=journal)
