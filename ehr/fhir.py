"""Tell an EHR's FHIR R4 server about one event: read for the version, decide, change or create. Blocking; called in threads.

    read Appointment ─> is it so already? ─> PATCH with If-Match ─> 409 or 412: read again, decide again, three times at most
    create with identifier urn:carebell|ID and If-None-Exist ─> a repetition finds the first one

A 401 is answered with a new token, once. Where a create takes no condition and no answer came, it is not known whether it was done:
such a one is never repeated by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from ehr.acknowledgements import EngineVerdict
from ehr.delivery import Delivery, Unanswered, judged
from ehr.fhir_plan import FHIR_ID, IDENTIFIER_SYSTEM
from ehr.json_body import put_in
from oauth.backend_services import BackendTokens
from oauth.faults import FetchCode, FetchFault, SignInFault, SsoExtraMissing
from oauth.fetcher import FetchedAnswer, Fetcher
from oauth.provider_errors import MEANINGS

ROUNDS: Final = 3
"""Times that an appointment is read and changed before it waits."""
_FHIR_JSON: Final = "application/fhir+json"
_PATIENT: Final = re.compile(r"(?:.*/)?(Patient/[A-Za-z0-9.-]{1,64})")
_NOTHING_SENT: Final = frozenset({
    FetchCode.BAD_URL, FetchCode.NOT_HTTPS, FetchCode.USER_INFO, FetchCode.NAME_UNKNOWN, FetchCode.ADDRESS_REFUSED,
    FetchCode.NOT_CONNECTED, FetchCode.CERTIFICATE, FetchCode.REDIRECT,
})  # fmt: skip
_NOTHING_DONE: Final = frozenset({401, 403, 408, 409, 423, 424, 425, 429, 503})


class _Ended(Exception):
    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery.code)
        self.delivery = delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appointment:
    """As read. `etag` None: the server names no version."""

    own_id: str
    etag: str | None
    resource: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirServer:
    """Attributes:
    now: aware, UTC.
    is_ended: whether no request may begin any more.
    """

    fetcher: Fetcher = field(repr=False)
    base_url: str
    tokens: BackendTokens = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)
    is_ended: Callable[[], bool] = field(default=lambda: False, repr=False)

    def deliver(self, content: bytes, writeback_id: str, *, maybe_done: bool) -> Delivery:
        """Carry out a plan of `ehr.fhir_plan`.

        Args:
            maybe_done: an earlier attempt ended without a report.

        Raises:
            Unanswered: there is no answer that counts, and it may be tried again.
        """
        plan = json.loads(content)
        if plan.get("nothing"):
            return Delivery(verdict=EngineVerdict.TAKEN, code="NOTHING")
        try:
            appointment = self._found(plan["find"]) if "find" in plan else None
            if "create" in plan:
                return self._create(plan, appointment, writeback_id, maybe_done)
            assert appointment is not None
            return self._change(plan["patch"], appointment)
        except _Ended as ended:
            return ended.delivery
        except FetchFault as fault:
            raise Unanswered(fault.code.upper()) from None

    # Reading

    def _found(self, find: Mapping[str, str]) -> _Appointment:
        if "read" in find:
            return self._read(find["read"])
        answer = self._call("GET", f"Appointment?identifier={quote(find['search'], safe='')}")
        self._expect_done(answer)
        entries = (answer.document or {}).get("entry", [])
        resources = (
            [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        )
        appointments = [
            resource
            for resource in resources
            if isinstance(resource, dict) and resource.get("resourceType") == "Appointment"
        ]
        if len(appointments) != 1:
            raise _refused("NOT_ONE" if appointments else "NOT_FOUND", answer)
        return _appointment(appointments[0], None, answer)

    def _read(self, own_id: str) -> _Appointment:
        answer = self._call("GET", f"Appointment/{own_id}")
        self._expect_done(answer)
        return _appointment(answer.document, answer.headers.get("etag"), answer)

    # Changing

    def _change(self, patch: Mapping[str, Any], appointment: _Appointment) -> Delivery:
        for _ in range(ROUNDS):
            operations = _operations(patch, appointment.resource)
            if not operations:
                return Delivery(verdict=EngineVerdict.TAKEN, answer="200", code="ALREADY")
            if appointment.etag is None:
                raise _refused("NO_VERSION", None)
            answer = self._call(
                "PATCH",
                f"Appointment/{appointment.own_id}",
                headers=[("Content-Type", "application/json-patch+json"), ("If-Match", appointment.etag)],
                body=_bytes(operations),
            )
            if answer.status not in (409, 412):
                return self._judged(answer)
            appointment = self._read(appointment.own_id)
        if not _operations(patch, appointment.resource):
            return Delivery(verdict=EngineVerdict.TAKEN, answer="200", code="ALREADY")
        return Delivery(verdict=EngineVerdict.AGAIN, answer=str(answer.status), code="HTTP_409")

    # Creating

    def _create(
        self, plan: Mapping[str, Any], appointment: _Appointment | None, writeback_id: str, maybe_done: bool
    ) -> Delivery:
        conditional = plan["if_none_exist"] is True
        if maybe_done and not conditional:
            return Delivery(verdict=EngineVerdict.UNKNOWN, code="MAYBE_DONE")
        body, kind = plan["body"], plan["create"]
        if appointment is not None:
            patient = _patient(appointment.resource)
            if patient is None:
                raise _refused("NO_PATIENT", None)
            body = put_in(body, {"appointment": f"Appointment/{appointment.own_id}", "patient": patient})
        headers = [("Content-Type", _FHIR_JSON)]
        if conditional:
            headers.append(("If-None-Exist", f"identifier={quote(f'{IDENTIFIER_SYSTEM}|{writeback_id}', safe='')}"))
        token = self._token()
        try:
            answer = self._call("POST", kind, headers=headers, body=_bytes(body), token=token)
        except FetchFault as fault:
            if conditional or fault.code in _NOTHING_SENT:
                raise
            return Delivery(verdict=EngineVerdict.UNKNOWN, code="MAYBE_DONE")
        delivery = self._judged(answer)
        if delivery.verdict is EngineVerdict.AGAIN and not conditional and answer.status not in _NOTHING_DONE:
            return Delivery(verdict=EngineVerdict.UNKNOWN, answer=delivery.answer, code="MAYBE_DONE")
        return delivery

    # Asking

    def _call(
        self,
        method: str,
        path: str,
        *,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
        token: str | None = None,
    ) -> FetchedAnswer:
        """An answer; of two if the first is 401, the one to the new token."""
        token = token or self._token()
        answer = self._once(method, path, headers or [], body, token)
        if answer.status != 401:
            return answer
        self.tokens.refused(token)
        return self._once(method, path, headers or [], body, self._token())

    def _once(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes, token: str) -> FetchedAnswer:
        if self.is_ended():
            raise Unanswered("ENDED")
        return self.fetcher.call(
            method,
            f"{self.base_url.rstrip('/')}/{path}",
            headers=[("Accept", _FHIR_JSON), ("Authorization", f"Bearer {token}"), *headers],
            body=body,
        )

    def _token(self) -> str:
        """Unanswered: there is none at present."""
        try:
            return self.tokens.token(self.now())
        except SignInFault as fault:
            named = fault.provider_error if fault.provider_error in MEANINGS else None
            raise Unanswered(f"TOKEN_{(named or fault.code).upper()}") from None
        except SsoExtraMissing:
            raise Unanswered("SSO_MISSING") from None
        except FetchFault as fault:
            raise Unanswered(f"TOKEN_{fault.code.upper()}") from None

    def _judged(self, answer: FetchedAnswer) -> Delivery:
        return judged(answer.status, answer.headers, answer.document, self.now())

    def _expect_done(self, answer: FetchedAnswer) -> None:
        if answer.status != 200:
            raise _Ended(self._judged(answer))


def _appointment(resource: Any, etag: str | None, answer: FetchedAnswer) -> _Appointment:
    own_id = resource.get("id") if isinstance(resource, dict) else None
    if not isinstance(own_id, str) or not FHIR_ID.fullmatch(own_id) or resource.get("resourceType") != "Appointment":
        raise _refused("NOT_FHIR", answer)
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    if etag is None and isinstance(version, str) and FHIR_ID.fullmatch(version):
        etag = f'W/"{version}"'
    return _Appointment(own_id=own_id, etag=etag, resource=resource)


def _operations(patch: Mapping[str, Any], resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The JSON Patch that is left to do; none: it is so already. _Ended: it must not be done."""
    if "links" in patch:
        return _link_operations(patch["links"], resource)
    present = resource.get("status")
    if present == patch["status"] or present in patch["already"]:
        return []
    if present not in patch["changes_from"]:
        raise _refused("APPOINTMENT_STATE", None)
    operations = [{"op": "replace", "path": "/status", "value": patch["status"]}]
    if "reason" in patch:
        operations.append({"op": "add", "path": "/cancelationReason", "value": patch["reason"]})
    return operations


