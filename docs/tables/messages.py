"""Pages about messages: answers, events, field maps and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Final

from ruamel.yaml import YAML

from config.fieldmap import STATUSES, DurationSource, FieldMap, Identity, StartSource
from docs.tables.markdown import code, codes, table
from parser.ack import ERROR_TEXTS
from parser.answers import AnswerTable
from parser.event import Action
from parser.oddity import MEANINGS, Oddity
from parser.siu import EVENTS

MAPS: Final = ("generic", "epic", "oracle_health")


def answers() -> str:
    rows = AnswerTable(YAML(typ="safe").load(files("config").joinpath("answers.yaml").read_text("utf-8")))
    enhanced = {"AA": "CA", "AE": "CE", "AR": "CR"}
    shown = table(
        ["code", "answer", "ERR-3", "meaning", "what the sender's analyst should do"],
        [
            (code(row.code), f"{row.answer} / {enhanced[row.answer]}", " or ".join(row.err3), row.meaning, row.advice)
            for row in rows
        ],
    )
    used = sorted({err3 for row in rows for err3 in row.err3} | {"0"}, key=int)
    return f"""# Answers

What a message is answered when it is not simply accepted. The code stands in MSA-3, in ERR-5 and in the log line
`message_refused`; the first answer is that of original mode (MSH-15 empty), the second that of enhanced mode. An environment
changes single answers with `answers` in `carebell.yaml`.

{shown}
A fault of ours (`TRANSIENT`) is by default no answer at all: the connection is reset and the sender's engine sends again.
`on_transient: AE` answers as in the table instead.

## ERR-3, as used here (HL7 table 0357)

{table(["ERR-3", "meaning"], [(code_, ERROR_TEXTS[code_]) for code_ in used])}"""


_DOES: Final[dict[Action, str]] = {
    Action.BOOK: 'The appointment is kept; "booked" is texted; reminders are planned.',
    Action.RESCHEDULE: 'Unsent texts are taken back; "updated" is texted; reminders are planned anew.',
    Action.MODIFY: 'Its status is obeyed; "updated" is texted only if what the patient sees has changed; else reminders are '
    "planned anew in silence.",
    Action.CANCEL: 'Unsent texts are taken back; "canceled" is texted once if the start is ahead; then the number is forgotten.',
    Action.DELETE: "Unsent texts are taken back in silence; the number is forgotten.",
    Action.RESOURCE: "The appointment is kept up to date, never cancelled: the event speaks of a room or a person.",
    Action.SLOT: "Accepted and ignored.",
    Action.NO_SHOW: "Unsent texts are taken back in silence; the number is forgotten.",
    Action.ANNOUNCE: "Kept like a booking; an appointment that is not in the broadcast is not cancelled.",
}


def events() -> str:
    rows = [
        (code(name), trigger.meaning, _DOES[trigger.action], "yes" if trigger.needs_start else "no")
        for name, trigger in EVENTS.items()
    ]
    return f"""# Events

