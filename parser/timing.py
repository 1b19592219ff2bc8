"""When the visit starts, and in which time zone (hl7.md: Start, Time zone).

Sources: HL7 v2.9 chapter 10 (SCH-11, AIS-4, AIL-6, AIP-6, AIG-8), chapter 4 (TQ1-7). The field map says where the values
are. The rules of the file:

- The first place that holds something decides. If it cannot be read, later places are not tried: a wrong hour is worse than
  an answer that names the field. `""` in a place of the start counts as empty, because a visit must have a start.
- If a place gives only a date, or an hour, the first later place that agrees with it and is more exact is used instead, also a
  resource's. Midnight is not more exact than a date, because senders write a date as midnight.
- Places for the appointment itself are compared, and a contradiction is a warning. The earliest of the resources
  counts if all of those are empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple

from certs.dtm import Precision
from config.fieldmap import StartSource
from parser.er7 import DELETE, Message
from parser.event import ParseWarning, Start
from parser.evidence import DELETED, EMPTY, Choice, Offer, Trace, choose, everywhere, sole_value
from parser.parse_warnings import Oddity, warning
from parser.timestamps import Basis, Clocks, Instant, offset_text

FURTHEST_AHEAD: Final = timedelta(days=400)


class Moment(NamedTuple):
    """A place's value for the start; `instant` None: its content is not a date and time."""

    instant: Instant | None
    source: StartSource


class Timing(NamedTuple):
    """What the message says about the start.

    Attributes:
        start: None: nothing, or nothing usable.
        field: the field that gave it, or the field that cannot be used; None: nothing was given.
        fault: START_UNREADABLE or START_TOO_FAR: given, but not usable.
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
    """The message's clocks, and the field that named the clinic's zone; None: the environment's zone is used."""
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
    if trace is None:
        agreed = _agreed(message, sources, clocks)
        if agreed is not None:
            return _timing(agreed, (), clocks, now)
    own = [offer for source in sources if source.of == "appointment" for offer in _own(message, source, clocks)]
    first = _first(own)
    offers = list(own)
    if first is None or trace is not None or _is_coarse(first):
        offers += [_resource(message, source, clocks) for source in sources if source.of == "resource"]
    first = first or _first(offers)
    winner = None if first is None else _more_exact(first, offers, clocks)
    timing = _timing(winner, own, clocks, now)
    if trace is not None:
        _note_start(trace, choose(_judged(offers, first, winner, clocks), trace), timing, clocks, zone_field)
    return timing


def _agreed(message: Message, sources: Sequence[StartSource], clocks: Clocks) -> Offer[Moment] | None:
    """The first place's time if it is exact to the minute and the others for the appointment say the same to the letter.

    Then there is nothing to compare: the usual case, which takes a quarter of the time.
    """
    agreed: Offer[Moment] | None = None
    for source in sources:
        if source.of != "appointment":
            continue
        value = sole_value(message, source.field)
        if value == "":
            continue
        if agreed is not None:
            if value != agreed.held:
                return None
        else:
            instant = None if value is None else clocks.read(value)
            if value is None or instant is None or instant.precision < Precision.MINUTE:
                return None
            agreed = Offer(source.field, value, Moment(instant, source))
    return agreed


def _first(offers: Sequence[Offer[Moment]]) -> Offer[Moment] | None:
    return next((offer for offer in offers if offer.why_not is None), None)


def _is_coarse(offer: Offer[Moment]) -> bool:
    """Whether an offer's time is not given to the minute."""
    instant = _instant_of(offer)
    return instant is not None and instant.precision < Precision.MINUTE


def _instant_of(offer: Offer[Moment]) -> Instant | None:
    return None if offer.value is None else offer.value.instant


def _more_exact(first: Offer[Moment], offers: Sequence[Offer[Moment]], clocks: Clocks) -> Offer[Moment]:
    """The first offer; if it is coarse, the most exact offer that agrees with it."""
    best = first
    while _is_coarse(best):
        finer = next((offer for offer in offers if offer.why_not is None and _refines(offer, best, clocks)), None)
        if finer is None:
            break
        best = finer
    return best


