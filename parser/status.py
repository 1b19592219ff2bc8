"""The appointment's status: what the trigger event says, else what the fields say (hl7.md: Status, SIU events).

Source: HL7 v2.9 chapter 10: table 0278 (filler status), trigger events 10.4; the spellings are the field map's. The rules:

- S15, S16, S17 and S26 say it themselves; no field is asked.
- The first field that holds something decides, known or not. In it the code is looked up, then its text, without regard to
  case, spaces and punctuation (`1^SCH`, `6^ARRIVED`, `No-Show`). Fields that usually hold something else (SCH-6, the
  reason) count only with a known status.
- Several services (AIS-10) may differ: as long as one is on, so is the appointment.
- A resource's event (S18 to S22) speaks of a resource: an ending status in it ends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from config.fieldmap import folded
from parser.er7 import DELETE, Message
from parser.event import Action, ParseWarning, Status
from parser.evidence import DELETED, EMPTY, Offer, Trace, choose, everywhere
from parser.oddity import Oddity, warning

_BY_EVENT: Final = {
    Action.CANCEL: Status.CANCELED,
    Action.DELETE: Status.DELETED,
    Action.NO_SHOW: Status.NO_SHOW,
}


def find_status(
    message: Message,
    action: Action,
    fields: Sequence[str],
    reasons: Sequence[str],
    values: Mapping[str, Status],
    trace: Trace | None = None,
) -> tuple[Status, tuple[ParseWarning, ...]]:
    """The appointment's status and what is odd about it.

    Args:
        values: folded spelling to status.
    """

    def offers() -> Iterator[Offer[Status]]:
        decided = _BY_EVENT.get(action)
        if decided is not None:
            yield Offer("MSH-9.2", decided.value, decided)
        for path in fields:
            yield _offer(message, path, values)
        for path in reasons:
            offer = _offer(message, path, values)
            unknown = offer.value is Status.UNKNOWN
            yield offer._replace(why_not="no known status; the field usually holds a reason") if unknown else offer

    choice = choose(offers(), trace)
    winner = choice.winner
    status = Status.UNKNOWN if winner is None or winner.value is None else winner.value
    field = None if winner is None else winner.field
    warnings: tuple[ParseWarning, ...] = ()
    if action is Action.RESOURCE and not status.active:
        status, warnings = Status.UNKNOWN, (warning(Oddity.STATUS_IGNORED, field),)
    elif status is Status.UNKNOWN and field is not None:
        warnings = (warning(Oddity.STATUS_UNKNOWN, field),)
    if trace is not None:
        note = warnings[0].text if warnings else "the event itself" if field == "MSH-9.2" else None
        trace.note("status", status.value, field, choice.candidates, note=note)
    return status, warnings


def _offer(message: Message, path: str, values: Mapping[str, Status]) -> Offer[Status]:
    """The best status among all segments of the field: one that is on, else the first known, else the first given."""
    best: Offer[Status] | None = None
    for field, value in everywhere(message, path, active_only=True):
        if value is DELETE:
            best = best or Offer(field, '""', None, DELETED)
            continue
        code = (value or "").strip()
        status = values.get(folded(code)) if code else None
        if status is None and "." not in path.partition("-")[2]:
            text = message.get(f"{field}.2")
            if isinstance(text, str) and text.strip():
                code = f"{code}^{text.strip()}"
                status = values.get(folded(text))
        if not code:
            continue
        offer = Offer(field, code, status or Status.UNKNOWN)
        if best is None or best.value is None or _says_more(offer, best):
            best = offer
    return best or Offer(path, "", None, EMPTY)


def _says_more(offer: Offer[Status], best: Offer[Status]) -> bool:
    return _weight(offer.value) > _weight(best.value)


def _weight(status: Status | None) -> int:
    if status is None or status is Status.UNKNOWN:
        return 0
    return 2 if status.active else 1
