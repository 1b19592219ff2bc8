"""Read a scheduling message: a SIU trigger event becomes a `SchedulingEvent`, or the reason why it cannot be processed.

Sources: HL7 v2.9 chapter 10 (SIU, 10.4), hl7.md (SIU events, Field extraction). Each value is decided by its own module:
identity, timing, duration, status, xtn, language, display. The places of values are data (parser/fieldmaps). `read` and `explain`
run the same code: with a trace every candidate is read and recorded, without one each decision stops at the first usable one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from certs.message import ReadableMessage, UnverifiedMessage, VerifiedMessage
from parser.ack import condition_warnings, control_id_fault
from parser.display import find_conference, find_link, find_mode, find_person, find_text
from parser.duration import find_duration
from parser.er7 import Message, Place
from parser.event import (
    FORGET,
    Action,
    BadPhone,
    Evidence,
    ParseWarning,
    Rejection,
    SchedulingEvent,
    Status,
    UnreadablePhone,
)
from parser.evidence import Trace
from parser.identity import Ids, feed_of, find_ids
from parser.parse_warnings import Oddity, warning
from parser.patient import find_consent, find_deceased, find_language, find_name
from parser.patient_id import find_patient_id
from parser.phone_choice import PhoneFinding, find_phone
from parser.rules import Rules, SaidInHeader, SaidOfPatient, SaidOfVisit, rules_for
from parser.status import find_status
from parser.timestamps import Clocks
from parser.timing import Timing, clocks_of, find_start

__all__ = ["EVENTS", "Rules", "Trigger", "explain", "read", "rules_for"]


class Trigger(NamedTuple):
    """What a trigger event means to Carebell.

    Attributes:
        needs_start: whether an appointment that takes place needs its start.
        meaning: the standard's, in a few words; for documentation and `explain`.
    """

    action: Action
    needs_start: bool
    meaning: str


EVENTS: Final[dict[str, Trigger]] = {
    "S12": Trigger(Action.BOOK, True, "new appointment booked"),
    "S13": Trigger(Action.RESCHEDULE, True, "appointment rescheduled"),
    "S14": Trigger(Action.MODIFY, True, "appointment modified"),
    "S15": Trigger(Action.CANCEL, False, "appointment cancelled"),
    "S16": Trigger(Action.CANCEL, False, "appointment discontinued: what remains of it is cancelled"),
    "S17": Trigger(Action.DELETE, False, "appointment deleted, entered in error"),
    "S18": Trigger(Action.RESOURCE, False, "service or resource added"),
    "S19": Trigger(Action.RESOURCE, False, "service or resource modified"),
    "S20": Trigger(Action.RESOURCE, False, "service or resource cancelled"),
    "S21": Trigger(Action.RESOURCE, False, "service or resource discontinued"),
    "S22": Trigger(Action.RESOURCE, False, "service or resource deleted"),
    "S23": Trigger(Action.SLOT, False, "schedule time slots blocked"),
    "S24": Trigger(Action.SLOT, False, "schedule time slots opened"),
    "S26": Trigger(Action.NO_SHOW, False, "patient did not show up"),
    "S27": Trigger(Action.ANNOUNCE, True, "broadcast of scheduled appointments"),
}

_VERSION: Final = re.compile(r"2\.[1-9](\.[0-9])?")
_EVENT: Final = re.compile(r"[A-Z0-9]{3}")


def read(message: VerifiedMessage, rules: Rules) -> SchedulingEvent | Rejection:
    """The content of the message, or why it cannot be processed. It never raises, whatever a sender writes."""
    return _Reader(message, rules, None).read()


def rehearse(message: UnverifiedMessage, rules: Rules) -> SchedulingEvent | Rejection:
    """As `read`, for an unverified message. The result must not be stored or sent."""
    return _Reader(message, rules, None).read()


def explain(message: ReadableMessage, rules: Rules) -> tuple[SchedulingEvent | Rejection, tuple[Evidence, ...]]:
    """As `read`, and how each value was decided: the field that gave it, and every other candidate with the reason.

    A message that is rejected is explained as far as it can be read. Telephones are masked, names are not shown.
    """
    trace = Trace()
    result = _Reader(message, rules, trace).read()
    return result, tuple(trace.evidence)


class _Reader:
    """One message being read."""

    __slots__ = ("_feed", "_message", "_rules", "_source", "_trace", "_warnings")

    def __init__(self, source: ReadableMessage, rules: Rules, trace: Trace | None) -> None:
        self._source = source
        self._rules = rules
        self._trace = trace
        self._feed = ""
        self._message = Message.of(source, rules.fallback_charset)
        self._warnings: list[ParseWarning] = [*self._message.warnings, *condition_warnings(source.msh)]

    def read(self) -> SchedulingEvent | Rejection:
        unanswerable = self._unanswerable()
        if unanswerable is not None and self._trace is None:
            return unanswerable
        outcome = self._outcome()
        return unanswerable or outcome

    def _unanswerable(self) -> Rejection | None:
        """Reject an MSH-10 that no answer can repeat: its sender could not match the answer, and would send again for ever or give
        up."""
        fault = control_id_fault(self._source.msh)
        if fault is None:
            return None
        err3, text = fault
        return Rejection(code="SIG10", err3=err3, text=text, location="MSH^1^10")

    def _outcome(self) -> SchedulingEvent | Rejection:
        if self._message.rejection is not None:
            return self._message.rejection
        header = self._header() if self._trace is not None else self._rules.header.meaning(self._message, self._header)
        event, self._feed = header
        if isinstance(event, Rejection):
            return event
        trigger = EVENTS[event]
        if self._trace is not None:
            self._trace.note("event", event, "MSH-9.2", note=trigger.meaning)
        return self._read(event, trigger)

    def _header(self) -> SaidInHeader:
        """What the header says. Every field that it reads is one of `Rules.header`."""
        event = self._event()
        return SaidInHeader(event if isinstance(event, Rejection) else self._version() or event, feed_of(self._message))

    def _event(self) -> str | Rejection:
        """MSH-9: `SIU^S12`, `SIU^S12^SIU_S12`, in any case."""
        kind, event = (_word(self._message, path) for path in ("MSH-9.1", "MSH-9.2"))
        if kind != "SIU":
            named = f"{kind}" if _EVENT.fullmatch(kind) else "this message type"
            return Rejection(code="TYPE", err3="200", text=f"only SIU is handled here, not {named}", location="MSH^1^9")
        if event not in EVENTS:
            named = f"event {event}" if _EVENT.fullmatch(event) else "this event"
            return Rejection(code="TYPE", err3="201", text=f"SIU {named} is not handled", location="MSH^1^9")
        return event

    def _version(self) -> Rejection | None:
        """MSH-12: 2.1 to 2.9 in any form, or nothing."""
        version = _word(self._message, "MSH-12.1")
        if not version or _VERSION.fullmatch(version):
            return None
        return Rejection(code="VERSION", err3="203", text="MSH-12 is not 2.1 to 2.9", location="MSH^1^12")

    def _read(self, event: str, trigger: Trigger) -> SchedulingEvent | Rejection:
        message, rules, trace, fields = self._message, self._rules, self._trace, self._rules.field_map
        ids = find_ids(message, self._feed, fields.identity, fields.occurrence, fields.identity_hints, trace)
        if trigger.action is Action.SLOT:
            return self._blank(event, trigger, ids)
        rejection = self._unidentified(ids)
        if rejection is not None and trace is None:
            return rejection
        clocks, zone_field = clocks_of(
            message,
            fields.location_zone,
            rules.location_zones,
            sent_at=self._source.sent_at,
            sent_offset=self._source.sent_offset,
            environment_zone=rules.zone,
        )
        timing = find_start(message, fields.start, clocks, self._source.received_at, zone_field, trace)
        duration, odd_duration = find_duration(message, fields.duration, rules.units, timing.start, clocks, trace)
        visit = None if trace is not None else rules.of_visit.meaning(message, partial(self._visit, trigger), event)
        status, odd_status = (visit.status, visit.odd_status) if visit is not None else self._status(trigger)
        rejection = rejection or self._untimed(timing, trigger, status)
        if rejection is not None and trace is None:
            return rejection
        self._warnings += (*odd_duration, *odd_status)
        if len(message.segments("PID")) > 1:
            self._warnings.append(warning(Oddity.PATIENTS_SEVERAL, "PID[2]"))
        phone = self._phone(clocks)
        patient = self._patient() if trace is not None else rules.of_patient.meaning(message, self._patient)
        link, odd_link = find_link(message, rules.join_link_field, rules.join_link_hosts, trace)
        self._warnings += (*patient.odd_language, *odd_link)
        if visit is None:
            visit = SaidOfVisit(status, odd_status, *self._shown())
        result = SchedulingEvent(
            environment=self._source.environment,
            event=event,
            action=trigger.action,
            status=status,
            reference=ids.reference,
            aliases=ids.aliases,
            occurred_at=self._source.sent_at,
            occurred_within=self._source.sent_within,
            received_at=self._source.received_at,
            start=timing.start,
            duration=duration,
            phone=phone.phone,
            condemned_phones=phone.condemned_phones,
            language=patient.language,
            deceased=patient.deceased,
            consent=patient.consent,
            visit_mode=visit.visit_mode,
            join_link=link,
            facility=visit.facility,
            provider=visit.provider,
            location=visit.location,
            conference=find_conference(message, fields.conference, trace) if fields.conference else None,
            patient_name=find_name(message, fields.patient_name, trace) if rules.wants_name else None,
            patient_id=find_patient_id(message, trace) if rules.keeps_patient_id else None,
            warnings=tuple(self._warnings),
        )
        return rejection or result

    def _status(self, trigger: Trigger) -> tuple[Status, tuple[ParseWarning, ...]]:
        rules = self._rules
        return find_status(self._message, trigger.action, rules.field_map.status, rules.statuses, self._trace)

    def _visit(self, trigger: Trigger) -> SaidOfVisit:
        """What is said of the visit in words. Every field that it reads is one of `Rules.of_visit`."""
        return SaidOfVisit(*self._status(trigger), *self._shown())

    def _shown(self) -> tuple[str | None, str | None, str | None, str | None]:
        """Visit mode, facility, provider and location."""
        message, rules, trace, fields = self._message, self._rules, self._trace, self._rules.field_map
        return (
            find_mode(message, rules.visit_mode_field, rules.visit_modes, trace),
            find_text(message, "facility", fields.facility, trace),
            find_person(message, "provider", fields.provider, trace),
            find_text(message, "location", fields.location, trace),
        )

    def _patient(self) -> SaidOfPatient:
        """What is said of the patient in words. Every field that it reads is one of `Rules.of_patient`."""
        message, rules, trace, fields = self._message, self._rules, self._trace, self._rules.field_map
        return SaidOfPatient(
            *find_language(message, fields.language.fields, rules.languages, trace),
            find_deceased(message, fields.deceased.flag, fields.deceased.date, trace),
            find_consent(message, rules.consent_field, rules.consent_granted, trace),
        )

    def _blank(self, event: str, trigger: Trigger, ids: Ids) -> SchedulingEvent:
        """The event of a slot: no appointment, no patient. Nothing else is read."""
        return SchedulingEvent(
            environment=self._source.environment,
            event=event,
            action=trigger.action,
            status=Status.UNKNOWN,
            reference=ids.reference,
            aliases=ids.aliases,
            occurred_at=self._source.sent_at,
            occurred_within=self._source.sent_within,
            received_at=self._source.received_at,
            warnings=tuple(self._warnings),
        )

    def _unidentified(self, ids: Ids) -> Rejection | None:
        if self._message.first("SCH") is None:
            return Rejection(code="FIELD", err3="101", text="the SCH segment is missing", location="SCH^1")
        if ids.reference:
            return None
        if ids.unfit is not None:
            text = f"the appointment id in {ids.unfit} is too long or has control characters"
            return Rejection(code="VALUE", err3="102", text=text, location=_location(ids.unfit))
        places = [identity.id for identity in self._rules.field_map.identity]
        text = f"there is no appointment id in {_either(places)}"
        return Rejection(code="FIELD", err3="101", text=text, location=_location(places[0]))

    def _untimed(self, timing: Timing, trigger: Trigger, status: Status) -> Rejection | None:
        """The fault of the start: a rejection if a start is needed, otherwise a warning."""
        self._warnings += timing.warnings
        if timing.start is not None:
            return None
        needed = trigger.needs_start and status.active
        if timing.fault is not None and timing.field is not None:
            if not needed:
                self._warnings.append(warning(timing.fault, timing.field))
                return None
            unreadable = timing.fault is Oddity.START_UNREADABLE
            what = "is no date and time" if unreadable else "is more than 400 days away"
            text = f"the start in {timing.field} {what}"
            return Rejection(code="VALUE", err3="102", text=text, location=_location(timing.field))
        if not needed:
            return None
        places = [source.field for source in self._rules.field_map.start]
        location = next((place for place in places if place.startswith("SCH-")), places[0])
        text = f"there is no start in {_either(places)}"
        return Rejection(code="FIELD", err3="101", text=text, location=_location(location, components=False))

    def _phone(self, clocks: Clocks) -> PhoneFinding:
        finding = find_phone(self._message, self._rules.phones, clocks, self._source.received_at, self._trace)
        self._warnings += finding.warnings
        if self._trace is not None:
            shown, note = _about_phone(finding)
            self._trace.note("phone", shown, finding.field, finding.candidates, note=note)
        return finding


def _about_phone(finding: PhoneFinding) -> tuple[str | None, str]:
    """What `explain` shows for the telephone, and its remark."""
    phone = finding.phone
    unless = ", unless it is one that the message speaks against" if finding.condemned_phones else ""
    if isinstance(phone, BadPhone):
        return None, f"given, but none may be used: {phone.reason}; forget the stored number"
    if isinstance(phone, UnreadablePhone):
        return None, f"given, but none can be texted: {phone.reason}; keep the stored number{unless}"
    if phone is FORGET:
        return None, "deleted by the sender: forget the number now"
    return (None, f"not given: keep the stored number{unless}") if phone is None else (phone.masked, phone.kind)


def _word(message: Message, path: str) -> str:
    value = message.get(path)
    return value.strip().upper() if isinstance(value, str) else ""


def _either(paths: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(paths))


def _location(path: str, *, components: bool = True) -> str:
    """ERR-2's form of a path: `SCH-11.4` is `SCH^1^11^1^4`, without components `SCH^1^11`."""
    place = Place.of(path)
    location = f"{place.segment}^{place.occurrence}^{place.field}"
    if components and "." in path:
        location += f"^{place.repetition}^{place.component}"
    return location
