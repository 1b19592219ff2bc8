"""When a target that does not answer is tried again. Pure: randomness and time are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 15, 30, 60, 120, 240, 300))
"""After the first failed attempt, the second ...; the last one for all later."""
_JITTER: Final = 0.2
FAILURES: Final = 10
"""So many attempts in a row without an answer open the breaker."""
PROBE_EVERY: Final = timedelta(seconds=60)


def pause_after(attempt: int, chance: float) -> timedelta:
    """How long to wait after this attempt.

    Args:
        attempt: 1 for the first.
        chance: from 0 to 1; moves the pause by up to 20 % either way.
    """
    return PAUSES[min(attempt, len(PAUSES)) - 1] * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(slots=True)
class TargetBreaker:
    """Whether a target answers. After `FAILURES` in a row one message may try each `PROBE_EVERY`, and the others wait.

    Attributes:
        failures: attempts in a row without any answer. probe_at: when the next may try, UTC; None: closed.
        rests_until: the target asked to be left alone until then, UTC; None: it did not.
    """

    failures: int = 0
    probe_at: datetime | None = None
    rests_until: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.probe_at is not None

    def may_try(self, now: datetime) -> bool:
        """Whether a message may leave now."""
        return all(moment is None or moment <= now for moment in (self.probe_at, self.rests_until))

    def rest(self, until: datetime) -> None:
        """Let it alone until then; several that say so mean the last."""
        self.rests_until = until if self.rests_until is None else max(until, self.rests_until)

    def failed(self, now: datetime) -> None:
        self.failures += 1
        if self.failures >= FAILURES:
            self.probe_at = now + PROBE_EVERY

    def answered(self) -> bool:
        """It answers, whatever it says. Return whether it did not before."""
        was_silent, self.failures, self.probe_at = self.failures > 0, 0, None
        return was_silent
