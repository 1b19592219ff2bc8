"""Read the unverified header segment and its time: HL7 v2.9 chapter 2, section 2.13.10 (MSH).

Pure. `read_msh` runs before anything is verified, because even a refusal names the message. Its result must not be
trusted until `certs.verify` has verified the bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from certs import dtm
from certs.message import Msh

_MOST_BYTES: Final = 16_384  # 18 fields of 250 characters are 4.5 KB; no real header is longer
_MSH_18: Final = 17  # index after splitting: MSH-1 is the separator itself, so MSH-n is at n-1


def read_msh(content: bytes) -> Msh:
    """The header segment of a message, in its own delimiters; empty if there is none. Never raises.

    It begins at the first `MSH`. This function does not decide whether bytes before it (such as a byte-order mark) are acceptable.
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
    """The instant and the offset of a DTM; as `read_sent`, without the period."""
    sent = read_sent(value, zone)
    return sent.at, sent.offset


class Sent(NamedTuple):
    """What MSH-7 says.

    Attributes:
        at: the earliest instant that it can mean, UTC.
        offset: its own, as `+hhmm`; None: it has none.
        within: how much later than `at` the message may have been sent: less than this.
        resolution: how long the written time lasts; shorter than `within` where the clocks repeat it.
    """

    at: datetime
    offset: str | None
    within: timedelta
    resolution: timedelta


def read_sent(value: bytes, zone: ZoneInfo) -> Sent:
    """The period that a DTM or TS (first component) means, given at least to the minute; how it is read, `certs.dtm` says.

    Without an offset the time is the zone's wall clock. In a gap it is shifted forward. In an overlap it is the earlier of the
    two, and the period reaches to the end of the later one.

    Raises:
        ValueError: it is no such time. The text says why without repeating the value.
    """
    return _recent(value, zone) if len(value) <= _MOST_KEPT else _read_sent(value, zone)


_MOST_KEPT: Final = 64  # bytes of what the cache holds


def _read_sent(value: bytes, zone: ZoneInfo) -> Sent:
    written = value.split(b"^", 1)[0]
    try:
        time = dtm.read(written.decode("utf-8"))
    except UnicodeDecodeError:
        time = dtm.read(written.decode("latin-1"))
    if time.precision < dtm.Precision.MINUTE:
        raise ValueError("not given to the minute")
    if time.offset is None:
        earlier = time.wall.replace(tzinfo=zone)
        later = earlier.replace(fold=1)
        at = earlier.astimezone(UTC)
        repeated = max(later.astimezone(UTC) - at, timedelta(0))
        return Sent(at, None, repeated + time.resolution, time.resolution)
    minutes = abs(time.offset) // timedelta(minutes=1)
    sign = "-" if time.offset < timedelta(0) else "+"
    offset = f"{sign}{minutes // 60:02}{minutes % 60:02}"
    return Sent((time.wall - time.offset).replace(tzinfo=UTC), offset, time.resolution, time.resolution)


_recent: Final = lru_cache(maxsize=256)(_read_sent)  # a busy sender writes many messages in one second
