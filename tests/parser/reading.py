"""Verified messages made from text, rules made from a map's name, and readings in the corpus' own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from certs.message import Msh, VerifiedMessage
from config.document import read_document
from config.fieldmap import FieldMap
from config.model import Environment
from parser.event import FORGET, BadPhone, Evidence, Rejection, SchedulingEvent, UnreadablePhone
from parser.siu import Rules, explain, read, rules_for

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MAPS = Path(str(files("parser"))) / "fieldmaps"
CHICAGO = "America/Chicago"


@lru_cache
def field_map(name: str) -> FieldMap:
    return FieldMap.model_validate(read_document(MAPS / f"{name}.yaml").values)


def rules(
    map_name: str | FieldMap = "generic",
    *,
    zone: str = CHICAGO,
    wants_name: bool = False,
    writeback: dict[str, Any] | None = None,
    location_zones: dict[str, str] | None = None,
    **sms: Any,
) -> Rules:
    """Rules of an environment with these `sms` settings."""
    environment = Environment.model_validate(
        {
            "kind": "test",
            "time_zone": zone,
            "location_zones": location_zones or {},
            "certificates": ["test.cer"],
            "sender": {
                "facilities": ["LAMNATST"],
                "receiving_application": "APPTSMS",
                "receiving_facility": "LAMNATST",
                "processing_ids": ["T"],
            },
            "writeback": writeback or {},
            "sms": {"from": "+14255550101", "allow_list": ["+12025550143"], **sms},
        }
    )
    chosen = field_map(map_name) if isinstance(map_name, str) else map_name
    return rules_for(environment, chosen, wants_name=wants_name)


def verified(text: str | bytes, *, zone: str = CHICAGO, received_at: datetime | None = None) -> VerifiedMessage:
    """What verification would hand on: MSH-7 in its own offset or else in `zone`; segments may end in LF."""
    payload = text if isinstance(text, bytes) else text.encode()
    payload = re.sub(rb"\r?\n", b"\r", payload)
    header = payload.split(b"\r")[0].split(b"|") + [b""] * 20
    match = re.match(rb"([0-9]{8,14})[0-9]*([+-][0-9]{4})?", header[6])
    offset: str | None = None
    sent = datetime(2026, 3, 2, 15, tzinfo=UTC)
    if match is not None:
        digits = match[1].ljust(14, b"0").decode()
        wall = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo(zone))
        if match[2] is not None:
            offset = match[2].decode()
            sign = -1 if offset.startswith("-") else 1
            behind = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
            sent = wall.replace(tzinfo=UTC) - behind
        else:
            sent = wall.astimezone(UTC)
    return VerifiedMessage(
        payload=payload,
        digest=b"\0" * 32,
        msh=Msh(
            message_type=header[8],
            control_id=header[9],
            version_id=header[11],
            accept_ack=header[14],
            application_ack=header[15],
            character_set=header[17],
        ),
        environment="test",
        thumbprint="AAAA",
        received_at=received_at or sent,
        sent_at=sent,
        sent_offset=offset,
    )


@dataclass(frozen=True)
class Reading:
    """A message read both ways; both ways must agree."""

    result: SchedulingEvent | Rejection
    evidence: dict[str, Evidence]

    @property
    def event(self) -> SchedulingEvent:
        assert isinstance(self.result, SchedulingEvent), self.result
        return self.result

    @property
    def rejection(self) -> Rejection:
        assert isinstance(self.result, Rejection), self.result
        return self.result

    @property
    def odd(self) -> list[str]:
        return sorted({warning.code for warning in self.event.warnings})

    def why_not(self, name: str) -> dict[str, str | None]:
        """What each candidate of a value lost by."""
        return {candidate.field: candidate.why_not for candidate in self.evidence[name].candidates}


def reading(message: VerifiedMessage, by: Rules) -> Reading:
    result, evidence = explain(message, by)
    assert read(message, by) == result, "explain and read disagree"
    assert len({value.name for value in evidence}) == len(evidence)
    return Reading(result, {value.name: value for value in evidence})


def in_words(read: Reading) -> dict[str, Any]:
    """A reading as the corpus' files write it: what is absent is left out."""
    if isinstance(read.result, Rejection):
        return {"reject": f"{read.result.code} {read.result.err3} {read.result.location}"}
    event = read.event
    words: dict[str, Any] = {
        "status": _from(read, "status", event.status.value),
        "key": _from(read, "key", event.reference) if event.reference else "none",
        "aliases": "; ".join(" ".join(alias.split("|")[2:]).strip() for alias in event.aliases),
        "start": "none" if event.start is None else _from(read, "start", f"{event.start.instant:%Y-%m-%dT%H:%MZ}"),
        "phone": _phone(read),
    }
    if event.start is not None:
        words["zone"] = event.start.zone
        if event.start.date_only:
            words["date_only"] = True
    if event.duration is not None:
        words["minutes"] = _from(read, "duration", f"{event.duration.total_seconds() / 60:g}")
    if event.deceased:
        words["deceased"] = read.evidence["deceased"].field
    names = {"mode": "visit_mode", "link": "join_link"}
    for name in ("language", "consent", "mode", "link", "facility", "location", "provider", "patient_name"):
        value = getattr(event, names.get(name, name))
        if value is not None:
            words[name] = value
    if read.odd:
        words["odd"] = read.odd
    return words


def _from(read: Reading, name: str, value: str) -> str:
    field = read.evidence[name].field if name in read.evidence else None
    return value if field is None else f"{field}={value}"


def _phone(read: Reading) -> str:
    phone = read.event.phone
    if phone is None:
        return "keep"
    if phone is FORGET:
        return "forget"
    if isinstance(phone, BadPhone | UnreadablePhone):
        return phone.reason
    return f"{read.evidence['phone'].field}={phone.e164()}"
