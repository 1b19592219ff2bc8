"""The sums of texts by day, kept for a moment: a report of three months is asked for again and again, and counts many texts.

Days are UTC's, as the times in the report are. A day that is some days old hardly changes any more, so its sums are kept longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from typing import Final

from store.engine import Store
from store.sms_pages import SmsSum, sums

LONGEST_SPAN: Final = 366
"""Days that one question may ask for."""
_DAY: Final = timedelta(days=1)
_KEPT: Final = ((timedelta(days=2), timedelta(seconds=10)), (timedelta(days=10), timedelta(minutes=5)))
"""(a day that is younger than this, how long its sums are kept): most receipts come within a day, nearly all within days."""
_KEPT_OLD: Final = timedelta(hours=1)
_MOST_DAYS: Final = 3 * LONGEST_SPAN


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounts:
    """Attributes: counted_at: UTC. sums: of the texts planned for the day."""

    day: date
    counted_at: datetime
    sums: Sequence[SmsSum]


@dataclass(frozen=True, slots=True)
class DaySums:
    """The sums of one database. May be asked by several threads; one of them counts.

    Attributes:
        now: UTC.
    """

    store: Store
    now: Callable[[], datetime]
    _counts: dict[date, DayCounts] = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def of(self, first: date, last: date) -> list[DayCounts]:
        """Every day from the first to the last, both included. ValueError: more than `LONGEST_SPAN`."""
        days = (last - first).days + 1
        if days > LONGEST_SPAN:
            raise ValueError(f"more than {LONGEST_SPAN} days")
        with self._lock:
            counts = [self._of(first + number * _DAY) for number in range(days)]
            while len(self._counts) > _MOST_DAYS:
                del self._counts[min(self._counts, key=lambda day: self._counts[day].counted_at)]
            return counts

    def _of(self, day: date) -> DayCounts:
        known, now = self._counts.get(day), self.now()
        kept = next((kept for age, kept in _KEPT if now.date() - day < age), _KEPT_OLD)
        if known is not None and timedelta() <= now - known.counted_at < kept:
            return known
        begins = datetime.combine(day, time(), UTC)
        with self.store.read() as conn:
            counted = sums(conn, begins, begins + _DAY, now)
        counts = self._counts[day] = DayCounts(day=day, counted_at=now, sums=counted)
        return counts


def silences(counts: Sequence[DayCounts], keep: Callable[[SmsSum], bool]) -> Mapping[str, int]:
    """Reason -> how many texts were not sent for it, the most frequent first."""
    by_reason: dict[str, int] = {}
    for day in counts:
        for counted in day.sums:
            if counted.state.value == "suppressed" and keep(counted):
                by_reason[counted.reason.value] = by_reason.get(counted.reason.value, 0) + counted.texts
    return dict(sorted(by_reason.items(), key=lambda pair: (-pair[1], pair[0])))
