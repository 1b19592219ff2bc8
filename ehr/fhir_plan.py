"""What is to be done at an EHR's web services for one event, from a map: bytes that are kept and done again as they are. Pure.

    {"find": {"read": "4711"}, "patch": {"status": "arrived", "changes_from": ["booked"], "already": ["arrived"]}}
    {"find": {"search": "urn:oid:1.2|4711"}, "create": "AppointmentResponse", "if_none_exist": true, "body": {...}}
    {"nothing": true}
    {"method": "POST", "body": {"ConferenceID": "V-1", ...}}                  of a status map

What the EHR alone knows (`{appointment}`, `{patient}`) is put in when it is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from config.fhir_map import FhirInteraction, FhirMap, FhirPatch
from config.json_template import names_in
from config.status_map import ConnectionStatusMap
from ehr.json_body import Value, fill
from ehr.messages import OutgoingEvent, Unrenderable

IDENTIFIER_SYSTEM: Final = "urn:carebell"
LONGEST_LINK: Final = 255
"""Characters; Oracle Health answers 422 to a longer one."""
FHIR_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_IDS: Final = ("placer", "filler", "visit")
_INSTANTS: Final = frozenset({"started_at", "ended_at"})


def fhir_plan(fhir_map: FhirMap, event: OutgoingEvent, zone: tzinfo) -> bytes:
    """The plan for a FHIR server.

    Args:
        zone: the clinic's; times carry its offset.

    Raises:
        Unrenderable: NO_MESSAGE (the map has nothing for the event), NO_VISIT_ID (no id is known by which it is found), or
            LINK_TOO_LONG.
    """
    by, ask = event.facts.get("by"), event.facts.get("ask") is True
    interaction = fhir_map.interaction(event.event.value, by=by if isinstance(by, str) else None, ask=ask)
    if interaction is None:
        raise Unrenderable("NO_MESSAGE", f"the map {fhir_map.name} has nothing for {event.event.value}")
    if interaction.nothing:
        return _bytes({"nothing": True})
    values = _values(event, zone)
    plan: dict[str, Any] = {}
    if interaction.reads:
        plan["find"] = _find(fhir_map, values)
    if interaction.patch is not None:
        return _bytes(plan | {"patch": _patch(interaction.patch, values)})
    return _bytes(plan | _create(interaction, event, values))


def status_plan(status_map: ConnectionStatusMap, event: OutgoingEvent, zone: tzinfo) -> bytes:
    """The plan for a connection status' service. Unrenderable as `fhir_plan`; NO_VISIT_ID: a field stays empty."""
    by = event.facts.get("by")
    templates = status_map.body(event.event.value, by=by if isinstance(by, str) else None)
    if templates is None:
        raise Unrenderable("NO_MESSAGE", f"the map {status_map.name} has no status for {event.event.value}")
    values = _values(event, zone)
    body = {name: fill(template, values) for name, template in templates.items()}
    if any(value is None for value in body.values()):
        raise Unrenderable("NO_VISIT_ID", "a field of the request has no value: the visit has no such id")
    return _bytes({"method": status_map.method, "body": {name: str(value) for name, value in body.items()}})


def _find(fhir_map: FhirMap, values: Mapping[str, Value]) -> dict[str, str]:
    ways = {
        how: template
        for how, template in (("read", fhir_map.appointment.read), ("search", fhir_map.appointment.search))
        if template is not None
    }
    [(how, template)] = ways.items()
    given = fill(template, values) if all(name in values for name in names_in(template)) else None
    if not isinstance(given, str) or (how == "read" and FHIR_ID.fullmatch(given) is None):
        raise Unrenderable("NO_VISIT_ID", "no id of this visit is known by which the EHR's server finds it")
    return {how: given}


def _patch(patch: FhirPatch, values: Mapping[str, Value]) -> dict[str, Any]:
    if patch.links is not None:
        templates = {"provider": patch.links.provider, "patient": patch.links.patient}
        if any(name not in values for template in templates.values() for name in names_in(template)):
            raise Unrenderable("NO_VISIT_ID", "the visit has no link")
        links = {who: str(fill(template, values)) for who, template in templates.items()}
        if any(len(link) > LONGEST_LINK for link in links.values()):
            raise Unrenderable("LINK_TOO_LONG", f"a link has more than {LONGEST_LINK} characters")
        return {"links": links}
    wanted = {"status": patch.status, "changes_from": patch.changes_from, "already": patch.already}
    return wanted | ({} if patch.reason is None else {"reason": fill(patch.reason, values)})


def _create(interaction: FhirInteraction, event: OutgoingEvent, values: Mapping[str, Value]) -> dict[str, Any]:
    listed = event.facts.get("steps")
    pairs = listed.items() if isinstance(listed, Mapping) else ()
    steps: list[dict[str, Value]] = [
        {"nr": nr, "step": step, "result": result} for nr, (step, result) in enumerate(pairs, 1)
    ]
    identifier = [{"system": IDENTIFIER_SYSTEM, "value": event.id}]
    body = {
        "resourceType": interaction.create,
        "identifier": identifier,
        **(fill(interaction.body, values, steps) or {}),
    }
    return {"create": interaction.create, "if_none_exist": interaction.if_none_exist, "body": body}


def _values(event: OutgoingEvent, zone: tzinfo) -> dict[str, Value]:
    values: dict[str, Value] = {
        name: value
        for name, value in event.facts.items()
        if name not in _INSTANTS and value is not None and not isinstance(value, Mapping)
    }
    for name in _INSTANTS & event.facts.keys():
        values[name] = _time(datetime.fromisoformat(str(event.facts[name])), zone)
    for alias in event.aliases:
        _, _, kind, own_id, *_ = (*alias.split("|"), "", "", "")
        if kind in _IDS and own_id:
            values.setdefault(f"{kind}_id", own_id.replace("\\F\\", "|"))
    if event.start is not None:
        values["start"] = _time(event.start, zone)
    return values | {"control_id": event.id, "event": event.event.value, "at": _time(event.at, zone)}


def _time(instant: datetime, zone: tzinfo) -> str:
    return instant.astimezone(zone).isoformat(timespec="seconds")


def _bytes(plan: Mapping[str, Any]) -> bytes:
    return json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
