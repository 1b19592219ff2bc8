"""The header fields that verification and answers need, and MSH-7's instant; pure.

`read_msh` is the one reader of bytes that nobody has vouched for yet: even a refusal must name the message it refuses. It never
raises, reads the first segment only, and takes whatever separators that segment declares.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from certs.message import Msh

_LONGEST: Final = 4096  # bytes of the first segment looked at; a real MSH is under 400
_FIELDS: Final = 18
_AFTER: Final = {  # MSH-n -> the attribute of `Msh`
    3: "sending_application",
    4: "sending_facility",
    5: "receiving_application",
    6: "receiving_facility",
    7: "date_time",
    9: "message_type",
    10: "control_id",
    11: "processing_id",
    12: "version_id",
    15: "accept_ack",
    16: "application_ack",
    18: "character_set",
}
_DTM: Final = re.compile(rb"([0-9]{8,24})(?:\.[0-9]{0,6})?([+-](?:0[0-9]|1[0-4])[0-5][0-9])?")
_WHOLE: Final = 14  # YYYYMMDDHHMMSS; Epic's published example has 16 digits


def read_msh(content: bytes) -> Msh:
    """MSH of a frame's content, as raw bytes; all empty where there is none.

    A byte-order mark or other bytes before `MSH` are passed over here: whether they are acceptable is not decided here.
    """
    start = 0 if content.startswith(b"MSH") else content.find(b"MSH", 0, _LONGEST)
    if start < 0:
        return Msh()
    segment = re.split(rb"[\r\n]", content[start : start + _LONGEST], maxsplit=1)[0]
    separator = segment[3:4]
    if not separator:
        return Msh()
    fields = segment.split(separator, _FIELDS)
    found = {name: fields[number - 1] for number, name in _AFTER.items() if number <= len(fields)}
    encoding = fields[1] if len(fields) > 1 else b""
    repetition = encoding[1:2]
    if repetition and "character_set" in found:
        found["character_set"] = found["character_set"].split(repetition, 1)[0]
    return Msh(separators=separator + encoding, **found)


def first_component(value: bytes, msh: Msh) -> bytes:
    """`LAMNA` of `LAMNA^1.2.3^ISO`."""
    separator = msh.separators[1:2]
    return value.split(separator, 1)[0] if separator else value


def read_dtm(value: bytes, zone: ZoneInfo) -> tuple[datetime, str | None]:
    """An HL7 date and time as (UTC, its own offset `+hhmm` or None).

    A value without an offset is a clock time in `zone`; one that exists twice is the earlier, one that does not exist shifts
    forward by the gap. Precision below the second is dropped, above the day is refused, and an odd number of digits is cut to the
    last whole part: real senders write 16 digits.

    ValueError: not a date and time of this form, or not in the calendar.
    """
    match = _DTM.fullmatch(value)
    if match is None:
        raise ValueError("not an HL7 date and time")
    digits = match[1][: min(_WHOLE, len(match[1]) // 2 * 2)].decode("ascii")
    parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, len(digits), 2)), 0, 0, 0]
    year, month, day, hour, minute, second = parts[:6]
    clock = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 (its zone is decided below)
    if match[2] is None:
        return clock.replace(tzinfo=zone).astimezone(UTC), None
    offset = match[2].decode("ascii")
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return clock.replace(tzinfo=timezone(ahead if offset[0] == "+" else -ahead)).astimezone(UTC), offset
