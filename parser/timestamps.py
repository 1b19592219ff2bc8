"""Times as HL7 senders write them, and the instants that they mean.

Sources: HL7 v2.9 chapter 2A, DTM and TS, as `certs.dtm` reads them; MSH-7 (chapter 2): its offset is the default for the
message's times. Most senders write no offset and mean the clinic's wall clock (41 of 61 public samples).

An offset in MSH-7 is the sender's on the day of *sending*. If it equals the offset of the clinic's zone at that moment, the
sender uses the clinic's clock. Then a time without offset is read on that clock on the day of the visit, so a winter message
about a summer visit is not an hour off. Any other offset in MSH-7 is used unchanged.

No function here raises, whatever the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from certs import dtm
from certs.dtm import Precision, read_offset


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time as written.

    Attributes:
        wall: naive: the written digits, to the second.
        offset: the written offset; None: none was written.
        precision: the smallest part that is given; DAY: no time of day was given, and `wall` is midnight.
    """

    wall: datetime
    offset: timedelta | None = None
    precision: Precision = Precision.SECOND

    @property
    def date_only(self) -> bool:
        return self.precision is Precision.DAY


class Basis(Enum):
    """What was used to turn a written time into an instant."""

    VALUE = "offset on the value"
    HEADER = "offset of MSH-7"
    CLOCK = "the clinic's wall clock"


@dataclass(frozen=True, slots=True)
class Instant:
    """The instant that a written time means.

    Attributes:
        utc: aware, UTC.
        gap: the wall time does not exist (clocks went forward); `utc` is shifted forward by the gap.
        overlap: the wall time exists twice (clocks went back); `utc` is the earlier.
        precision: the smallest part that is given; DAY: `utc` is the day's first moment.
    """

    utc: datetime
    basis: Basis
    precision: Precision = Precision.SECOND
    gap: bool = False
    overlap: bool = False

    @property
    def date_only(self) -> bool:
        return self.precision is Precision.DAY


def read_timestamp(text: str) -> Timestamp | None:
    """The time in `text`, with at least the day; None: it is not a time."""
    return None if len(text) > _MOST_KEPT else _read(text)


_MOST_KEPT: Final = 64  # characters of what the cache holds


@lru_cache(maxsize=4096)  # a message writes its start in two or three places, and a clinic's day has few starts
def _read(text: str) -> Timestamp | None:
    try:
        time = dtm.read(text)
    except ValueError:
        return None
    return Timestamp(time.wall.replace(microsecond=0), time.offset, time.precision)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The zone or offset of a message's times that have no offset.

    Attributes:
        zone: the clinic's: the location's zone if it is known, else the environment's.
        header: MSH-7's offset if it is not the clinic's; None: times without offset are wall clock of `wall`.
        wall: the zone of times without offset.
    """

    zone: ZoneInfo
    wall: ZoneInfo
    header: timedelta | None = None

    @classmethod
    def of(cls, sent_at: datetime, sent_offset: str | None, location: str | None, environment: str) -> Clocks:
        """The clocks of one message.

        Args:
            sent_at: MSH-7, aware.
            sent_offset: MSH-7's own offset, `+hhmm`; None: it has none.
            location: IANA zone of the visit's location, where the configuration names one.
            environment: the environment's IANA zone.
        """
        zone = zone_of(location or environment)
        offset = None if sent_offset is None else read_offset(sent_offset)
        if offset is None:
            return cls(zone, zone)
        for candidate in (zone, zone_of(environment)):
            if sent_at.astimezone(candidate).utcoffset() == offset:
                return cls(zone, candidate)
        return cls(zone, zone, offset)

    def read(self, text: str) -> Instant | None:
        """The instant of a time as it was written; None: it is not a time."""
        return None if len(text) > _MOST_KEPT else _meant(text, self.zone, self.wall, self.header)

    def instant(self, timestamp: Timestamp) -> Instant:
        """The instant of a written time, by its own offset, else MSH-7's, else the clinic's clock.

        A date without a time is a day of the clinic's calendar, whatever the offsets: the result is its first moment there.
        """
        wall, precision = timestamp.wall, timestamp.precision
        if timestamp.date_only:
            return _on_the_clock(wall, self.zone, precision)
        if timestamp.offset is not None:
            return Instant(_fixed(wall, timestamp.offset), Basis.VALUE, precision)
        if self.header is not None:
            return Instant(_fixed(wall, self.header), Basis.HEADER, precision)
        return _on_the_clock(wall, self.wall, precision)


@lru_cache(maxsize=4096)  # messages write one start in two or three places, and many visits begin at one time
def _meant(text: str, zone: ZoneInfo, wall: ZoneInfo, header: timedelta | None) -> Instant | None:
    timestamp = _read(text)
    return None if timestamp is None else Clocks(zone, wall, header).instant(timestamp)


def _fixed(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


@lru_cache(maxsize=4096)
def _on_the_clock(wall: datetime, zone: tzinfo, precision: Precision) -> Instant:
    # fold=0 is right in both cases: in a gap it uses the offset before the change, which gives a time after the gap;
    # in an overlap it gives the first of the two.
    earlier = wall.replace(tzinfo=zone)
    before, after = earlier.utcoffset(), earlier.replace(fold=1).utcoffset()
    utc = earlier.astimezone(UTC)
    if before is None or after is None or before == after:
        return Instant(utc, Basis.CLOCK, precision)
    return Instant(utc, Basis.CLOCK, precision, gap=before < after, overlap=before > after)


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of a checked configuration value."""
    return ZoneInfo(name)


def offset_text(offset: timedelta) -> str:
    """`+hhmm`, for people."""
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).strftime("%z")
