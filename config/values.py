"""The kinds of values the configuration knows: durations, times of day, zones, numbers, and what each must look like. Pure."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from config.addresses import (
    e164,
    ehr_server,
    https_or_loopback,
    https_or_loopback_origin,
    ice_url,
    issuer,
    link_host,
    listen_host,
    meeting_url,
    network,
    peer_host,
)
from config.suggestions import country_meant, is_country, is_whole_zone, known_zones, number_meant, zone_meant

_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SEGMENT = "MSH|^~\\&|A+/-0{}"
"""Characters that a message's header and segments are made of."""
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def read_duration(written: object) -> timedelta:
    """`90s 15m 24h 7d 2w` as a timedelta. ValueError says what a duration looks like."""
    if isinstance(written, timedelta):
        return written
    match = _DURATION.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError("is not a duration; write a number and a unit: 90s, 15m, 24h, 7d or 2w")
    return timedelta(**{_UNITS[match["unit"]]: int(match["number"])})


def write_duration(value: timedelta) -> str:
    """The shortest spelling of a whole-second duration; `read_duration` reads it back."""
    seconds = int(value.total_seconds())
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def read_clock(written: object) -> time:
    """`"21:00"` as a time of day. Unquoted 21:00 is a string under YAML 1.2, an integer under 1.1: quote it."""
    if isinstance(written, time):
        return written
    if not isinstance(written, str) or _CLOCK.fullmatch(written) is None:
        raise ValueError('is not a time of day; write "HH:MM" in quotes, from "00:00" to "23:59"')
    return time.fromisoformat(written)


@dataclass(frozen=True, slots=True)
class Between:
    """A duration's bounds, both allowed. What lies outside could never work, or would end in an overflow of the calendar."""

    least: str
    most: str

    def __call__(self, value: timedelta) -> timedelta:
        if not read_duration(self.least) <= value <= read_duration(self.most):
            raise ValueError(f"must be from {self.least} to {self.most}")
        return value


def _known_zone(name: str) -> str:
    if is_whole_zone(name):
        return name
    meant = zone_meant(name)
    hint = "" if meant is None else f" (did you mean {meant}?)"
    if name in known_zones() or re.fullmatch(r"[A-Z]{2,5}", name):
        raise ValueError(
            f"{name!r} is an abbreviation or an old name; write the zone of a place, such as America/Los_Angeles{hint}"
        )
    raise ValueError(f"{name!r} is not an IANA time zone such as America/Los_Angeles{hint}")


def _known_country(code: str) -> str:
    if is_country(code):
        return code
    meant = country_meant(code)
    hint = "" if meant is None else f" (did you mean {meant}?)"
    raise ValueError(f"{code!r} is not the ISO 3166 code of a country with telephone numbers, such as US{hint}")


_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}|[0-9]{5,6}")


def _known_sender(sender: str) -> str:
    """A sender's number is no patient's: it may be repeated."""
    meant = number_meant(sender)
    if _SENDER.fullmatch(sender) is None:
        kinds = "must be a number such as +14255550100, a short code, or a Messaging Service SID (MG...)"
        raise ValueError(kinds + ("" if meant is None else f' (did you mean "{meant}"?)'))
    if sender.startswith("+") and meant is None:
        raise ValueError("has too few or too many digits for a telephone number of its country")
    return sender


def _one_line(text: str) -> str:
    """Words that stand in a text message, or are compared with a message's: something to see, and nothing unseen around it."""
    if not text.strip():
        raise ValueError("is blank")
    if not text.isprintable():
        raise ValueError("has a line end or another character that cannot be seen")
    return text


def _header_value(text: str) -> str:
    """What a header field's first component may be. The comparison is exact, so that blanks around it would never match."""
    if _one_line(text) != text.strip():
        raise ValueError("begins or ends with a blank, which no message's field does")
    wrong = next((character for character in text if character in "|^"), None)
    if wrong is not None:
        meant = text.partition(wrong)[0].strip()
        hint = f" (did you mean {meant}?)" if meant else ""
        raise ValueError(
            f"holds {wrong!r}, which separates fields or components: only the first component is compared{hint}"
        )
    return text


def _known_charset(name: str) -> str:
    """A character set of Python's, by any of its names; not one of its other transformations (base64, rot13)."""
    try:
        fits = _SEGMENT.encode(name) == _SEGMENT.encode("ascii")
        codecs.lookup(name)
    except (LookupError, ValueError):
        raise ValueError("is not a character set such as cp1252, iso8859-1 or utf-8") from None
    if not fits:
        raise ValueError("does not write ASCII as ASCII: no MLLP message can be in it; cp1252 and iso8859-1 do")
    return name


def _supported_url(url: str) -> str:
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        if not url.startswith("sqlite:///") or url == "sqlite:///" or ":memory:" in url:
            raise ValueError("must name a file: sqlite:///carebell.db; what is kept in memory alone is lost")
    elif scheme != "postgresql+psycopg" or not url.startswith("postgresql+psycopg://"):
        raise ValueError("must be sqlite:///file or postgresql+psycopg://user@host/db")
    return url


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,6}[smhdw]$", "examples": ["90s", "15m", "24h", "7d", "2w"]}),
]
Clock = Annotated[
    time,
    BeforeValidator(read_clock),
    PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Charset = Annotated[str, AfterValidator(_known_charset)]
StorageUrl = Annotated[str, AfterValidator(_supported_url)]
EhrServerUrl = Annotated[str, AfterValidator(ehr_server)]
ServiceUrl = Annotated[str, AfterValidator(https_or_loopback)]
IssuerUrl = Annotated[str, AfterValidator(issuer)]
Origin = Annotated[str, AfterValidator(https_or_loopback_origin)]
MeetingUrl = Annotated[str, AfterValidator(meeting_url)]
IceUrl = Annotated[str, AfterValidator(ice_url)]
Login = Annotated[str, Field(pattern=r"^[a-z0-9._@-]{2,64}$")]
"""A person's user name in the portal, as `portal.people` has it."""
Phone = Annotated[str, AfterValidator(e164)]
Network = Annotated[str, AfterValidator(network)]
Country = Annotated[
    str,
    AfterValidator(_known_country),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{2}$", "examples": ["US", "CA"]}),
]
SenderName = Annotated[
    str,
    AfterValidator(_known_sender),
    WithJsonSchema({"type": "string", "pattern": r"^(\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}|[0-9]{5,6})$"}),
]
Words = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_one_line)]
HeaderValue = Annotated[str, Field(min_length=1), AfterValidator(_header_value)]
Word = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
ListenHost = Annotated[str, Field(min_length=1), AfterValidator(listen_host)]
PeerHost = Annotated[str, Field(min_length=1), AfterValidator(peer_host)]
LinkHost = Annotated[str, Field(min_length=1), AfterValidator(link_host)]
VisitMode = Literal["video", "phone", "in-person"]
