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
from parser.parse_warnings import MEANINGS, Oddity
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

This page lists the answers to messages that are not simply accepted. The code is in MSA-3, in ERR-5 and in the log line
`message_refused`. The first answer is that of original mode (MSH-15 empty), the second that of enhanced mode. An environment can
change single answers with `answers` in `carebell.yaml`.

{shown}
If Carebell itself fails (`TRANSIENT`), it sends no answer by default: it resets the connection, and the sender's engine sends the
message again. With `on_transient: AE` it answers as in the table instead.

## ERR-3, as used here (HL7 table 0357)

{table(["ERR-3", "meaning"], [(code_, ERROR_TEXTS[code_]) for code_ in used])}"""


_DOES: Final[dict[Action, str]] = {
    Action.BOOK: 'The appointment is stored; "booked" is texted; reminders are planned.',
    Action.RESCHEDULE: 'Unsent texts are withdrawn; "updated" is texted; reminders are planned again.',
    Action.MODIFY: 'Its status is applied. "updated" is texted only if something the patient sees has changed; otherwise '
    "reminders are planned again and nothing is texted.",
    Action.CANCEL: 'Unsent texts are withdrawn; "canceled" is texted once if the start is in the future; then the number is '
    "forgotten.",
    Action.DELETE: "Unsent texts are withdrawn, nothing is texted; the number is forgotten.",
    Action.RESOURCE: "The appointment is updated, never cancelled: the event is about a room or a person.",
    Action.SLOT: "Accepted and ignored.",
    Action.NO_SHOW: "Unsent texts are withdrawn, nothing is texted; the number is forgotten.",
    Action.ANNOUNCE: "Stored like a booking; an appointment that is not in the broadcast is not cancelled.",
}


def events() -> str:
    rows = [
        (code(name), trigger.meaning, _DOES[trigger.action], "yes" if trigger.needs_start else "no")
        for name, trigger in EVENTS.items()
    ]
    return f"""# Events

This page lists the SIU trigger events and what Carebell does for each. Any other message type is answered `TYPE` with ERR-3 200,
any other SIU event `TYPE` with 201. The newest message about an appointment decides. MSH-7 says which message is the newest; if
MSH-7 leaves the order in doubt, the message that arrives later is
([which message is the newest](../explanation/planning.md#which-message-is-the-newest)). A message that is delivered late changes
nothing that a newer message has said.

{table(["event", "the standard's meaning", "what Carebell does", "needs a start"], rows)}
S12 to S14 and S27 without a start are answered `FIELD` if the appointment takes place. They need no start with a status that ends
the appointment (cancelled, arrived, completed, no-show). They also need none with a status that is not a booking (waitlist,
pending, held, blocked): the patient is told nothing, the reason `not_booked` is recorded, and a later message that books the visit
is texted as "booked".

If the first message about an appointment is a change or a cancellation, it is handled as one: S13 texts "updated", S14 plans
reminders and texts nothing, S15 texts "canceled" if it carries a number and a start in the future.
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
    """The name of each value -> the places it is read from, in order."""
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
        "conference (group)": _steps(code(source) for source in field_map.conference),
        "patient's name": f"{code(field_map.patient_name)}, only where a text uses it",
        "patient's ids": f"all of {code('PID-3')}, only where `writeback.patient_id` keeps them",
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

A field map says where each value of a message is read. The first place that holds something counts. The shipped maps are
`parser/fieldmaps/*.yaml`; their comments say where each form was seen. An environment chooses a map with `ehr`, or names a YAML
file of its own. If the first start is a date without a time, a later place that has a time on that day counts instead. A length may
carry its unit (`30 MIN`, `1 hr 30 min`, `0:30`, `PT30M`).
`carebell explain` shows for a message which place gave each value and why the other places were not used.

{table(["value", "generic", "where epic and oracle_health differ"], rows)}
The standard has no field for consent, visit mode and join link: `sms.consent.field`, `sms.visit_mode.field` and
`sms.join_link.field` name the field that your sender uses.

## Status words

Case, spaces and punctuation do not matter: `No-Show` is `noshow`. Codes and texts count, also the alternate ones. If they differ,
a status that ends the visit counts first, then one that is not a booking (pending, waitlist, blocked), then a booked one. A word
that is in no list leaves the appointment as it is, with the warning `STATUS_UNKNOWN`.

{table(["status", *MAPS], statuses)}
## Telephone codes

The codes are read from XTN.2, XTN.3 and XTN.4. A number may be in XTN.12, in XTN.4, in XTN.5 to XTN.7, or whole in one of these,
XTN.1 or XTN.8. The reader accepts invisible marks, any kind of dash, space or decimal digit, `tel:` and `sms:` addresses, and known
words beside the number (`Cell: ...`, `... (home)`). If a word for a fax or an unknown word (`mother`) is beside a number, the
number is not used. A number with an extension cannot be texted; `0`, `000` and `N/A` do not count as an extension. Of several
numbers, one of a country in `sms.countries` comes first.

{table(["kind", *MAPS], phones)}"""


def warnings() -> str:
    rows = [(code(oddity.value), MEANINGS[oddity]) for oddity in Oddity]
    return f"""# Warnings of the reader

A warning names something odd in a message that was accepted nevertheless. The codes are shown by `carebell explain`, in the field
`warnings` of the log line `message_accepted`, and in the metrics.

{table(["code", "meaning"], rows)}"""
