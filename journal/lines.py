"""Render one event as one line: JSON for machines, words for people. Pure, and the hot path of logging.

A JSON line holds ASCII only: `json`'s own C escaping turns control characters, terminal escapes, line separators and
bidirectional marks into `\\uXXXX`, so one event is always one line, nothing in it can forge a second one, and `cat` on it
cannot move a cursor. The line for people is made from the same values and passes through the same escaping.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import Any, Final

from journal.events import ENTRIES, Event

LONGEST_VALUE: Final = 300
"""The most characters of one text: MSH-10 has at most 199, one configuration problem about 200."""

LEVELS: Final[dict[int, str]] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_MASKED = re.compile(r"\*\*\*[0-9]{0,4}")
_EVENT: Final = 22
_HEAD: Final = len("2026-03-09 19:00:00 WARNING  ") + _EVENT
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}

Value = str | int | float | bool | None | datetime | date | timedelta | Enum | Iterable[str]
"""The types of a field's value. Any other type (an exception, bytes, a mapping) is not rendered, because it could hold a
payload."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The constant parts of an event's line, so that the hot path only adds the values.

    Attributes:
        name: the event's.
        head: JSON text between the time and the first field.
        fields: (name, JSON text before the value) of each field.
        values: an event -> the values of `fields`, in their order.
    """

    name: str
    level: int
    level_name: str
    head: str
    fields: tuple[tuple[str, str], ...]
    values: Callable[[Event], tuple[object, ...]]


def shape(event: type[Event]) -> Shape:
    entry = ENTRIES[event]
    level_name = LEVELS[entry.level]
    head = f'","level":"{level_name}","event":"{entry.name}"'
    prefixes = tuple((field.name, f',"{field.name}":') for field in entry.fields)
    return Shape(entry.name, entry.level, level_name, head, prefixes, _values([field.path for field in entry.fields]))


def _values(paths: Sequence[str]) -> Callable[[Event], tuple[object, ...]]:
    getter: Callable[[Any], Any] = attrgetter(*paths)
    if len(paths) > 1:
        return getter
    return lambda event: (getter(event),)  # for one path `attrgetter` returns the value itself


def level_name(level: int) -> str:
    """The nearest of the five levels at or below `level`; libraries may have their own levels."""
    return next((name for bound, name in sorted(LEVELS.items(), reverse=True) if level >= bound), "debug")


def instant(value: datetime) -> str:
    """UTC with milliseconds, `2026-03-09T19:00:00.000Z`. `value` must be aware."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="milliseconds")[:-6] + "Z"


def json_value(name: str, value: object) -> str | None:
    """`value` as JSON text; None if its type could hold more than it should.

    `to` is limited to `***dddd` here once more: even if a caller passes a whole number, at most four digits are logged.
    """
    kind = type(value)
    if kind is str:
        return _text(name, value)  # type: ignore[arg-type]  # kind is str
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        # NaN and infinities are not JSON.
        return str(round(value, 3)) if -1e18 < value < 1e18 else "null"  # type: ignore[call-overload,operator]
    if isinstance(value, Enum):
        return _member(name, value)
    if isinstance(value, datetime):
        return f'"{instant(value)}"'
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    if isinstance(value, timedelta):
        return str(round(value.total_seconds(), 3))
    if isinstance(value, str):
        return _text(name, str(value))
    if isinstance(value, (tuple, list, frozenset, set)) and all(isinstance(item, str) for item in value):
        items = sorted(value) if isinstance(value, (frozenset, set)) else value
        return "[" + ",".join(_text(name, item) for item in items) + "]"
    return None


@lru_cache(maxsize=512)  # finding a member's value takes longer than the rest of a field
def _member(name: str, value: Enum) -> str | None:
    return json_value(name, value.value)


def _text(name: str, value: str) -> str:
    if name == "to" and _MASKED.fullmatch(value) is None:
        value = "***"
    if len(value) > LONGEST_VALUE:
        value = value[:LONGEST_VALUE] + "..."
    return encode_basestring_ascii(value)


