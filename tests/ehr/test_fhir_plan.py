"""ehr/fhir_plan.py and the shipped maps: every event's plan, checked against FHIR R4's own rules for what it makes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from config.document import read_shipped
from config.fhir_map import FhirMap
from config.json_template import VALUES
from config.load import FHIR_MAPS, STATUS_MAPS
from config.status_map import ConnectionStatusMap
from ehr.fhir_plan import fhir_plan, status_plan
from ehr.json_body import put_in
from ehr.messages import OutgoingEvent, Unrenderable
from scheduler.writeback import WritebackEvent

AT: Final = datetime(2026, 3, 1, 20, tzinfo=UTC)
ZONE: Final = ZoneInfo("America/Los_Angeles")
SHIPPED: Final = sorted(path.stem for path in FHIR_MAPS.glob("*.yaml"))
FACTS: Final[dict[str, Any]] = {
    "by": "patient",
    "code": 30003,
    "steps": {"camera": "ok", "microphone": "NotAllowedError"},
    "started_at": AT.isoformat(),
    "ended_at": AT.isoformat(),
    "duration": 600,
    "lobby_wait": 42,
    "ask": True,
}
REQUIRED: Final = {
    "AppointmentResponse": {"appointment", "participantStatus"},
    "Communication": {"status"},
    "Observation": {"status", "code"},
}
"""Elements with a cardinality of 1 (hl7.org/fhir/R4)."""
KNOWN: Final = {
    "AppointmentResponse": {"appointment", "start", "end", "participantType", "actor", "participantStatus", "comment"},
    "Communication": {
        "status", "statusReason", "category", "priority", "medium", "subject", "topic", "about", "sent", "received",
        "recipient", "sender", "reasonCode", "payload", "note", "basedOn", "partOf",
    },
    "Observation": {
        "status", "category", "code", "subject", "effectiveDateTime", "component", "performer", "device", "valueString",
        "note",
    },
}  # fmt: skip
STATUSES: Final = {
    "AppointmentResponse": ("participantStatus", {"accepted", "declined", "tentative", "needs-action"}),
    "Communication": (
        "status",
        {"preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"},
    ),
    "Observation": ("status", {"registered", "preliminary", "final", "amended"}),
}


def shipped(name: str) -> FhirMap:
    return FhirMap.model_validate(read_shipped(FHIR_MAPS / f"{name}.yaml").values)


def happened(event: WritebackEvent = WritebackEvent.CONFIRMED, **changes: Any) -> OutgoingEvent:
    known: dict[str, Any] = {
        "id": "01KCC5OK00VVVVVVVVVV",
        "at": AT,
        "facts": FACTS,
        "aliases": ("EPIC|LAMNA|filler|123|EPI", "EPIC|LAMNA|placer|P9|", "EPIC|LAMNA|visit|V7|"),
    }
    return OutgoingEvent(event=event, **(known | changes))


def planned(name: str, event: WritebackEvent, **changes: Any) -> dict[str, Any]:
    plan = json.loads(fhir_plan(shipped(name), happened(event, **changes), ZONE))
    assert isinstance(plan, dict)
    return plan


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_shipped_map_creates_keeps_the_standards_rules(name: str) -> None:
    own = shipped(name)
    for event in WritebackEvent:
        if not own.has(event):
            continue
        plan = planned(name, event)
        if "create" not in plan:
            continue
        body = put_in(plan["body"], {"appointment": "Appointment/1", "patient": "Patient/2"})
        kind = body.pop("resourceType")
        assert body.pop("identifier") == [{"system": "urn:carebell", "value": "01KCC5OK00VVVVVVVVVV"}]
        assert REQUIRED[kind] <= body.keys() <= KNOWN[kind]
        element, words = STATUSES[kind]
        assert body[element] in words
        text = json.dumps(body)
        assert "{" not in "".join(value for value in _texts(body)), text
        assert "null" not in text
        if kind == "AppointmentResponse":  # apr-1: participantType or actor
            assert body["actor"] == {"reference": "Patient/2"}
        for component in body.get("component", ()):
            assert {"code", "valueString"} == component.keys()


def _texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in _texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in _texts(value)]
    return [node] if isinstance(node, str) else []


def test_a_device_test_has_a_component_for_each_step_and_none_without_steps() -> None:
    components = planned("generic", WritebackEvent.DEVICE_TEST)["body"]["component"]
    assert components == [
        {"code": {"text": "camera"}, "valueString": "ok"},
        {"code": {"text": "microphone"}, "valueString": "NotAllowedError"},
    ]
    assert "component" not in planned("generic", WritebackEvent.DEVICE_TEST, facts={})["body"]


def test_what_is_not_known_is_left_out() -> None:
    payload = planned("generic", WritebackEvent.VISIT_ENDED, facts={"duration": 600})["body"]["payload"]
    assert payload == [{"contentString": "Length in seconds: 600"}]


def test_oracle_health_is_told_only_what_it_takes() -> None:
    name = "oracle_health"
    assert planned(name, WritebackEvent.WAITING)["patch"]["status"] == "arrived"
    assert planned(name, WritebackEvent.WAITING)["find"] == {"read": "123"}
    assert planned(name, WritebackEvent.CONNECTED)["patch"]["status"] == "checked-in"
    assert planned(name, WritebackEvent.CONNECTED, facts={"by": "provider"}) == {"nothing": True}
    asked = planned(name, WritebackEvent.CANNOT_COME)["patch"]
    assert (asked["status"], "reason" in asked) == ("cancelled", True)
    for event, facts in ((WritebackEvent.CANNOT_COME, {"by": "patient"}), (WritebackEvent.CONFIRMED, FACTS)):
        with pytest.raises(Unrenderable) as none_there:
            planned(name, event, facts=facts)
        assert none_there.value.code == "NO_MESSAGE"


@pytest.mark.parametrize("aliases", [(), ("EPIC|LAMNA|placer|P9|",), ("EPIC|LAMNA|filler|a/../b|",)])
def test_without_an_id_that_the_server_has_nothing_is_asked(aliases: tuple[str, ...]) -> None:
    with pytest.raises(Unrenderable) as unknown:
        planned("oracle_health", WritebackEvent.WAITING, aliases=aliases)
    assert unknown.value.code == "NO_VISIT_ID"


def links(length: int = 0) -> FhirMap:
    address = "https://join.example/" + "x" * length + "{visit_code}"
    patch = {"links": {"provider": address, "patient": address}}
    return FhirMap.model_validate(
        {"name": "n", "appointment": {"read": "{filler_id}"}, "interactions": {"confirmed": {"patch": patch}}}
    )


def test_video_links_have_255_characters_at_most() -> None:
    event = happened(facts={"visit_code": "V-1"})
    assert json.loads(fhir_plan(links(200), event, ZONE))["patch"]["links"]["patient"].endswith("xV-1")
    for own, facts, code in ((links(210), {"visit_code": "V" * 40}, "LINK_TOO_LONG"), (links(), {}, "NO_VISIT_ID")):
        with pytest.raises(Unrenderable) as fault:
            fhir_plan(own, happened(facts=facts), ZONE)
        assert fault.value.code == code


def test_the_least_scopes() -> None:
    assert shipped("generic").scopes({"confirmed", "text_failed"}) == [
        "system/Appointment.rs", "system/AppointmentResponse.c", "system/Communication.c",
    ]  # fmt: skip
    assert shipped("oracle_health").scopes({"waiting", "confirmed"}) == ["system/Appointment.ru"]
    assert shipped("oracle_health").scopes({"confirmed"}) == []


def test_what_is_not_public_of_a_connection_status_is_open() -> None:
    status = ConnectionStatusMap.model_validate(read_shipped(STATUS_MAPS / "epic.yaml").values)
    assert status.open_points("connected") == [
        "method", "fields.ConferenceID", "fields.ExternalID", "fields.ExternalIDType", "fields.VendorName",
        "statuses.connected",
    ]  # fmt: skip
    with pytest.raises(Unrenderable):
        status_plan(status, happened(WritebackEvent.CONNECTED), ZONE)
    confirmed = status.model_copy(
        update={
            "method": "POST",
            "fields": {"ConferenceID": "{visit_code}", "ExternalID": "{visit_id}", "VendorName": "Carebell"},
            "statuses": {"connected": "in", "connected.provider": "{by} in"},
        }
    )
    assert confirmed.open_points("connected") == []
    event = happened(WritebackEvent.CONNECTED, facts={"by": "provider", "visit_code": "V-1"})
    assert json.loads(status_plan(confirmed, event, ZONE)) == {
        "method": "POST",
        "body": {
            "ConferenceID": "V-1",
            "ExternalID": "V7",
            "VendorName": "Carebell",
            "ConnectionStatus": "provider in",
        },
    }
    with pytest.raises(Unrenderable) as empty:
        status_plan(confirmed, happened(WritebackEvent.CONNECTED, facts={}), ZONE)
    assert empty.value.code == "NO_VISIT_ID"


GOOD: Final[dict[str, Any]] = {"create": "Communication", "body": {"status": "completed"}}


@pytest.mark.parametrize(
    ("interaction", "said"),
    [
        ({}, "one of them"),
        (GOOD | {"nothing": True}, "one of them"),
        ({"create": "Communication"}, "belong together"),
        (GOOD | {"body": {"identifier": []}}, "which Carebell writes"),
        (GOOD | {"body": {"note": "{name}"}}, "is not a value"),
        (GOOD | {"body": {"note": "for {patient}"}}, "stands alone"),
        (GOOD | {"body": {"note": "{step}"}}, "needs `for_each"),
        (GOOD | {"body": {"note": "{at"}}, "without its partner"),
        (GOOD | {"body": {"note": None}}, "no text"),
        (GOOD | {"body": {"note": [{"for_each": "days"}]}}, "for_each must be"),
        ({"patch": {"status": "arrived"}}, "changes_from"),
        ({"patch": {}}, "status or links"),
        ({"patch": {"links": {"provider": "http://x", "patient": "https://x"}}}, "https://"),
    ],
)
def test_a_wrong_map_says_what_is_wrong(interaction: dict[str, Any], said: str) -> None:
    given = {"name": "n", "appointment": {"read": "{filler_id}"}, "interactions": {"confirmed": interaction}}
    with pytest.raises(ValidationError, match=said):
        FhirMap.model_validate(given)


def test_an_appointment_is_found_by_one_way() -> None:
    for how in ({}, {"read": "{filler_id}", "search": "{filler_id}"}, {"read": "1"}, {"read": "{patient}"}):
        with pytest.raises(ValidationError):
            FhirMap.model_validate({"name": "n", "appointment": how, "interactions": {"confirmed": GOOD}})


def test_all_values_have_their_words() -> None:
    assert all(VALUES.values())
