"""When the visit starts, how long it takes, and on whose clock (hl7.md: Start, Duration, Time zone).

Sources: HL7 v2.9 chapter 10 (SCH-9 to 11, AIS-4 and 7, AIL-6, AIP-6, AIG-8), chapter 4 (TQ1-7 and 8), chapter 2A (TQ's
interval, RI). Where the values stand is the field map's business. The rules of the file:

- The first place that holds something decides. If it cannot be read, a later one is not tried: a wrong hour is worse than
  an answer that names the field. `""` in a place of the start counts as empty: a visit cannot be without one.
- Places that speak of the appointment are compared, and a contradiction is a warning; the earliest of the resources
  counts where none of those says anything.
- A length is between one minute and a day. A bare number is minutes where 5 <= n <= 480. Seconds that make less than five
  minutes are a wrong unit (a public sample has `60|s`), so the next place is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from config.fieldmap import DurationSource, StartSource, folded
from parser.er7 import DELETE, Message
from parser.event import ParseWarning, Start
from parser.evidence import DELETED, EMPTY, Choice, Offer, Trace, choose, everywhere
from parser.oddity import Oddity, warning
from parser.when import Basis, Clocks, Instant, offset_text, read_timestamp

FURTHEST_AHEAD: Final = timedelta(days=400)

_NO_START: Final = "there is no start to count from"
_SHORTEST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=1)
_SHORTEST_IN_SECONDS: Final = timedelta(minutes=5)
_BARE_MINUTES: Final = range(5, 481)
_LONGEST_NUMBER: Final = 12
_UNIT: Final = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Moment(NamedTuple):
    """A place's value for the start; `instant` None: it holds something that is no date and time."""

    instant: Instant | None
    source: StartSource


class Timing(NamedTuple):
    """What the message says of the start.

    Attributes:
        start: None: nothing, or nothing usable.
        field: where it stands, or what cannot be used; None: nothing was given.
        fault: START_UNREADABLE or START_TOO_FAR: given, and of no use.
    """

    start: Start | None
    field: str | None = None
    fault: Oddity | None = None
    warnings: tuple[ParseWarning, ...] = ()


def clocks_of(
    message: Message,
    paths: Sequence[str],
    zones: Mapping[str, str],
    *,
    sent_at: datetime,
    sent_offset: str | None,
    environment_zone: str,
) -> tuple[Clocks, str | None]:
    """The message's clocks, and the field that named the clinic's zone; None: the environment's zone is the clinic's."""
    if zones:
        for path in paths:
            for spot in everywhere(message, path, active_only=True):
                zone = zones.get(spot.value.strip()) if isinstance(spot.value, str) else None
                if zone is not None:
                    return Clocks.of(sent_at, sent_offset, zone, environment_zone), spot.field
    return Clocks.of(sent_at, sent_offset, None, environment_zone), None


def find_start(
    message: Message,
    sources: Sequence[StartSource],
    clocks: Clocks,
    now: datetime,
    zone_field: str | None,
    trace: Trace | None = None,
) -> Timing:
    """The visit's start.

    Args:
        now: aware; a start more than 400 days after it is a fault.
        zone_field: what named the clinic's zone, for the trace.
    """
    own = [offer for source in sources if source.of == "appointment" for offer in _own(message, source, clocks)]
    resources = (_resource(message, source, clocks) for source in sources if source.of == "resource")
    choice = choose(chain(own, resources), trace)
    timing = _timing(choice.winner, own, clocks, now)
    if trace is not None:
        _note_start(trace, choice, timing, clocks, zone_field)
    return timing


def _timing(winner: Offer[Moment] | None, own: Sequence[Offer[Moment]], clocks: Clocks, now: datetime) -> Timing:
    if winner is None or winner.value is None:
        return Timing(None)
    instant = winner.value.instant
    if instant is None:
        return Timing(None, winner.field, Oddity.START_UNREADABLE)
    if instant.utc - now > FURTHEST_AHEAD:
        return Timing(None, winner.field, Oddity.START_TOO_FAR)
    flags = (
        (Oddity.START_DATE_ONLY, instant.date_only),
        (Oddity.START_GAP, instant.gap and not instant.date_only),
        (Oddity.START_OVERLAP, instant.overlap and not instant.date_only),
        (Oddity.HEADER_OFFSET, instant.basis is Basis.HEADER),
    )
    warnings = [warning(code, winner.field) for code, met in flags if met]
    warnings += _contradictions(winner, winner.value, own)
    start = Start(instant=instant.utc, zone=clocks.zone.key, date_only=instant.date_only)
    return Timing(start, winner.field, None, tuple(warnings))


