"""The visit's length (hl7.md: Duration).

Sources: HL7 v2.9 chapter 10 (SCH-9 and 10, SCH-11, AIS-7 and 8), chapter 4 (TQ1-8), chapter 2A (TQ's interval, RI). The field map
says where the values are. The rules of the file:

- The first place with a sensible value decides. A length is between one minute and a day.
- The unit is in a field of its own, or after the number in the same field (`30 MIN`, `1 hr 30 min`), or before it as in TQ
  (`M30`), or the number is a clock time (`0:30`, `1:30:00`: hours) or ISO 8601 (`PT30M`). A unit beside the number counts before a
  unit in its own field.
- TQ's interval (SCH-11.3) has its own form; other content there is words (a public sample has `2 hours` for a visit of
  50 minutes).
- A bare number is minutes if 5 <= n <= 480. Seconds that make less than five minutes are a wrong unit (a public sample has
  `60|s`), so the next place is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from certs.dtm import Precision
from config.fieldmap import DurationSource, folded
from parser.er7 import DELETE, Message
from parser.event import ParseWarning, Start
from parser.evidence import DELETED, EMPTY, Offer, Trace, choose
from parser.parse_warnings import Oddity, warning
from parser.timestamps import Clocks

_NO_START: Final = "there is no start to count from"
_TOO_COARSE: Final = "a date or an hour is too coarse for an end"
_SHORTEST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=1)
_SHORTEST_IN_SECONDS: Final = timedelta(minutes=5)
_BARE_MINUTES: Final = range(5, 481)
_LONGEST_TEXT: Final = 40
_UNIT: Final = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

_NUMBER: Final = r"[0-9]{1,5}(?:[.,][0-9]{1,3})?"
_BARE: Final = re.compile(rf"\+?({_NUMBER})")
_WITH_UNITS: Final = re.compile(rf"(?:{_NUMBER}\s*[^\W\d_]+[\s.,]*)+(?:[0-9]{{1,2}})?")
_PART: Final = re.compile(rf"({_NUMBER})\s*([^\W\d_]*)")
_CLOCK: Final = re.compile(r"([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9]))?")
_INTERVAL: Final = re.compile(r"([SMHDsmhd])([0-9]{1,5})")
_ISO_8601: Final = re.compile(
    rf"[Pp](?:({_NUMBER})[Dd])?(?:[Tt](?:({_NUMBER})[Hh])?(?:({_NUMBER})[Mm])?(?:({_NUMBER})[Ss])?)?"
)


def find_duration(
    message: Message,
    sources: Sequence[DurationSource],
    units: Mapping[str, str],
    start: Start | None,
    clocks: Clocks,
    trace: Trace | None = None,
) -> tuple[timedelta | None, tuple[ParseWarning, ...]]:
    """The visit's length.

    Args:
        units: folded spelling to `s`, `m` or `h`.
    """
    first_fault: list[str] = []

    def offers() -> Iterator[Offer[timedelta]]:
        for source in sources:
            offer = _length(message, source, units, start, clocks)
            if offer.why_not is not None and offer.why_not not in (EMPTY, DELETED, _NO_START, _TOO_COARSE):
                first_fault.append(offer.field)
            yield offer

    choice = choose(offers(), trace)
    length = choice.winner.value if choice.winner is not None else None
    warnings = (warning(Oddity.DURATION_UNREADABLE, first_fault[0]),) if length is None and first_fault else ()
    if trace is not None:
        field = choice.winner.field if choice.winner is not None else None
        trace.note("duration", None if length is None else minutes(length), field, choice.candidates, note="minutes")
    return length, warnings


def minutes(length: timedelta) -> str:
    """`30`, or `2.5` if it is not a whole number."""
    return f"{length.total_seconds() / 60:g}"


def _length(
    message: Message, source: DurationSource, units: Mapping[str, str], start: Start | None, clocks: Clocks
) -> Offer[timedelta]:
    path = source.end or source.length or source.interval or ""
    value = message.get(path)
    if value is None or value is DELETE or not value.strip():
        return Offer(path, "" if value is not DELETE else '""', None, DELETED if value is DELETE else EMPTY)
    text = value.strip()
    if source.end is not None:
        return _until(path, text, start, clocks)
    if source.interval is not None:
        return _sensible(path, text, _interval(text))
    unit = "" if source.unit is None else _unit(message, source.unit, path)
    held = f"{text} {unit}".strip()
    letter = units.get(folded(unit)) if unit else ""
    length = None if len(text) > _LONGEST_TEXT else _self_contained(text, letter, units)
    if length is None and letter is None:
        return Offer(path, held, None, "the unit is not in the field map")
    if length is None and letter is not None:
        length = _counted(text, letter)
    return _sensible(path, held, length)


def _unit(message: Message, path: str, length: str) -> str:
    """The unit's code; otherwise its text (some senders fill only SCH-10.2); otherwise the second component of the length (CQ)."""
    places = [path]
    if "." not in path:
        places.append(f"{path}.2")
    if "." not in length:
        places.append(f"{length}.2")
    for place in places:
        unit = message.get(place)
        if isinstance(unit, str) and unit.strip():
            return unit.strip()
    return ""


