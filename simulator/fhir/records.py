"""What the simulated FHIR server keeps: appointments with versions, what was created, and connection states; no socket, no clock.

    GET    Appointment/{id}             ETag W/"version"
    GET    Appointment?identifier=system|value
    PATCH  Appointment/{id}             JSON Patch; 412 without If-Match, 409 with another version than the present one
    POST   {type}                       201; 200 if If-None-Exist finds one already
    POST   SetExternalConnectionStatus  the five fields and the header that are public

Statuses change as Oracle Health documents it: proposed to booked or cancelled; booked to arrived, checked-in or cancelled;
arrived to checked-in or cancelled; checked-in to cancelled. Video links are contained[0] (provider) and contained[1] (patient), 255
characters at most, with the time in which they work, all added or all replaced.
Source: fhir.cerner.com, Millennium R4, Appointment, "Patch".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

STATUS_PATH: Final = "/api/epic/2018/Telehealth/ContextLinking/SetExternalConnectionStatus"
STATUS_FIELDS: Final = frozenset({"ConferenceID", "ExternalID", "ExternalIDType", "VendorName", "ConnectionStatus"})
LONGEST_LINK: Final = 255
CREATABLE: Final = frozenset({"AppointmentResponse", "Communication", "Observation"})
_CHANGES: Final[Mapping[str, frozenset[str]]] = {
    "proposed": frozenset({"booked", "cancelled"}),
    "booked": frozenset({"arrived", "checked-in", "cancelled"}),
    "arrived": frozenset({"checked-in", "cancelled"}),
    "checked-in": frozenset({"cancelled"}),
}
_LINK_PATHS: Final = frozenset({
    "/contained/0/telecom/0/value", "/contained/1/telecom/0/value", "/contained/0/telecom/0/period/start",
    "/contained/0/telecom/0/period/end",
})  # fmt: skip


class Headers(Protocol):
    """A request's headers; names in any case."""

    def get(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer:
    """Attributes:
    document: None: an empty body. version: for the ETag; None: none.
    """

    status: int
    document: Mapping[str, Any] | None = None
    version: int | None = None


@dataclass(slots=True, kw_only=True)
class SimulatedRecords:
    """Not for several threads at once.

    Attributes:
        appointments: id -> resource. versions: id -> its present version.
        created: type -> resources in their order.
        connections: ConferenceID -> every ConnectionStatus in its order.
    """

    appointments: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    created: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    connections: dict[str, list[str]] = field(default_factory=dict)

    def put(self, own_id: str, *, status: str = "booked", system: str | None = None) -> None:
        """An appointment without a patient's data, new or anew.

        Args:
            system: of an identifier with the value `own_id`; None: it has none.
        """
        self.appointments[own_id] = {
            "resourceType": "Appointment",
            "id": own_id,
            "status": status,
            "participant": [
                {"actor": {"reference": f"Patient/p{own_id}"}, "status": "accepted"},
                {"actor": {"reference": "Location/1"}, "status": "accepted"},
            ],
        } | ({} if system is None else {"identifier": [{"system": system, "value": own_id}]})
        self.versions[own_id] = self.versions.get(own_id, 0) + 1

    def touch(self, own_id: str) -> None:
        """Somebody else changes it: its version goes up."""
        self.versions[own_id] += 1

    def answer(self, method: str, path: str, query: str, body: bytes, headers: Headers) -> RecordAnswer:
        """What the server answers.

        Args:
            path: below the FHIR base URL, without a slash at its beginning.
        """
        kind, _, own_id = path.partition("/")
        match method, kind, bool(own_id):
            case "GET", "Appointment", True:
                return self._read(own_id)
            case "GET", "Appointment", False:
                return self._found(query)
            case "PATCH", "Appointment", True:
                return self._patch(own_id, body, headers.get("If-Match"))
            case "POST", _, False if kind in CREATABLE:
                return self._create(kind, body, headers.get("If-None-Exist"))
        return _outcome(404, "not-found")

    def connection_status(self, body: bytes, client_id: str | None) -> RecordAnswer:
        """What the connection status' service answers, as far as it is public."""
        try:
            given = json.loads(body)
        except ValueError:
            given = None
        if client_id is None or not isinstance(given, dict) or given.keys() != STATUS_FIELDS:
            return RecordAnswer(status=400, document={"Message": "simulated"})
        self.connections.setdefault(str(given["ConferenceID"]), []).append(str(given["ConnectionStatus"]))
        return RecordAnswer(status=200, document={})

    def _read(self, own_id: str) -> RecordAnswer:
        if own_id not in self.appointments:
            return _outcome(404, "not-found")
        return RecordAnswer(status=200, document=self._shown(own_id), version=self.versions[own_id])

    def _shown(self, own_id: str) -> dict[str, Any]:
        return {**self.appointments[own_id], "meta": {"versionId": str(self.versions[own_id])}}

    def _found(self, query: str) -> RecordAnswer:
        wanted = dict(parse_qsl(query)).get("identifier", "")
        ids = [
            own_id
            for own_id, resource in self.appointments.items()
            if any(
                f"{identifier['system']}|{identifier['value']}" == wanted
                for identifier in resource.get("identifier", ())
            )
        ]
        entries = [{"resource": self._shown(own_id), "search": {"mode": "match"}} for own_id in ids]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(ids), "entry": entries}
        return RecordAnswer(status=200, document=bundle)

    def _create(self, kind: str, body: bytes, condition: str | None) -> RecordAnswer:
        try:
            given = json.loads(body)
        except ValueError:
            return _outcome(400, "structure")
        if not isinstance(given, dict) or given.get("resourceType") != kind:
            return _outcome(400, "structure")
        there = self.created.setdefault(kind, [])
        if condition is not None:
            wanted = dict(parse_qsl(condition)).get("identifier", "")
            same = [resource for resource in there if wanted in _identifiers(resource)]
            if len(same) > 1:
                return _outcome(412, "multiple-matches")
            if same:
                return RecordAnswer(status=200, document=same[0], version=1)
        there.append({**given, "id": f"{kind}-{len(there) + 1}"})
        return RecordAnswer(status=201, document=there[-1], version=1)

    def _patch(self, own_id: str, body: bytes, if_match: str | None) -> RecordAnswer:
        if own_id not in self.appointments:
            return _outcome(404, "not-found")
        if if_match is None:
            return _outcome(412, "required")
        if if_match != f'W/"{self.versions[own_id]}"':
            return _outcome(409, "conflict")
        try:
            operations = json.loads(body)
            changed = self._changed(deepcopy(self.appointments[own_id]), operations)
        except (ValueError, TypeError, KeyError, AttributeError):
            return _outcome(422, "processing")
        if changed is None:
            return _outcome(409, "conflict")
        self.appointments[own_id] = changed
        self.versions[own_id] += 1
        return RecordAnswer(status=200, version=self.versions[own_id])

    def _changed(self, resource: dict[str, Any], operations: list[Mapping[str, Any]]) -> dict[str, Any] | None:
        """ValueError: 422. None: 409."""
        if not operations:
            raise ValueError("nothing to do")
        links = {operation["path"]: operation for operation in operations if operation["path"] in _LINK_PATHS}
        if links:
            kinds = {operation["op"] for operation in links.values()}
            if kinds not in ({"add"}, {"replace"}) or links.keys() != _LINK_PATHS:
                raise ValueError("all four are added, or all replaced")
            if kinds == {"add"} and resource.get("contained"):
                return None
            addresses = [str(links[f"/contained/{number}/telecom/0/value"]["value"]) for number in (0, 1)]
            if any(len(address) > LONGEST_LINK for address in addresses):
                raise ValueError("an address is too long")
            resource["contained"] = [
                {"resourceType": "HealthcareService", "telecom": [{"system": "url", "value": address}]}
                for address in addresses
            ]
        for operation in (operation for operation in operations if operation["path"] not in links):
            if (operation["op"], operation["path"]) == ("replace", "/status"):
                if operation["value"] not in _CHANGES.get(resource["status"], ()):
                    raise ValueError("the status does not change so")
                resource["status"] = operation["value"]
            elif (operation["op"], operation["path"]) == ("add", "/cancelationReason"):
                resource["cancelationReason"] = operation["value"]
            else:
                raise ValueError("another path")
        return resource


def _identifiers(resource: Mapping[str, Any]) -> list[str]:
    listed = resource.get("identifier", [])
    return [
        f"{identifier.get('system')}|{identifier.get('value')}"
        for identifier in (listed if isinstance(listed, list) else [listed])
    ]


def _outcome(status: int, code: str) -> RecordAnswer:
    issue = {"severity": "error", "code": code}
    return RecordAnswer(status=status, document={"resourceType": "OperationOutcome", "issue": [issue]})
