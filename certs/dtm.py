"""Read HL7 dates and times as senders write them: MSH-7 and every other time of a message; pure.

Source: HL7 v2.9 chapter 2A, DTM (2A.3.22) and TS: `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`. Where real senders differ:

- Spaces before and after the value, and before its offset, are ignored.
- More digits than the standard has (Epic's published example of MSH-7 has 16): the first 14 count.
- `24:00` is the midnight at the end of its day. `Z` and `+hh:mm` are offsets too.

This module does not decide what a time without an offset means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Final

_DTM: Final = re.compile(
    r"(?P<digits>[0-9]{8,24})(?:\.(?P<fraction>[0-9]{0,9}))?[ \t]*(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_MOST_CHARACTERS: Final = 64  # the longest sensible time and some spaces: cached values stay small
_FURTHEST: Final = timedelta(hours=14)  # Line Islands; no place has a larger offset
_YEARS: Final = range(1900, 2200)  # keeps every conversion to UTC within datetime's range


class Precision(IntEnum):
    """The precision of a time, as the number of its digits."""

    DAY = 8
    HOUR = 10
    MINUTE = 12
    SECOND = 14


_RESOLUTION: Final = {
    Precision.DAY: timedelta(days=1),
    Precision.HOUR: timedelta(hours=1),
    Precision.MINUTE: timedelta(minutes=1),
    Precision.SECOND: timedelta(seconds=1),
}


@dataclass(frozen=True, slots=True)
class Dtm:
    """A time as written.

    Attributes:
        wall: naive: the written digits; parts that are not given have their smallest value; to the microsecond.
        precision: the smallest part that is given; a fraction of a second counts as SECOND.
        offset: the written offset; None: none was written.
        fraction_digits: digits of the fraction of a second that are read: 0 to 6.
    """

    wall: datetime
    precision: Precision
    offset: timedelta | None = None
    fraction_digits: int = 0

    @property
    def resolution(self) -> timedelta:
        """The length of the period that the written time names: a day, an hour, a minute, a second, or a part of one."""
        if self.fraction_digits:
            return timedelta(microseconds=10 ** (6 - self.fraction_digits))
        return _RESOLUTION[self.precision]


def read(text: str) -> Dtm:
    """The time in a text, with at least the day.

    Raises:
        ValueError: the text is not a time. The error says why without repeating the value.
    """
    text = text.strip()
    match = _DTM.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if match is None:
        raise ValueError("not YYYYMMDD[HH[MM[SS[.SSSS]]]][+/-ZZZZ]")
    digits = match["digits"][: Precision.SECOND]
    if len(digits) % 2:
        raise ValueError("half a number of two digits")
    offset = None
    if match["offset"] is not None:
        offset = read_offset(match["offset"])
        if offset is None:
            raise ValueError("no offset of any place")
    wall = _wall_clock(digits.ljust(Precision.SECOND, "0"))
    fraction = (match["fraction"] or "")[:6]
    if fraction:
        wall += timedelta(microseconds=int(fraction.ljust(6, "0")))
    precision = Precision(len(digits))
    return Dtm(wall, precision, offset, len(fraction) if precision is Precision.SECOND else 0)


@lru_cache(maxsize=256)
def read_offset(text: str) -> timedelta | None:
    """`+hhmm`, `+hh:mm` or `Z` as a timedelta; None: not an offset that any place has."""
    if text == "Z":
        return timedelta(0)
    digits = text[1:].replace(":", "")
    if text[:1] not in ("+", "-") or len(digits) != 4 or not (digits.isascii() and digits.isdigit()):
        return None
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if size > _FURTHEST or int(digits[2:]) > 59:
        return None
    return -size if text.startswith("-") else size


def _wall_clock(digits: str) -> datetime:
    """Naive: 14 digits as a date and time."""
    midnight = digits[8:] == "240000"
    try:
        wall = datetime(  # noqa: DTZ001  # the digits alone; their zone is another question
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            0 if midnight else int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:]),
        )
    except ValueError:
        raise ValueError("no such date or time of day") from None
    if wall.year not in _YEARS:
        raise ValueError("out of the calendar")
    return wall + timedelta(days=1) if midnight else wall
