"""The kinds of values the configuration knows: durations, times of day, zones, numbers, and what each must look like. Pure."""

from __future__ import annotations

import codecs
import re
from datetime import time, timedelta
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from config.addresses import e164, https_or_loopback, network, public_https

_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
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


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone such as America/Los_Angeles")
    return name


def _known_charset(name: str) -> str:
    """A character set of Python's, by any of its names; not one of its other transformations (base64, rot13)."""
    try:
        "".encode(name)
        codecs.lookup(name)
    except (LookupError, ValueError):
        raise ValueError("is not a character set such as cp1252, iso8859-1 or utf-8") from None
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
PublicUrl = Annotated[str, AfterValidator(public_https)]
ServiceUrl = Annotated[str, AfterValidator(https_or_loopback)]
Phone = Annotated[str, AfterValidator(e164)]
Network = Annotated[str, AfterValidator(network)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
VisitMode = Literal["video", "phone", "in-person"]