def _contradictions(winner: Offer[Moment], moment: Moment, own: Sequence[Offer[Moment]]) -> Iterator[ParseWarning]:
    """A warning for the first other occurrence, and for the first other field, that gives another start."""
    met: set[Oddity] = set()
    for other in own:
        if other is winner or other.value is None or other.value.instant is None or moment.instant is None:
            continue
        if other.value.instant.utc == moment.instant.utc:
            continue
        repeated = other.field != other.value.source.field
        code = Oddity.START_REPEATED if repeated else Oddity.START_DISAGREES
        if code not in met and moment.source.of == "appointment":
            met.add(code)
            yield warning(code, other.field)


def _own(message: Message, source: StartSource, clocks: Clocks) -> Iterator[Offer[Moment]]:
    """Every occurrence of a place that speaks of the appointment itself."""
    found = False
    for field, value in everywhere(message, source.field):
        found = True
        if value is None or value is DELETE or not value.strip():
            yield Offer(field, "" if value is not DELETE else '""', None, DELETED if value is DELETE else EMPTY)
            continue
        instant = _instant(value, clocks)
        if source.only_if_time and (instant is None or instant.date_only):
            yield Offer(field, value, None, "no date and time; the field has another meaning here")
        else:
            yield Offer(field, value, Moment(instant, source))
    if not found:
        yield Offer(source.field, "", None, EMPTY)


def _resource(message: Message, source: StartSource, clocks: Clocks) -> Offer[Moment]:
    """The earliest of all resources of one kind."""
    best: Offer[Moment] | None = None
    for field, value in everywhere(message, source.field, active_only=True):
        if not isinstance(value, str) or not value.strip():
            continue
        offer = Offer(field, value, Moment(_instant(value, clocks), source))
        if best is None or _before(offer, best):
            best = offer
    return best if best is not None else Offer(source.field, "", None, EMPTY)


def _before(offer: Offer[Moment], best: Offer[Moment]) -> bool:
    """A readable time comes before an unreadable one, an earlier before a later."""
    new = offer.value.instant if offer.value else None
    old = best.value.instant if best.value else None
    return new is not None and (old is None or new.utc < old.utc)


def _instant(text: str, clocks: Clocks) -> Instant | None:
    timestamp = read_timestamp(text)
    return None if timestamp is None else clocks.instant(timestamp)


def _note_start(trace: Trace, choice: Choice[Moment], timing: Timing, clocks: Clocks, zone_field: str | None) -> None:
    zone = f"{clocks.zone.key}, {'by ' + zone_field if zone_field else 'the zone of the environment'}"
    winner = choice.winner
    if timing.start is None or winner is None or winner.value is None or winner.value.instant is None:
        note = None if timing.fault is None else warning(timing.fault, None).text
        trace.note("start", None, timing.field, choice.candidates, note=note)
        return
    basis = winner.value.instant.basis.value
    if winner.value.instant.basis is Basis.HEADER and clocks.header is not None:
        basis += f" ({offset_text(clocks.header)})"
    value = f"{timing.start.instant:%Y-%m-%dT%H:%M:%SZ}"
    if timing.start.date_only:
        value, basis = winner.held.strip()[:8], "a date only"
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    trace.note(
        "start", value, winner.field, choice.candidates, zone=clocks.zone.key, note=f"{basis}; clinic's zone: {zone}"
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
            if offer.why_not is not None and offer.why_not not in (EMPTY, DELETED, _NO_START):
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
    """`30`, or `2.5` where it is no whole number."""
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
    unit = "" if source.unit is None else _unit(message, source.unit)
    held = f"{text} {unit}".strip()
    letter = units.get(folded(unit)) if unit else ""
    if letter is None:
        return Offer(path, held, None, "the unit is not in the field map")
    return _sensible(path, held, _counted(text, letter) if len(text) <= _LONGEST_NUMBER else None)


def _unit(message: Message, path: str) -> str:
    """The unit's code, else its text: some senders fill only the second component of SCH-10."""
    code = message.get(path)
    if isinstance(code, str) and code.strip():
        return code.strip()
    text = message.get(f"{path}.2") if "." not in path else None
    return text.strip() if isinstance(text, str) else ""


def _until(path: str, text: str, start: Start | None, clocks: Clocks) -> Offer[timedelta]:
    end = _instant(text, clocks)
    if end is None or end.date_only:
        return Offer(path, text, None, "not a date and time")
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


@lru_cache(maxsize=1024)
def _counted(text: str, letter: str) -> timedelta | None:
    """A number of units; without a unit, of minutes."""
    match = re.fullmatch(r"\+?([0-9]{1,5})(?:\.([0-9]{1,3}))?", text)
    if match is None:
        return None
    number = float(f"{match[1]}.{match[2] or 0}")
    if not letter:
        return timedelta(minutes=number) if number in _BARE_MINUTES else None
    length = number * _UNIT[letter]
    return None if letter == "s" and length < _SHORTEST_IN_SECONDS else length


def _interval(text: str) -> timedelta | None:
    """TQ's interval: a letter and a number, or a number."""
    match = re.fullmatch(r"([SMHDsmhd]?)([0-9]{1,5})", text)
    return None if match is None else _counted(match[2], match[1].lower())