def _refines(offer: Offer[Moment], coarse: Offer[Moment], clocks: Clocks) -> bool:
    """Whether an offer agrees with a coarser one and is more exact."""
    exact, given = _instant_of(offer), _instant_of(coarse)
    if exact is None or given is None or exact.precision <= given.precision:
        return False
    if given.precision is not Precision.DAY:
        return given.utc <= exact.utc < given.utc + timedelta(hours=1)
    local = exact.utc.astimezone(clocks.zone)
    return local.date() == given.utc.astimezone(clocks.zone).date() and local.time() != time()


def _judged(
    offers: Sequence[Offer[Moment]], first: Offer[Moment] | None, winner: Offer[Moment] | None, clocks: Clocks
) -> Iterator[Offer[Moment]]:
    """The offers for a trace: offers before a more exact one name the offer that was used, or the one that it agrees with."""
    before = 0 if first is None or winner is None or winner is first else offers.index(winner)
    for at, offer in enumerate(offers):
        if at >= before or offer.why_not is not None or first is None or winner is None:
            yield offer
        elif _refines(winner, offer, clocks):
            yield offer._replace(why_not=f"{winner.field} agrees and is more exact")
        else:
            yield offer._replace(why_not=f"{first.field} comes first")


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
    warnings = [warning(code, winner.field) for code, holds in flags if holds]
    warnings += _contradictions(winner, instant, own, clocks)
    start = Start(instant=instant.utc, zone=clocks.zone.key, date_only=instant.date_only)
    return Timing(start, winner.field, None, tuple(warnings))


def _contradictions(
    winner: Offer[Moment], instant: Instant, own: Sequence[Offer[Moment]], clocks: Clocks
) -> Iterator[ParseWarning]:
    """A warning for the first other occurrence, and for the first other field, that gives another start."""
    warned: set[Oddity] = set()
    for other in own:
        given = _instant_of(other)
        if other is winner or other.value is None or given is None or given.utc == instant.utc:
            continue
        if _refines(winner, other, clocks):
            continue
        repeated = other.field != other.value.source.field
        code = Oddity.START_REPEATED if repeated else Oddity.START_DISAGREES
        if code not in warned:
            warned.add(code)
            yield warning(code, other.field)


def _own(message: Message, source: StartSource, clocks: Clocks) -> Iterator[Offer[Moment]]:
    """Every occurrence of a place for the appointment itself."""
    spots = everywhere(message, source.field)
    for field, value in spots:
        if value is None or value is DELETE or not value.strip():
            yield Offer(field, "" if value is not DELETE else '""', None, DELETED if value is DELETE else EMPTY)
            continue
        instant = clocks.read(value)
        if source.only_if_time and (instant is None or instant.date_only):
            yield Offer(field, value, None, "no date and time; the field has another meaning here")
        else:
            yield Offer(field, value, Moment(instant, source))
    if not spots:
        yield Offer(source.field, "", None, EMPTY)


def _resource(message: Message, source: StartSource, clocks: Clocks) -> Offer[Moment]:
    """The earliest of all resources of one kind."""
    best: Offer[Moment] | None = None
    for field, value in everywhere(message, source.field, active_only=True):
        if not isinstance(value, str) or not value.strip():
            continue
        offer = Offer(field, value, Moment(clocks.read(value), source))
        if best is None or _before(offer, best):
            best = offer
    return best if best is not None else Offer(source.field, "", None, EMPTY)


def _before(offer: Offer[Moment], best: Offer[Moment]) -> bool:
    """A readable time comes before an unreadable one, an earlier before a later."""
    new = offer.value.instant if offer.value else None
    old = best.value.instant if best.value else None
    return new is not None and (old is None or new.utc < old.utc)


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
