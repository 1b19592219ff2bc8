"""What a rehearsal comes to for one environment: counts by day, hour, lead time, reason and cap; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from carebell.bootstrap.rehearsal import RehearsedText
from config.model import Caps
from scheduler.sms import Cap, SmsKind, SmsState
from store.claims import DAY, WEEK

ON_TIME: Final = timedelta(minutes=1)
"""As in `report`: a text that leaves later than this after its time is late."""
KINDS: Final = tuple(kind for kind in SmsKind if kind is not SmsKind.ANSWER)
_LEADS: Final = (
    ("under 1 h", timedelta(hours=1)),
    ("1 to 4 h", timedelta(hours=4)),
    ("4 to 12 h", timedelta(hours=12)),
    ("12 to 24 h", timedelta(hours=24)),
    ("1 to 2 days", timedelta(days=2)),
    ("2 to 4 days", timedelta(days=4)),
    ("4 to 8 days", timedelta(days=8)),
    ("over 8 days", timedelta.max),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapUse:
    """One cap's effect.

    Attributes:
        limit: as configured.
        stopped: texts that it kept.
        numbers: texts within its hours or days -> how many numbers received so many at most.
    """

    limit: int
    stopped: int
    numbers: dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One environment's texts of the days `begins` and the `days - 1` after it, by the clinic's clock.

    Attributes:
        texts: in the order of their time. later: how many texts wait for a day after them.
    """

    environment: str
    zone: str
    begins: date
    days: int
    caps: Caps
    texts: tuple[RehearsedText, ...] = field(repr=False)
    later: int

    @property
    def dates(self) -> list[date]:
        return [self.begins + timedelta(days=number) for number in range(self.days)]

    @property
    def sent(self) -> list[RehearsedText]:
        return [text for text in self.texts if text.left]

    @property
    def silences(self) -> list[RehearsedText]:
        return [text for text in self.texts if not text.left]

    def local(self, text: RehearsedText) -> datetime:
        return text.at.astimezone(ZoneInfo(self.zone))

    def by_date(self, kind: SmsKind | None) -> list[int]:
        """Texts on each of `dates`: sent ones of a kind; None: those that are not sent."""
        counts = Counter(self.local(text).date() for text in self._of(kind))
        return [counts[day] for day in self.dates]

    def by_hour(self, kind: SmsKind) -> list[int]:
        """Texts of a kind sent in each hour of the day, 0 to 23."""
        counts = Counter(self.local(text).hour for text in self._of(kind))
        return [counts[hour] for hour in range(24)]

    def leads(self) -> list[tuple[str, int]]:
        """How long before the visit reminders arrive: (words, how many)."""
        leads = [text.start - text.at for text in self._of(SmsKind.REMINDER) if text.start is not None]
        counts = Counter(next(words for words, below in _LEADS if lead < below) for lead in leads)
        return [(words, counts[words]) for words, _ in _LEADS]

    def reasons(self) -> list[tuple[str, int]]:
        """Why texts are not sent, the most frequent first."""
        return Counter(text.row.reason.value for text in self.silences).most_common()

    def late(self) -> list[timedelta]:
        """By how much those texts are late that left more than `ON_TIME` after their time."""
        waits = [text.at - text.row.due for text in self.sent if text.row.due is not None]
        return [wait for wait in waits if wait > ON_TIME]

    def segments(self) -> int:
        return sum(text.text.segments for text in self.sent if text.text is not None)

    def cap(self, cap: Cap) -> CapUse:
        limit, span = (self.caps.per_day, DAY) if cap is Cap.PER_DAY else (self.caps.per_week, WEEK)
        most = Counter(_most_within(times, span) for times in self._times_by_number().values())
        return CapUse(
            limit=limit,
            stopped=sum(text.cap is cap for text in self.texts),
            numbers={texts: most[texts] for texts in sorted(most)},
        )

    def _times_by_number(self) -> dict[str, list[datetime]]:
        times: defaultdict[str, list[datetime]] = defaultdict(list)
        for text in self.sent:
            if text.row.phone_key is not None:
                times[text.row.phone_key].append(text.at)
        return times

    def _of(self, kind: SmsKind | None) -> Iterator[RehearsedText]:
        return (text for text in self.texts if (text.row.kind is kind if text.left else kind is None))


def _most_within(times: Sequence[datetime], span: timedelta) -> int:
    """The most of these (ascending) instants within one span."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


def midnight(day: date, zone: str) -> datetime:
    """When a day begins on the clinic's clock, UTC."""
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def calendar_of(
    texts: Iterable[RehearsedText], *, environment: str, zone: str, caps: Caps, begins: date, days: int
) -> Calendar:
    """The environment's texts within the days. What is due after them is counted in `later` unless it is not sent anyway."""
    first, end = midnight(begins, zone), midnight(begins + timedelta(days=days), zone)
    own = [text for text in texts if text.row.environment == environment]
    return Calendar(
        environment=environment,
        zone=zone,
        begins=begins,
        days=days,
        caps=caps,
        texts=tuple(text for text in own if first <= text.at < end and text.row.state is not SmsState.DUE),
        later=sum(text.row.state is SmsState.DUE for text in own),
    )
