"""The appointment's status: by the trigger event, otherwise by the fields (hl7.md: Status, SIU events).

Source: HL7 v2.9 chapter 10: table 0278 (filler status), trigger events 10.4; the spellings are the field map's. The rules:

- S15, S16, S17 and S26 give the status themselves; no field is read.
- The first field that holds something decides, known or not. Its codes and texts are looked up, also the alternate ones (CWE.4
  and 5, 10 and 11) and the original text (CWE.9), ignoring case, spaces and punctuation (`1^SCH`, `6^ARRIVED`,
  `No-Show`). If they differ, a status that ends the visit counts first, then "not booked yet", then "booked", because too few
  texts do less harm than wrong ones; the contradiction is a warning. Fields that usually hold something else (SCH-6,
  the reason) count only with a known status.
- Several services (AIS-10) may differ: as long as one of them takes place, the appointment takes place.
- If a later field or a resource's status (AIL-12, AIP-12, AIG-14) contradicts the field that decided, it is a warning.
- A resource's event (S18 to S22) is about a resource: an ending status in it does not end the appointment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from config.fieldmap import StatusMap, folded
from parser.er7 import DELETE, Message, Place
from parser.event import Action, ParseWarning, Status
from parser.evidence import DELETED, EMPTY, Offer, Trace, choose, everywhere
from parser.parse_warnings import Oddity, warning

_BY_EVENT: Final = {
    Action.CANCEL: Status.CANCELED,
    Action.DELETE: Status.DELETED,
    Action.NO_SHOW: Status.NO_SHOW,
}


def find_status(
    message: Message,
    action: Action,
    places: StatusMap,
    values: Mapping[str, Status],
    trace: Trace | None = None,
) -> tuple[Status, tuple[ParseWarning, ...]]:
    """The appointment's status, and warnings about it.

    Args:
        values: folded spelling to status.
    """
    statuses = {path: _offer(message, path, values) for path in (*places.fields, *places.compared)}

    def offers() -> Iterator[Offer[Status]]:
        decided = _BY_EVENT.get(action)
        if decided is not None:
            yield Offer("MSH-9.2", decided.value, decided)
        yield from (statuses[path].offer for path in places.fields)
        for path in places.reasons:
            offer = _offer(message, path, values).offer
            unknown = offer.value is Status.UNKNOWN
            yield offer._replace(why_not="no known status; the field usually holds a reason") if unknown else offer
        for path in places.compared:
            offer = statuses[path].offer
            yield offer if offer.why_not is not None else offer._replace(why_not="a resource's status, compared only")

    choice = choose(offers(), trace)
    winner = choice.winner
    status = Status.UNKNOWN if winner is None or winner.value is None else winner.value
    field = None if winner is None else winner.field
    warnings: tuple[ParseWarning, ...] = ()
    if action is Action.RESOURCE and status.ended:
        status, warnings = Status.UNKNOWN, (warning(Oddity.STATUS_IGNORED, field),)
    elif status is Status.UNKNOWN and field is not None:
        warnings = (warning(Oddity.STATUS_UNKNOWN, field),)
    elif action not in _BY_EVENT and status is not Status.UNKNOWN:
        differing = next((path for field in statuses.values() if (path := field.differing(status)) is not None), None)
        warnings = () if differing is None else (warning(Oddity.STATUS_DISAGREES, differing),)
    if trace is not None:
        note = warnings[0].text if warnings else "the event itself" if field == "MSH-9.2" else None
        trace.note("status", status.value, field, choice.candidates, note=note)
    return status, warnings


class _FieldStatus(NamedTuple):
    """The status in one field.

    Attributes:
        offer: the status that counts.
        others: the path of every other known status in the same occurrence.
    """

    offer: Offer[Status]
    others: tuple[tuple[str, Status], ...] = ()

    def differing(self, status: Status) -> str | None:
        """The first path at which the field contradicts `status`; None: there is none."""
        here = [] if self.offer.value in (None, Status.UNKNOWN) else [(self.offer.field, self.offer.value)]
        for path, other in (*here, *self.others):
            if other is not None and _kind(other) != _kind(status):
                return path
        return None


def _kind(status: Status) -> int:
    """The effect of a status: 1 the visit is cancelled or over, 2 it is not booked yet, 3 it takes place; 0 not known."""
    if status is Status.UNKNOWN:
        return 0
    return 1 if status.ended else 2 if status.not_booked else 3


_CODES_AND_TEXTS: Final = (
    1,
    2,
    4,
    5,
    9,
    10,
    11,
)  # CWE: identifier, text, their alternates, original text, second alternates


def _offer(message: Message, path: str, values: Mapping[str, Status]) -> _FieldStatus:
    """The best status among all segments of the field: one that takes place, else the first known, else the first given."""
    spots = everywhere(message, path, active_only=True)
    if not spots:
        return _silent(path)
    best: _FieldStatus | None = None
    for field, value in spots:
        if value is DELETE:
            best = best or _FieldStatus(Offer(field, '""', None, DELETED))
            continue
        occurrence = _occurrence(message, field, value, values, whole="." not in path.partition("-")[2])
        if occurrence is not None and (best is None or best.offer.value is None or _says_more(occurrence, best)):
            best = occurrence
    return best or _silent(path)


@lru_cache(maxsize=256)
def _silent(path: str) -> _FieldStatus:
    """The status of an empty field. Paths come from field maps."""
    return _FieldStatus(Offer(path, "", None, EMPTY))


def _occurrence(
    message: Message, field: str, value: str | None, values: Mapping[str, Status], *, whole: bool
) -> _FieldStatus | None:
    """The status in one occurrence; None: it is empty.

    Args:
        whole: whether all codes and texts of the field count; otherwise only the component that the path names.
    """
    word = (value or "").strip()
    at = Place.of(field)
    segment = message.segments(at.segment)[at.occurrence - 1]
    if not whole or message.delimiters.component not in segment.field(at.field):
        return _FieldStatus(Offer(field, word, values.get(folded(word), Status.UNKNOWN))) if word else None
    repetition = segment.repetitions(at.field)[at.repetition - 1]
    words = [(field, word)]
    words += [(f"{field}.{number}", repetition.component(number).strip()) for number in _CODES_AND_TEXTS[1:]]
    given = [(place, word) for place, word in words if word]
    if not given:
        return None
    known = [(place, status) for place, word in given if (status := values.get(folded(word))) is not None]
    held = "^".join(word for _, word in given)
    if not known:
        return _FieldStatus(Offer(field, held, Status.UNKNOWN))
    place, status = min(known, key=lambda spot: _kind(spot[1]))
    return _FieldStatus(Offer(field, held, status), tuple(spot for spot in known if spot != (place, status)))


def _says_more(occurrence: _FieldStatus, best: _FieldStatus) -> bool:
    assert occurrence.offer.value is not None
    assert best.offer.value is not None
    return _kind(occurrence.offer.value) > _kind(best.offer.value)