def _link_operations(links: Mapping[str, str], resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Both addresses and the time in which they work, all added or all replaced."""
    contained = resource.get("contained")
    there = [_address(link) for link in contained] if isinstance(contained, list) else []
    wanted = [links["provider"], links["patient"]]
    if there == wanted:
        return []
    if there and (len(there) != len(wanted) or None in there):
        raise _refused("LINKS_MIXED", None)
    start, end = resource.get("start"), resource.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        raise _refused("NO_TIMES", None)
    paths = {"0/telecom/0/value": wanted[0], "1/telecom/0/value": wanted[1],
             "0/telecom/0/period/start": start, "0/telecom/0/period/end": end}  # fmt: skip
    how = "replace" if there else "add"
    return [{"op": how, "path": f"/contained/{path}", "value": value} for path, value in paths.items()]


def _address(contained: Any) -> str | None:
    try:
        value = contained["telecom"][0]["value"]
    except (KeyError, IndexError, TypeError):
        return None
    return value if isinstance(value, str) else None


def _patient(resource: Mapping[str, Any]) -> str | None:
    participants = resource.get("participant")
    for participant in participants if isinstance(participants, list) else ():
        actor = participant.get("actor") if isinstance(participant, dict) else None
        reference = actor.get("reference") if isinstance(actor, dict) else None
        match = _PATIENT.fullmatch(reference) if isinstance(reference, str) else None
        if match is not None:
            return match[1]
    return None


def _refused(code: str, answer: FetchedAnswer | None) -> _Ended:
    status = None if answer is None else str(answer.status)
    return _Ended(Delivery(verdict=EngineVerdict.REFUSED, answer=status, code=code))


def _bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
