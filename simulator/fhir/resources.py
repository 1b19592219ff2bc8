"""The simulated FHIR server's resources behind its tokens, with what goes wrong on request; no socket, no clock."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from simulator.fhir.backend import AssertionRefused, SimulatedBackend
from simulator.fhir.documents import BASE_PATH
from simulator.fhir.faults import FhirFault, FhirFaultPlan, ResourceAct, read_acts
from simulator.fhir.records import CREATABLE, STATUS_PATH, Headers, RecordAnswer, SimulatedRecords
from simulator.fhir.sign_in import PageAnswer

_KINDS: Final = CREATABLE | {"Appointment"}
_NOTHING_DONE: Final = frozenset(act for act in ResourceAct if act.value.isdigit()) | {ResourceAct.LOST_BEFORE}
_ACTIONS: Final = {"PATCH": "u", "POST": "c"}


class SimulatedResources:
    """Not for several threads at once.

    Attributes:
        acts: what happens to the next requests; afterwards all is well.
        retry_after: seconds, with 429 and 503.
        refused: why assertions were refused, in their order.
    """

    def __init__(self, client_id: str) -> None:
        self.backend = SimulatedBackend(client_id=client_id)
        self.records = SimulatedRecords()
        self.acts: deque[ResourceAct] = deque()
        self.retry_after = 2
        self.refused: list[str] = []

    def serves(self, path: str) -> bool:
        """Whether a path is one of the resources, or the connection status' service."""
        inside = path.startswith(f"{BASE_PATH}/") and path.removeprefix(f"{BASE_PATH}/").partition("/")[0] in _KINDS
        return inside or path == STATUS_PATH

    def token(self, form: Mapping[str, str], plan: FhirFaultPlan, endpoint: str, now: datetime) -> PageAnswer:
        """The token endpoint, for a client by itself."""
        try:
            if FhirFault.INVALID_CLIENT in plan.faults:
                raise AssertionRefused("on request")
            return PageAnswer(document=self.backend.issue(form, endpoint=endpoint, now=now))
        except AssertionRefused as refusal:
            self.refused.append(str(refusal))
            return PageAnswer(status=400, document={"error": "invalid_client", "error_description": "simulated"})

    def answer(
        self, method: str, path: str, query: str, body: bytes, headers: Headers, now: datetime
    ) -> tuple[ResourceAct, PageAnswer]:
        """(what happens to it, what is answered)."""
        act = self.acts.popleft() if self.acts else ResourceAct.OK
        if act in _NOTHING_DONE:
            if act is ResourceAct.HTTP_401:
                self.backend.forget_tokens()
            return act, self._status(act)
        if path == STATUS_PATH:
            return act, _page(self.records.connection_status(body, headers.get("Epic-Client-ID")))
        below = path.removeprefix(f"{BASE_PATH}/")
        kind, _, own_id = below.partition("/")
        action = _ACTIONS.get(method, "r" if own_id else "s")
        allowed = self.backend.allows(headers.get("Authorization") or "", f"{kind}.{action}", now)
        if allowed is not True:
            return act, PageAnswer(
                status=401 if allowed is None else 403, document={"resourceType": "OperationOutcome"}
            )
        changes = act is ResourceAct.CHANGED and own_id in self.records.appointments
        if changes and method != "GET":
            self.records.touch(own_id)
        given = self.records.answer(method, below, query, body, headers)
        if changes and method == "GET":
            self.records.touch(own_id)
        return act, _page(given)

    def steered(self, method: str, what: str, body: bytes) -> PageAnswer:
        """`/simulator/...`, for rehearsals by hand."""
        records = self.records
        if (method, what) == ("GET", "records"):
            shown = {
                "appointments": records.appointments,
                "created": records.created,
                "connections": records.connections,
            }
            return PageAnswer(document=shown)
        try:
            given = json.loads(body or b"{}")
            if method != "POST" or not isinstance(given, dict):
                raise ValueError("a JSON object was expected")
            match what:
                case "answers":
                    self.acts = deque(read_acts(given))
                case "keys":
                    self.backend.keys = [dict(key) for key in given["keys"]]
                case "appointments":
                    records.put(str(given["id"]), status=str(given.get("status", "booked")), system=given.get("system"))
                case _:
                    return PageAnswer(status=404, document={"error": "not known"})
        except (ValueError, KeyError, TypeError) as error:
            return PageAnswer(status=400, document={"error": str(error)})
        return PageAnswer(document={})

    def _status(self, act: ResourceAct) -> PageAnswer:
        if not act.value.isdigit():
            return PageAnswer(status=200)
        waits = act in (ResourceAct.HTTP_429, ResourceAct.HTTP_503)
        headers = {"Retry-After": str(self.retry_after)} if waits else {}
        outcome: dict[str, Any] = {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "processing"}],
        }
        return PageAnswer(status=int(act.value), document=outcome, headers=headers)


def _page(given: RecordAnswer) -> PageAnswer:
    headers = {} if given.version is None else {"ETag": f'W/"{given.version}"'}
    return PageAnswer(status=given.status, document=given.document, headers=headers)
