"""The simulated FHIR server's resources: versions, changes of status, video links, creates, and what goes wrong on request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from simulator.fhir.documents import BASE_PATH
from simulator.fhir.faults import ResourceAct
from simulator.fhir.records import STATUS_PATH, SimulatedRecords
from simulator.fhir.resources import SimulatedResources

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def patched(records: SimulatedRecords, operations: Any, if_match: str | None) -> int:
    body = json.dumps(operations).encode()
    return records.answer("PATCH", "Appointment/1", "", body, {} if if_match is None else {"If-Match": if_match}).status


def status_to(word: str) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "/status", "value": word}]


def test_a_patch_needs_the_present_version_and_a_change_that_is_documented() -> None:
    records = SimulatedRecords()
    records.put("1")
    assert patched(records, status_to("arrived"), None) == 412
    assert patched(records, status_to("arrived"), 'W/"7"') == 409
    assert patched(records, status_to("fulfilled"), 'W/"1"') == 422
    assert patched(records, [{"op": "replace", "path": "/comment", "value": ""}], 'W/"1"') == 422
    assert patched(records, status_to("arrived"), 'W/"1"') == 200
    assert patched(records, status_to("booked"), 'W/"2"') == 422
    assert records.appointments["1"]["status"] == "arrived"
    assert records.answer("PATCH", "Appointment/2", "", b"[]", {}).status == 404


def links(op: str, address: str = "https://join.example/1") -> list[dict[str, Any]]:
    places = ("0/telecom/0/value", "1/telecom/0/value", "0/telecom/0/period/start", "0/telecom/0/period/end")
    return [{"op": op, "path": f"/contained/{place}", "value": address} for place in places]


def test_video_links_are_all_added_or_all_replaced() -> None:
    records = SimulatedRecords()
    records.put("1")
    assert patched(records, links("add")[:1], 'W/"1"') == 422
    assert patched(records, [*links("add")[:2], *links("replace")[2:]], 'W/"1"') == 422
    assert patched(records, links("add", "https://join.example/" + "x" * 255), 'W/"1"') == 422
    assert patched(records, links("add"), 'W/"1"') == 200
    assert patched(records, links("add"), 'W/"2"') == 409
    assert patched(records, links("replace"), 'W/"2"') == 200
    assert len(records.appointments["1"]["contained"]) == 2


def test_a_conditional_create_is_done_once() -> None:
    records = SimulatedRecords()
    body = {"resourceType": "Communication", "identifier": [{"system": "urn:carebell", "value": "A"}]}
    condition = {"If-None-Exist": "identifier=urn%3Acarebell%7CA"}

    def create(**changes: Any) -> int:
        content = json.dumps(body | changes).encode()
        return records.answer("POST", "Communication", "", content, condition).status

    assert [create(), create(), create(resourceType="Patient")] == [201, 200, 400]
    assert len(records.created["Communication"]) == 1
    records.created["Communication"] *= 2
    assert create() == 412
    assert records.answer("POST", "Patient", "", b"{}", {}).status == 404


def test_an_appointment_is_found_by_an_identifier() -> None:
    records = SimulatedRecords()
    records.put("1", system="urn:oid:1.2")
    records.put("2")
    bundle = records.answer("GET", "Appointment", "identifier=urn%3Aoid%3A1.2%7C1", b"", {}).document
    assert bundle is not None
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["1"]
    assert records.answer("GET", "Appointment/1", "", b"", {}).version == 1


def test_acts_happen_to_one_request_each() -> None:
    resources = SimulatedResources("carebell")
    path = f"{BASE_PATH}/Appointment/1"
    assert resources.steered("POST", "appointments", b'{"id": "1"}').status == 200
    assert resources.steered("POST", "answers", b'{"next": ["429", "403", "ok"]}').status == 200
    answers = [resources.answer("GET", path, "", b"", {}, NOW)[1] for _ in range(3)]
    assert [(answer.status, answer.headers) for answer in answers] == [
        (429, {"Retry-After": "2"}),
        (403, {}),
        (401, {}),
    ]
    for body in (b"[]", b'{"next": ["nonsense"]}', b'{"next": [], "at": 1}', b"{"):
        assert resources.steered("POST", "answers", body).status == 400
    assert resources.steered("POST", "nothing", b"{}").status == 404
    shown = resources.steered("GET", "records", b"").document
    assert shown is not None
    assert list(shown["appointments"]) == ["1"]


def test_the_connection_status_needs_its_five_fields_and_its_header() -> None:
    resources = SimulatedResources("carebell")
    given = dict.fromkeys(("ExternalID", "ExternalIDType", "VendorName", "ConnectionStatus"), "x") | {
        "ConferenceID": "V"
    }

    def status(client_id: str | None, **changes: str) -> int:
        headers = {} if client_id is None else {"Epic-Client-ID": client_id}
        return resources.answer("POST", STATUS_PATH, "", json.dumps(given | changes).encode(), headers, NOW)[1].status

    assert [status(None), status("c", Another="field"), status("c"), status("c", ConnectionStatus="y")] == [
        400,
        400,
        200,
        200,
    ]
    assert resources.records.connections == {"V": ["x", "y"]}
    resources.acts.append(ResourceAct.LOST_AFTER)
    assert resources.answer("POST", STATUS_PATH, "", b"", {}, NOW)[0] is ResourceAct.LOST_AFTER
