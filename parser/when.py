"""Times as HL7 senders write them, and the instants they mean.

Sources: HL7 v2.9 chapter 2A, DTM and TS: `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`; MSH-7 (chapter 2): its offset
is the default for the message's times. Where real senders differ:

- More digits than the standard has (Epic's published example of MSH-7 has 16): the first 14 count.
- `24:00` is the midnight at the end of its day. `Z` and `+hh:mm` are offsets too.
- Most senders write no offset and mean the clinic's wall clock (41 of 61 public samples).

An offset in MSH-7 is the sender's on the day of *sending*. Where it equals what the clinic's zone has at that moment, the
sender lives by the clinic's clock, and a bare time is read on that clock on the day of the visit; so a winter message
about a summer visit is not an hour off. Any other offset in MSH-7 is taken as it stands.

Nothing here raises for any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_OFFSET: Final = r"(?P<offset>Z|[+-][0-9]{2}:?[0-5][0-9])?"
_TIMESTAMP: Final = re.compile(r"(?P<digits>[0-9]{8,24})(?:\.[0-9]{0,9})?" + _OFFSET)
_MOST_CHARACTERS: Final = 64  # the longest sensible time and some spaces: what the cache holds stays small
_FURTHEST: Final = timedelta(hours=14)  # Line Islands; further is no offset of any place
_YEARS: Final = range(1900, 2200)  # keeps every conversion to UTC inside what datetime can hold


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time as written.

    Attributes:
        wall: naive: the digits themselves.
        offset: what was written after them; None: nothing was.
        date_only: no time of day was given; `wall` is midnight.
    """

    wall: datetime
    offset: timedelta | None = None
    date_only: bool = False


class Basis(Enum):
    """What turned a written time into an instant."""

    VALUE = "offset on the value"
    HEADER = "offset of MSH-7"
    CLOCK = "the clinic's wall clock"


@dataclass(frozen=True, slots=True)
class Instant:
    """What a written time means.

    Attributes:
        utc: aware, UTC.
        gap: the wall time does not exist (clocks went forward); `utc` is shifted forward by the gap.
        overlap: the wall time exists twice (clocks went back); `utc` is the earlier.
    """

    utc: datetime
    basis: Basis
    date_only: bool = False
    gap: bool = False
    overlap: bool = False


def read_timestamp(text: str) -> Timestamp | None:
    """The time that `text` writes, at least to the day; None: it writes none."""
    return None if len(text) > _MOST_CHARACTERS else _read(text)


@lru_cache(maxsize=4096)  # a message writes its start in two or three places, and a clinic's day has few starts
def _read(text: str) -> Timestamp | None:
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        return None
    digits = match["digits"][:14]
    if len(digits) % 2:
        return None  # half a number
    day, clock = digits[:8], digits[8:].ljust(6, "0")
    if clock.startswith("24"):
        if clock != "240000":
            return None
        next_day, clock = timedelta(days=1), "000000"
    else:
        next_day = timedelta(0)
    try:
        wall = datetime(  # noqa: DTZ001  # the digits alone; the zone is another question
            int(day[:4]), int(day[4:6]), int(day[6:]), int(clock[:2]), int(clock[2:4]), int(clock[4:])
        )
    except ValueError:
        return None
    if wall.year not in _YEARS:
        return None
    offset = None if match["offset"] is None else read_offset(match["offset"])
    if match["offset"] is not None and offset is None:
        return None
    return Timestamp(wall + next_day, offset, date_only=len(digits) == 8)


@lru_cache(maxsize=256)
def read_offset(text: str) -> timedelta | None:
    """`+hhmm`, `+hh:mm` or `Z` as a timedelta; None: no offset of any place."""
    if text == "Z":
        return timedelta(0)
    digits = text[1:].replace(":", "")
    if text[:1] not in ("+", "-") or len(digits) != 4 or not (digits.isascii() and digits.isdigit()):
        return None
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if size > _FURTHEST or int(digits[2:]) > 59:
        return None
    return -size if text.startswith("-") else size


@dataclass(frozen=True, slots=True)
class Clocks:
    """Whose clock a message's bare times are written on.

    Attributes:
        zone: the clinic's: the location's where that is known, else the environment's.
        header: MSH-7's offset where that is none of the clinic's clocks; None: bare times are wall clock of `wall`.
        wall: the zone of bare times.
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

    def instant(self, timestamp: Timestamp) -> Instant:
        """The instant of a written time: its own offset, else MSH-7's, else the clinic's clock.

        A date alone is a day of the clinic's calendar whatever the offsets say: its first moment there.
        """
        wall, date_only = timestamp.wall, timestamp.date_only
        if date_only:
            return _on_the_clock(wall, self.zone, date_only=True)
        if timestamp.offset is not None:
            return Instant(_fixed(wall, timestamp.offset), Basis.VALUE)
        if self.header is not None:
            return Instant(_fixed(wall, self.header), Basis.HEADER)
        return _on_the_clock(wall, self.wall, date_only=False)


def _fixed(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


@lru_cache(maxsize=4096)
def _on_the_clock(wall: datetime, zone: tzinfo, *, date_only: bool) -> Instant:
    # fold=0 is what we want both times: in a gap it counts with the offset before the change, which lands behind the gap;
    # in an overlap it is the first of the two.
    earlier = wall.replace(tzinfo=zone)
    before, after = earlier.utcoffset(), earlier.replace(fold=1).utcoffset()
    utc = earlier.astimezone(UTC)
    if before is None or after is None or before == after:
        return Instant(utc, Basis.CLOCK, date_only)
    return Instant(utc, Basis.CLOCK, date_only, gap=before < after, overlap=before > after)


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of a checked configuration value."""
    return ZoneInfo(name)


def offset_text(offset: timedelta) -> str:
    """`+hhmm`, for people."""
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).strftime("%z")
