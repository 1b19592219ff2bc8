"""A breaker stops a sender or an environment after an error that every further text would meet too; pure.

closed --trip--> open --(probe time)--> half-open --succeeded--> closed
                  ^------tripped or lapsed-----------'

While open, texts wait (they spend no retry). At the probe time one due text goes out to see; its answer closes the breaker or
opens it for longer. A probe whose fate is unknown lapses after `PROBE_LIMIT`, so that a crash cannot leave it half-open for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

PROBES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60))
"""Wait before each probe in turn; the last one repeats."""
PROBE_LIMIT: Final = timedelta(minutes=2)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One breaker. Every method returns the next value; `now` is UTC.

    Attributes:
        code: the error that tripped it last.
        since: when it first opened; None: closed.
        probes: probes that failed since then.
        next_at: open: when a probe may go; half-open: when the running probe lapses.
    """

    state: State = State.CLOSED
    code: int | None = None
    since: datetime | None = None
    probes: int = 0
    next_at: datetime | None = None

    def trip(self, code: int, now: datetime) -> Breaker:
        """Open it. Texts that were under way when it opened report the same error: they move no probe."""
        if self.state is State.OPEN:
            return replace(self, code=code)
        probes = self.probes + 1 if self.state is State.HALF_OPEN else 0
        return Breaker(
            state=State.OPEN,
            code=code,
            since=self.since or now,
            probes=probes,
            next_at=now + PROBES[min(probes, len(PROBES) - 1)],
        )

    def succeeded(self) -> Breaker:
        """A text was accepted, or refused for what it is itself (21610, say). Only a probe closes the breaker by it: a text
        from before the trip proves nothing.
        """
        return Breaker() if self.state is State.HALF_OPEN else self

    def may_send(self, now: datetime) -> bool:
        """Whether a text may leave. True while open means: as the probe; `probing` must be stored before it leaves."""
        return self.state is State.CLOSED or (self.next_at is not None and now >= self.next_at)

    def probing(self, now: datetime) -> Breaker:
        """The breaker while one text is out as its probe; unchanged where no probe is due."""
        if self.state is State.CLOSED or not self.may_send(now):
            return self
        return replace(self, state=State.HALF_OPEN, next_at=now + PROBE_LIMIT)

    def reset(self) -> Breaker:
        """Closed by a person who has mended the cause."""
        return Breaker()