def people_line(
    time: str, level: str, event: str, fields: Mapping[str, object], *, colour: bool, columns: int | None = None
) -> str:
    """One line for people: local reading order, `2026-03-09 19:00:00Z WARNING message refused  code=SIG07 ...`.

    Args:
        time: as in the JSON line, UTC; or without `Z`, in a zone that is named elsewhere.
        fields: values as in a JSON line: text, numbers, booleans, lists of text.
        colour: ANSI colours for the level and the names.
        columns: longer lines continue in indented lines, broken only between fields; None: one line of any length.
    """
    clock = _clock(time)
    if not colour and columns is None:
        return f"{clock} {_title(level, event)}{''.join(_pairs(fields))}".rstrip()
    words = plain(event.replace("_", " "))
    shown = [(plain(name), _shown(value)) for name, value in fields.items() if value is not None]
    breaks = _breaks(shown, columns)
    if breaks and breaks[0] == " ":
        words = f"{words:<{_EVENT}}"
    if not colour:
        pairs = "".join(f"{gap}{name}={value}" for gap, (name, value) in zip(breaks, shown, strict=True))
        return f"{clock} {level.upper():<8} {words}{pairs}".rstrip()
    pairs = "".join(f"{gap}\x1b[36m{name}=\x1b[0m{value}" for gap, (name, value) in zip(breaks, shown, strict=True))
    mark = f"\x1b[{_COLOURS.get(level, '0')}m{plain(level.upper()):<8}\x1b[0m"
    return f"\x1b[2m{clock}\x1b[0m {mark} \x1b[1m{words}\x1b[0m{pairs}".rstrip()


@lru_cache(maxsize=16)  # lines that are written together have one time
def _clock(time: str) -> str:
    return plain(time[:19].replace("T", " ") + ("Z" if time.endswith("Z") else ""))


@lru_cache(maxsize=512)
def _title(level: str, event: str) -> str:
    return f"{level.upper():<8} {plain(event.replace('_', ' ')):<{_EVENT}}"


def _pairs(fields: Mapping[str, object]) -> Iterator[str]:
    """` name=value` of each field. A word in ASCII, the usual case, is written as it is."""
    for name, value in fields.items():
        if type(value) is str and value.isascii() and value.isprintable() and value and " " not in value:
            yield f"{_before(name)}{value}"
        elif value is not None:
            yield f"{_before(name)}{_shown(value)}"


@lru_cache(maxsize=512)
def _before(name: str) -> str:
    return f" {plain(name)}="


def words_line(event: str, fields: Mapping[str, object]) -> str:
    """The same without time, level and colours: `message refused code=SIG07 ...`."""
    pairs = [f"{plain(name)}={_shown(value)}" for name, value in fields.items() if value is not None]
    return " ".join([plain(event.replace("_", " ")), *pairs])


def _breaks(shown: Sequence[tuple[str, str]], columns: int | None) -> Sequence[str]:
    """The separator before each field: a blank, or a new line and its indent."""
    if columns is None:
        return (" ",) * len(shown)
    breaks, used = [], _HEAD
    for name, value in shown:
        width = len(name) + 1 + len(value)
        fits = used + 1 + width <= columns
        breaks.append(" " if fits else "\n    ")
        used = used + 1 + width if fits else 4 + width
    return breaks


def _shown(value: object) -> str:
    if type(value) is int:
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(plain(str(item)) for item in value) or "-"
    text = plain(str(value))
    return f'"{text}"' if " " in text or not text else text


def plain(text: str) -> str:
    """`text` with everything escaped that a terminal could interpret or that could look like a new line.

    Letters of any language stay; controls (C0, DEL, C1), line and paragraph separators, bidirectional and other
    invisible format characters become `\\xNN` or `\\uNNNN`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