The SIU trigger events and what each does. Any other message type is answered `TYPE` with ERR-3 200, any other SIU event `TYPE`
with 201. The newest message about an appointment decides, by MSH-7; where that leaves the order in doubt, by arrival
([which message is the newest](../explanation/planning.md#which-message-is-the-newest)): one that is delivered late changes
nothing that a newer one has said.

{table(["event", "the standard's meaning", "what we do", "needs a start"], rows)}
S12 to S14 and S27 without a start are answered `FIELD` where the appointment is on; with a status that ends it (cancelled,
arrived, completed, no-show) they need none. With a status that is no booking (waitlist, pending, held, blocked) they need none
either: the patient is told nothing, the silence says `not_booked`, and a later message that books the visit is told as "booked".

Events that a sender sees first as a change or a cancellation are taken as such:
S13 texts "updated", S14 plans reminders in silence, S15 texts "canceled" if it carries a start that is ahead and a number.
"""


def _load(name: str) -> FieldMap:
    text = files("parser").joinpath("fieldmaps", f"{name}.yaml").read_text("utf-8")
    return FieldMap.model_validate(YAML(typ="safe").load(text))


def _identity(identity: Identity) -> str:
    return f"{code(identity.id)} ({identity.kind})"


def _start(source: StartSource) -> str:
    notes = [
        note
        for note, holds in (("if it is a time", source.only_if_time), ("resource", source.of == "resource"))
        if holds
    ]
    return code(source.field) + (f" ({', '.join(notes)})" if notes else "")


def _duration(source: DurationSource) -> str:
    if source.end is not None:
        return f"until {code(source.end)}"
    if source.interval is not None:
        return f"{code(source.interval)} (interval)"
    return code(source.length or "") + (f" in {code(source.unit)}" if source.unit else "")


def _steps(texts: Iterable[str]) -> str:
    return ", then ".join(texts) or "nowhere"


def _places(field_map: FieldMap) -> dict[str, str]:
    """What is read -> where from, in order."""
    return {
        "key": _steps(_identity(source) for source in field_map.identity),
        "visit of a series": code(field_map.occurrence) if field_map.occurrence else "ids are never shared",
        "start": _steps(_start(source) for source in field_map.start),
        "duration": _steps(_duration(source) for source in field_map.duration),
        "clinic's zone": f"{_steps(codes([source]) for source in field_map.location_zone)}, looked up in `location_zones`",
        "status": _steps(code(source) for source in [*field_map.status.fields, *field_map.status.reasons]),
        "phone": _steps(code(source) for source in [*field_map.phone.fields, *field_map.phone.business_fields]),
        "language": _steps(code(source) for source in field_map.language.fields),
        "deceased": f"{code(field_map.deceased.flag)} is Y, or {code(field_map.deceased.date)} has a date",
        "facility": _steps(code(source) for source in field_map.facility),
        "location": _steps(code(source) for source in field_map.location),
        "provider": _steps(code(source) for source in field_map.provider),
        "patient's name": f"{code(field_map.patient_name)}, only where a text uses it",
    }


def fields() -> str:
    maps = {name: _load(name) for name in MAPS}
    places = {name: _places(field_map) for name, field_map in maps.items()}
    rows = []
    for value, shipped in places["generic"].items():
        others = [f"{name}: {place[value]}" for name, place in places.items() if place[value] != shipped]
        rows.append((value, shipped, "; ".join(others) or "the same"))
    statuses = [
        (status, *(", ".join(getattr(field_map.status, status)) for field_map in maps.values())) for status in STATUSES
    ]
    phones = [
        (kind, *(codes(getattr(field_map.phone, kind)) for field_map in maps.values()))
        for kind in ("cell", "personal", "landline", "never")
    ]
    return f"""# Field maps

Where each value of a message stands: the first place that holds something wins. The shipped maps are
`parser/fieldmaps/*.yaml`, each with comments that say where a shape was seen; an environment chooses one with `ehr`, or names a
YAML of its own. A start that is a date alone gives way to a later place that has the time of that day. A length may carry its unit
(`30 MIN`, `1 hr 30 min`, `0:30`, `PT30M`).
`carebell explain` shows for a message which place gave each value and why the others lost.

{table(["value", "generic", "where epic and oracle_health differ"], rows)}
Consent, visit mode and join link have no place of their own in the standard: `sms.consent.field`, `sms.visit_mode.field` and
`sms.join_link.field` name it.

## Status words

Case, spaces and punctuation do not matter: `No-Show` is `noshow`. Codes and texts count, the alternate ones too; where they differ,
an end counts before a visit that is not booked (pending, waitlist, blocked), and that before a booked one. What is in no
list leaves the appointment as it is, with the warning `STATUS_UNKNOWN`.

{table(["status", *MAPS], statuses)}
## Telephone codes

Looked for in XTN.2, XTN.3 and XTN.4. A number may stand in XTN.12, XTN.4, XTN.5 to XTN.7 or whole in one of these, XTN.1 or XTN.8.
Invisible marks, any kind of dash, space or decimal digit, `tel:` and `sms:` addresses and known words beside the number
(`Cell: ...`, `... (home)`) are read; a fax's word or an unknown one (`mother`) speaks against the number. An extension cannot be
texted; `0`, `000` and `N/A` in its place are none. Of several numbers one of a country in `sms.countries` comes first.

{table(["kind", *MAPS], phones)}"""


def warnings() -> str:
    rows = [(code(oddity.value), MEANINGS[oddity]) for oddity in Oddity]
    return f"""# Warnings of the reader

What was odd about a message that was accepted all the same. The codes stand in `carebell explain`, in the field `warnings` of the
log line `message_accepted`, and in the metrics.

{table(["code", "meaning"], rows)}"""
