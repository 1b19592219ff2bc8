"""How fast a sender may text: a token bucket charged in SMS segments, shared by every environment of one sender; pure.

Carriers meter segments, not texts (long code 1/s, toll-free 3/s, short code 100/s). Waiting here spends no retry. Not
thread-safe: one dispatcher asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_SHORT_CODE: Final = re.compile(r"[0-9]{5,6}")
_TOLL_FREE: Final = re.compile(r"\+1(?:800|822|833|844|855|866|877|88[0-9])[0-9]{7}")

LONG_CODE_RATE: Final = 1.0
TOLL_FREE_RATE: Final = 3.0
SHORT_CODE_RATE: Final = 100.0


def default_rate(sender: str) -> float:
    """Segments a second by kind of number; a Messaging Service counts as one long code until configured."""
    if _SHORT_CODE.fullmatch(sender):
        return SHORT_CODE_RATE
    return TOLL_FREE_RATE if _TOLL_FREE.fullmatch(sender) else LONG_CODE_RATE


@dataclass(frozen=True, slots=True)
class Bucket:
    """A sender's bucket: holds one second's worth, at least one segment; filled at `rate`.

    Attributes:
        rate: segments a second, above 0.
        level: segments in hand at `at`; negative after a text longer than the bucket is deep.
        at: UTC.
    """

    rate: float
    level: float
    at: datetime

    @classmethod
    def full(cls, rate: float, now: datetime) -> Bucket:
        return cls(rate, max(rate, 1.0), now)

    @property
    def depth(self) -> float:
        return max(self.rate, 1.0)

    def _filled(self, now: datetime) -> float:
        # A clock set back adds nothing and takes nothing.
        elapsed = max((now - self.at).total_seconds(), 0.0)
        return min(self.depth, self.level + elapsed * self.rate)

    def wait(self, segments: int, now: datetime) -> timedelta:
        """How long until `take` succeeds; zero: now. A text longer than the bucket waits for a full one."""
        missing = min(float(segments), self.depth) - self._filled(now)
        # Rounded up: a wait that is a microsecond short would fail again.
        return timedelta(0) if missing <= 0 else timedelta(microseconds=int(missing / self.rate * 1e6) + 1)

    def take(self, segments: int, now: datetime) -> Bucket | None:
        """The bucket after this text, or None where it must wait."""
        if self.wait(segments, now) > timedelta(0):
            return None
        return Bucket(self.rate, self._filled(now) - segments, now)


class SenderRates:
    """The buckets of all senders, made as they are asked for."""

    def __init__(self, segments_per_second: Mapping[str, float]) -> None:
        """Args: segments_per_second: sender -> rate, where configured; the others take `default_rate`."""
        self._rates = dict(segments_per_second)
        self._buckets: dict[str, Bucket] = {}

    def wait(self, sender: str, segments: int, now: datetime) -> timedelta:
        return self._bucket(sender, now).wait(segments, now)

    def take(self, sender: str, segments: int, now: datetime) -> bool:
        """Charge a text; False: it must wait, nothing was charged."""
        taken = self._bucket(sender, now).take(segments, now)
        if taken is not None:
            self._buckets[sender] = taken
        return taken is not None

    def _bucket(self, sender: str, now: datetime) -> Bucket:
        if sender not in self._buckets:
            self._buckets[sender] = Bucket.full(self._rates.get(sender, default_rate(sender)), now)
        return self._buckets[sender]
