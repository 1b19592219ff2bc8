"""Sums by day, kept for a moment: a report of three months is asked for again and again, and counts many texts or visits.

Days are UTC's, as the times in the report are. A day that is some days old hardly changes any more, so its sums are kept longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar

from store.engine import Store, Transaction
from store.sms_pages import SmsSum

LONGEST_SPAN: Final = 366
"""Days that one question may ask for."""
_DAY: Final = timedelta(days=1)
_KEPT: Final = ((timedelta(days=2), timedelta(seconds=10)), (timedelta(days=10), timedelta(minutes=5)))
"""(a day that is younger than this, how long its sums are kept): most receipts come within a day, nearly all within days."""
_KEPT_OLD: Final = timedelta(hours=1)
_MOST_DAYS: Final = 3 * LONGEST_SPAN
Sums = TypeVar("Sums")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounts(Generic[Sums]):
    """Attributes: counted_at: UTC. sums: of the day's texts or visits."""

    day: date
    counted_at: datetime
    sums: Sequence[Sums]


@dataclass(frozen=True, slots=True)
class DaySums(Generic[Sums]):
    """The sums of one database. May be asked by several threads; one of them counts.

    Attributes:
        now: UTC.
        count: (database, begin of a day, its end, now) -> its sums, such as `sms_pages.sums`.
    """

    store: Store
    now: Callable[[], datetime]
    count: Callable[[Transaction, datetime, datetime, datetime], Sequence[Sums]]
    _counts: dict[date, DayCounts[Sums]] = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def of(self, first: date, last: date) -> list[DayCounts[Sums]]:
        """Every day from the first to the last, both included. ValueError: more than `LONGEST_SPAN`."""
        days = (last - first).days + 1
        if days > LONGEST_SPAN:
            raise ValueError(f"more than {LONGEST_SPAN} days")
        with self._lock:
            counts = [self._of(first + number * _DAY) for number in range(days)]
            while len(self._counts) > _MOST_DAYS:
                del self._counts[min(self._counts, key=lambda day: self._counts[day].counted_at)]
            return counts

    def _of(self, day: date) -> DayCounts[Sums]:
        known, now = self._counts.get(day), self.now()
        kept = next((kept for age, kept in _KEPT if now.date() - day < age), _KEPT_OLD)
        if known is not None and timedelta() <= now - known.counted_at < kept:
            return known
        begins = datetime.combine(day, time(), UTC)
        with self.store.read() as conn:
            counted = self.count(conn, begins, begins + _DAY, now)
        counts = self._counts[day] = DayCounts(day=day, counted_at=now, sums=counted)
        return counts


def silences(counts: Sequence[DayCounts[SmsSum]], keep: Callable[[SmsSum], bool]) -> Mapping[str, int]:
    """Reason -> how many texts were not sent for it, the most frequent first."""
    by_reason: dict[str, int] = {}
    for day in counts:
        for counted in day.sums:
            if counted.state.value == "suppressed" and keep(counted):
                by_reason[counted.reason.value] = by_reason.get(counted.reason.value, 0) + counted.texts
    return dict(sorted(by_reason.items(), key=lambda pair: (-pair[1], pair[0])))
