"""Write the same appointment as three kinds of senders do: HL7 v2 SIU bytes, unsigned, segments ended by CR.

Only shapes that hl7.md names as seen: both ids with offsets and TQ1 (`generic`); SCH-2 = PV1-19 = CSN, no offsets, the mobile
in the second repetition (`epic`); SCH-1 only, v2.3, duration in the third component (`oracle_health`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from simulator.patients import Patient

ShapeName = Literal["generic", "epic", "oracle_health"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Who sends to whom; the defaults fit the shipped carebell.yaml's `production`."""

    shape: ShapeName = "generic"
    application: str = "EHR"
    facility: str = "LAMNA"
    receiving_application: str = "APPTSMS"
    receiving_facility: str = "LAMNA"
    processing_id: str = "P"
    zone: str = "America/Los_Angeles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An appointment after a message. `start` is UTC; `status` is the filler's word for SCH-25."""

    reference: str
    patient: Patient
    start: datetime
    minutes: int
    provider: str
    location: str
    video: bool
    status: str


def write_siu(feed: Feed, visit: Visit, *, event: str, control_id: str, sent_at: datetime) -> bytes:
    """One SIU message as its sender would write it; `sent_at` becomes MSH-7."""
    zone = ZoneInfo(feed.zone)
    segments = _WRITERS[feed.shape](
        feed, visit, event, control_id, sent_at.astimezone(zone), visit.start.astimezone(zone)
    )
    return "".join(f"{segment}\r" for segment in segments).encode("utf-8")


def _text(value: str) -> str:
    """Escaped for ER7."""
    for plain, escaped in (("\\", "\\E\\"), ("|", "\\F\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\")):
        value = value.replace(plain, escaped)
    return value


def _stamp(moment: datetime, *, offset: bool) -> str:
    return moment.strftime("%Y%m%d%H%M%S%z" if offset else "%Y%m%d%H%M%S")


def _msh(feed: Feed, event: str, control_id: str, sent: str, version: str, *, structure: bool) -> str:
    kind = f"SIU^{event}^SIU_S12" if structure else f"SIU^{event}"
    ids = f"{feed.application}|{feed.facility}|{feed.receiving_application}|{feed.receiving_facility}"
    return f"MSH|^~\\&|{ids}|{sent}||{kind}|{control_id}|{feed.processing_id}|{version}||||||UNICODE UTF-8"


def _name(patient: Patient) -> str:
    return f"{_text(patient.family)}^{_text(patient.given)}"


def _split(phone: str) -> tuple[str, str]:
    return phone[2:5], phone[5:]


def _generic(feed: Feed, visit: Visit, event: str, control_id: str, sent: datetime, start: datetime) -> list[str]:
    person, reference = visit.patient, visit.reference
    area, local = _split(person.phone)
    begins = _stamp(start, offset=True)
    ends = _stamp(start + timedelta(minutes=visit.minutes), offset=True)
    kind = "VIDEO" if visit.video else "OFFICE"
    timing = f"^^{visit.minutes}^{begins}^{ends}"
    pid = (
        f"PID|1||{person.mrn}^^^LAMNA^MR||{_name(person)}||19700101|U|||||^PRN^CP^^1^{area}^{local}||{person.language}"
    )
    return [
        _msh(feed, event, control_id, _stamp(sent, offset=True), "2.5.1", structure=True),
        f"SCH|{reference}P^LAMNA|{reference}F^LAMNA|||||Visit|{kind}|{visit.minutes}|min|{timing}||||||||||||||{visit.status}",
        f"TQ1|1||||||{begins}|{ends}",
        pid,
        f"PV1|1|O|{_text(visit.location)}^^^LAMNA",
        "RGS|1|A",
        f"AIS|1|A|{kind}^{kind} visit|{begins}|0|min|{visit.minutes}|min",
        f"AIL|1|A|{_text(visit.location)}^^^LAMNA",
        f"AIP|1|A|1001^{_text(visit.provider)}|ATTENDING",
    ]


def _epic(feed: Feed, visit: Visit, event: str, control_id: str, sent: datetime, start: datetime) -> list[str]:
    person, csn = visit.patient, visit.reference
    area, local = _split(person.phone)
    mobile = f"({area}){local[:3]}-{local[3:]}^PRN^CELL"
    begins, kind = _stamp(start, offset=False), "VIDEO" if visit.video else "OFFICE"
    pid = f"PID|1||{person.mrn}^^^EPIC^MRN||{_name(person)}||19700101|U|||||^PRN^PH~{mobile}||{person.language}"
    return [
        _msh(feed, event, control_id, _stamp(sent, offset=False), "2.5.1", structure=False),
        f"SCH||{csn}|||||^|{kind}^{kind}|{visit.minutes}|MINUTES|^^^{begins}||||||||||||||{visit.status}",
        pid,
        f"PV1|1|O|{_text(visit.location)}||||1001^{_text(visit.provider)}||||||||||||{csn}",
        "RGS|1",
        f"AIS|1||{kind}^{kind}|{begins}|||{visit.minutes}|MINUTES",
    ]


def _oracle_health(feed: Feed, visit: Visit, event: str, control_id: str, sent: datetime, start: datetime) -> list[str]:
    person = visit.patient
    area, local = _split(person.phone)
    begins, kind = _stamp(start, offset=False), "VIDEO" if visit.video else "OFFICE"
    pid = f"PID|1||{person.mrn}^^^MRN||{_name(person)}||19700101|U|||||{area}{local}^PRN^CP||{person.language}"
    return [
        _msh(feed, event, control_id, _stamp(sent, offset=False), "2.3", structure=False),
        f"SCH|{visit.reference}|||||^|||{visit.minutes}|m|^^{visit.minutes}^{begins}||||||||||||||{visit.status}",
        pid,
        "RGS|1",
        f"AIS|1||{kind}|{begins}||||{visit.minutes}|m",
        f"AIL|1||{_text(visit.location)}",
        f"AIP|1||1001^{_text(visit.provider)}",
    ]


_Writer = Callable[[Feed, Visit, str, str, datetime, datetime], list[str]]
_WRITERS: dict[ShapeName, _Writer] = {"generic": _generic, "epic": _epic, "oracle_health": _oracle_health}
