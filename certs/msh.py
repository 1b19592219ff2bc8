"""The header segment, read without trusting it, and its time: HL7 v2.9 chapter 2, sections 2.13.10 (MSH) and 2A.3.22 (DTM).

Pure. `read_msh` runs before anything is verified, because even a refusal names the message it refuses; nothing it
returns is to be believed until `certs.verify` has vouched for the bytes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from certs.message import Msh

_MOST_BYTES: Final = 16_384  # 18 fields of 250 characters are 4.5 KB; a longer header is nobody's
_MSH_18: Final = 17  # index after splitting: MSH-1 is the separator itself, so MSH-n is at n-1
_FURTHEST: Final = timedelta(hours=14)  # Line Islands; further is no offset of any place
_DTM: Final = re.compile(rb"([0-9]{12,24})(?:\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-5][0-9])?")


def read_msh(content: bytes) -> Msh:
    """The header segment of a message, in its own delimiters; empty where there is none. Never raises.

    It begins at the first `MSH`: whether what stands before it (a byte-order mark, say) is acceptable is not decided here.
    It ends at the first CR, in a message without any at the first LF. Only its first 16 KiB are looked at; a field that
    reaches beyond them is taken as absent rather than cut.
    """
    start = 0 if content.startswith(b"MSH") else content.find(b"MSH", 0, _MOST_BYTES)
    if start < 0:
        return Msh()
    head = content[start : start + _MOST_BYTES]
    end = head.find(b"\r")
    if end < 0 and content.find(b"\r", start) < 0:
        # Only now: a single CR, however far on, makes every LF data (signing profile, section 2).
        end = head.find(b"\n")
    whole = end >= 0 or len(content) <= start + _MOST_BYTES
    segment = head[:end] if end >= 0 else head
    separator = segment[3:4]
    if not separator:
        return Msh()
    fields = segment.split(separator, _MSH_18 + 1)
    if not whole and len(fields) <= _MSH_18 + 1:
        fields.pop()
    fields += [b""] * (_MSH_18 + 1 - len(fields))
    repetition = fields[1][1:2]
    character_set = fields[_MSH_18]
    return Msh(
        separators=separator + fields[1],
        sending_application=fields[2],
        sending_facility=fields[3],
        receiving_application=fields[4],
        receiving_facility=fields[5],
        date_time=fields[6],
        message_type=fields[8],
        control_id=fields[9],
        processing_id=fields[10],
        version_id=fields[11],
        accept_ack=fields[14],
        application_ack=fields[15],
        character_set=character_set.split(repetition, 1)[0] if repetition else character_set,
    )


def read_dtm(value: bytes, zone: ZoneInfo) -> tuple[datetime, str | None]:
    """The instant of a DTM or TS (first component) that is given at least to the minute.

    The standard has 12 or 14 digits. Epic's published example has 16: the first 14 count. `.ffff` is kept to the
    microsecond. `24:00` is the midnight at the day's end; `Z` and `+hh:mm` are taken as offsets. Without an offset the
    time is the zone's wall clock: in a gap shifted forward, in an overlap the earlier of the two.

    Returns:
        The instant in UTC, and the offset as `+hhmm` or None where there was none.

    Raises:
        ValueError: it is no such time. The text says why without repeating the value.
    """
    written = value.split(b"^", 1)[0]
    match = _DTM.fullmatch(written)
    if match is None:
        raise ValueError("not YYYYMMDDHHMM[SS[.SSSS]][+/-ZZZZ]")
    digits = match[1][:14].decode("ascii")
    if len(digits) == 13:
        raise ValueError("seconds of one digit")
    wall = _wall_clock(digits.ljust(14, "0"))
    dot = written.find(b".")
    if dot >= 0:
        fraction = written[dot + 1 : match.start(2) if match[2] else len(written)]
        wall += timedelta(microseconds=int(fraction.ljust(6, b"0")[:6]))
    try:
        if match[2] is None:
            return wall.replace(tzinfo=zone).astimezone(UTC), None
        offset, text = _offset(match[2])
        return (wall - offset).replace(tzinfo=UTC), text
    except OverflowError:
        raise ValueError("out of the calendar") from None


def _wall_clock(digits: str) -> datetime:
    """Naive: 14 digits as a date and time."""
    midnight = digits[8:] == "240000"
    hour = 0 if midnight else int(digits[8:10])
    try:
        wall = datetime(  # noqa: DTZ001  # the digits alone; their zone comes next
            int(digits[:4]), int(digits[4:6]), int(digits[6:8]), hour, int(digits[10:12]), int(digits[12:])
        )
        return wall + timedelta(days=1) if midnight else wall
    except (ValueError, OverflowError):
        raise ValueError("no such date or time of day") from None


@lru_cache(maxsize=64)
def _offset(written: bytes) -> tuple[timedelta, str]:
    if written == b"Z":
        return timedelta(0), "+0000"
    text = written.decode("ascii").replace(":", "")
    size = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    if size > _FURTHEST:
        raise ValueError("no offset of any place")
    return (-size if text.startswith("-") else size), text