def _until(path: str, text: str, start: Start | None, clocks: Clocks) -> Offer[timedelta]:
    end = clocks.read(text)
    if end is None:
        return Offer(path, text, None, "not a date and time")
    if end.precision < Precision.MINUTE:
        return Offer(path, text, None, _TOO_COARSE)
    if start is None or start.date_only:
        return Offer(path, text, None, _NO_START)
    length = end.utc - start.instant
    if length <= timedelta(0):
        return Offer(path, text, None, "not after the start")
    return _sensible(path, text, length)


def _sensible(path: str, held: str, length: timedelta | None) -> Offer[timedelta]:
    if length is None:
        return Offer(path, held, None, "not a sensible number of minutes")
    if not _SHORTEST <= length <= _LONGEST:
        return Offer(path, held, None, "not between a minute and a day")
    return Offer(path, held, length)


def _counted(text: str, letter: str) -> timedelta | None:
    """The length of a number with a unit; without a unit the number is minutes."""
    match = _BARE.fullmatch(text)
    if match is None:
        return None
    number = _float(match[1])
    if not letter:
        return timedelta(minutes=number) if number in _BARE_MINUTES else None
    return _not_too_few_seconds(number * _UNIT[letter], letter)


def _self_contained(text: str, letter: str | None, units: Mapping[str, str]) -> timedelta | None:
    """A length whose text contains its unit; None: it does not.

    Args:
        letter: the unit in the field beside it; "": none; None: an unknown unit.
    """
    match = _CLOCK.fullmatch(text)
    if match is not None:
        return _on_a_clock(match, letter)
    if _WITH_UNITS.fullmatch(text) is not None:
        return _with_units(text, units)
    return _interval(text) if _BARE.fullmatch(text) is None else None


def _interval(text: str) -> timedelta | None:
    """TQ's interval, a letter and a number or a number; or ISO 8601's duration."""
    if len(text) > _LONGEST_TEXT:
        return None
    match = _INTERVAL.fullmatch(text)
    if match is not None:
        return _counted(match[2], match[1].lower())
    match = _ISO_8601.fullmatch(text)
    if match is not None:
        parts = zip("dhms", match.groups(), strict=True)
        return sum((_float(number) * _UNIT[unit] for unit, number in parts if number), timedelta(0))
    return _counted(text, "")


def _on_a_clock(match: re.Match[str], letter: str | None) -> timedelta | None:
    """`1:30` is an hour and a half. With the unit minutes, `30:00` is minutes and seconds, if that gives a possible length."""
    first, second, third = (int(part or 0) for part in match.groups())
    if letter not in ("m", "s"):
        return timedelta(hours=first, minutes=second, seconds=third)
    if match[3] is not None:
        return timedelta(hours=first, minutes=second, seconds=third)
    length = timedelta(minutes=first, seconds=second)
    return length if letter == "m" and length >= _SHORTEST_IN_SECONDS else None


def _with_units(text: str, units: Mapping[str, str]) -> timedelta | None:
    """`30 MIN`, `1 hr 30 min`, `1h30`: each unit smaller than the one before."""
    total, before = timedelta(0), ""
    for number, word in _PART.findall(text):
        letter = units.get(folded(word)) if word else {"h": "m", "m": "s"}.get(before)
        if letter is None or (before and _UNIT[letter] >= _UNIT[before]):
            return None
        total += _float(number) * _UNIT[letter]
        if not before and letter == "s":
            return _not_too_few_seconds(total, letter)
        before = letter
    return total


def _not_too_few_seconds(length: timedelta, letter: str) -> timedelta | None:
    return None if letter == "s" and length < _SHORTEST_IN_SECONDS else length


def _float(number: str) -> float:
    return float(number.replace(",", "."))
