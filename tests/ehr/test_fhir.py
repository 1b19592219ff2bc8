"""ehr/fhir.py against the simulated FHIR server: what each answer means, and that nothing is done twice or blindly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ehr.acknowledgements import EngineVerdict
from ehr.connection_status import StatusService
from ehr.delivery import Delivery, Unanswered, delivery_words, judged, retry_after
from ehr.fhir import FhirServer
from oauth.backend_services import BackendTokens
from oauth.client_keys import ClientKey, published, read_client_key
from oauth.fetcher import Fetcher, FetchPolicy
from simulator.fhir.faults import FhirFault, FhirFaultPlan, ResourceAct
from simulator.fhir.records import STATUS_PATH
from simulator.fhir.server import FhirSimulator, running_fhir_simulator

NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
TAKEN, REFUSED, AGAIN, UNKNOWN = (
    EngineVerdict.TAKEN, EngineVerdict.REFUSED, EngineVerdict.AGAIN, EngineVerdict.UNKNOWN,
)  # fmt: skip
ARRIVE: Final = {
    "find": {"read": "1"},
    "patch": {"status": "arrived", "changes_from": ["booked"], "already": ["arrived", "checked-in"]},
}


@pytest.fixture(scope="module")
def client_key() -> ClientKey:
    private = ec.generate_private_key(ec.SECP384R1())
    return read_client_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "ES384")


@pytest.fixture
def fhir(client_key: ClientKey) -> Iterator[FhirSimulator]:
    simulator = FhirSimulator(clock=lambda: NOW)
    simulator.resources.backend.keys = published([client_key])["keys"]
    simulator.resources.records.put("1", system="urn:oid:1.2")
    with running_fhir_simulator(simulator):
        yield simulator


@pytest.fixture
def server(fhir: FhirSimulator, client_key: ClientKey) -> FhirServer:
    return server_of(fhir, client_key)


def server_of(fhir: FhirSimulator, key: ClientKey, seconds: float = 60) -> FhirServer:
    fetcher = Fetcher(FetchPolicy(loopback=True, deadline_seconds=seconds))
    scopes = ["system/Appointment.rsu", "system/Communication.c"]
    tokens = BackendTokens(fetcher=fetcher, base_url=fhir.base_url, client_id="carebell", key=key, scopes=scopes)
    return FhirServer(fetcher=fetcher, base_url=fhir.base_url, tokens=tokens, now=lambda: NOW)


def create(if_none_exist: bool = True, **more: Any) -> dict[str, Any]:
    body = {
        "resourceType": "Communication",
        "identifier": [{"system": "urn:carebell", "value": "A"}],
        "status": "completed",
        "subject": {"reference": "{patient}"},
    }
    return {
        "find": {"search": "urn:oid:1.2|1"},
        "create": "Communication",
        "if_none_exist": if_none_exist,
        "body": body,
    } | more


def done(server: FhirServer, plan: dict[str, Any], *, maybe_done: bool = False) -> Delivery:
    return server.deliver(json.dumps(plan).encode(), "A", maybe_done=maybe_done)


def after(fhir: FhirSimulator, *acts: str) -> None:
    fhir.resources.acts.extend(ResourceAct(act) for act in acts)


def status_of(fhir: FhirSimulator) -> str:
    return str(fhir.resources.records.appointments["1"]["status"])


def test_a_status_changes_once_and_is_then_so_already(fhir: FhirSimulator, server: FhirServer) -> None:
    assert done(server, ARRIVE) == Delivery(verdict=TAKEN, answer="200")
    assert done(server, ARRIVE) == Delivery(verdict=TAKEN, answer="200", code="ALREADY")
    assert (status_of(fhir), fhir.resources.records.versions["1"]) == ("arrived", 2)


def test_nobody_is_overruled(fhir: FhirSimulator, server: FhirServer) -> None:
    fhir.resources.records.put("1", status="cancelled")
    assert done(server, ARRIVE) == Delivery(verdict=REFUSED, code="APPOINTMENT_STATE")
    assert status_of(fhir) == "cancelled"


def test_a_change_by_somebody_else_is_read_again_three_times_at_most(fhir: FhirSimulator, server: FhirServer) -> None:
    after(fhir, "ok", "changed", "ok", "412")
    assert done(server, ARRIVE).verdict is TAKEN
    fhir.resources.records.put("1")
    after(fhir, *(["ok", "changed"] * 3))
    assert done(server, ARRIVE) == Delivery(verdict=AGAIN, answer="409", code="HTTP_409")
    assert status_of(fhir) == "booked"


def test_what_somebody_else_did_meanwhile_is_so_already(fhir: FhirSimulator, server: FhirServer) -> None:
    after(fhir, "ok", "lost_after")
    with pytest.raises(Unanswered, match="NOT_HTTP"):
        done(server, ARRIVE)
    assert done(server, ARRIVE).code == "ALREADY"


@pytest.mark.parametrize("act", ["400", "403", "404", "422"])
def test_a_refusal_is_final(fhir: FhirSimulator, server: FhirServer, act: str) -> None:
    after(fhir, "ok", act)
    refusal = done(server, ARRIVE)
    assert refusal == Delivery(verdict=REFUSED, answer=act, code=f"HTTP_{act}", issue="processing")
    assert refusal.code is not None
    assert delivery_words(refusal.code, refusal.issue)
    assert not fhir.resources.acts


@pytest.mark.parametrize(("act", "wait"), [("423", None), ("424", None), ("429", 2), ("500", None), ("503", 2)])
def test_what_may_pass_is_tried_again(fhir: FhirSimulator, server: FhirServer, act: str, wait: int | None) -> None:
    after(fhir, act)
    answer = done(server, ARRIVE)
    assert (answer.verdict, answer.code) == (AGAIN, f"HTTP_{act}")
    assert answer.wait == (None if wait is None else timedelta(seconds=wait))


def test_a_token_that_does_not_count_any_more_is_renewed_once(fhir: FhirSimulator, server: FhirServer) -> None:
    after(fhir, "401")
    assert done(server, ARRIVE).verdict is TAKEN
    after(fhir, "401", "401")
    assert done(server, ARRIVE) == Delivery(verdict=AGAIN, answer="401", code="HTTP_401", issue="processing")


def test_without_a_token_nothing_is_asked(fhir: FhirSimulator, server: FhirServer) -> None:
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.INVALID_CLIENT})))
    after(fhir, "500")
    with pytest.raises(Unanswered, match="TOKEN_INVALID_CLIENT"):
        done(server, ARRIVE)
    assert len(fhir.resources.acts) == 1


def test_a_create_is_done_once_whatever_is_lost(fhir: FhirSimulator, client_key: ClientKey) -> None:
    for act, code, seconds in (
        ("lost_before", "NOT_HTTP", 60),
        ("lost_after", "NOT_HTTP", 60),
        ("slow", "TOO_SLOW", 3),
    ):
        after(fhir, "ok", act)
        with pytest.raises(Unanswered, match=code):
            done(server_of(fhir, client_key, seconds), create())
    assert done(server_of(fhir, client_key), create()).answer == "200"
    [made] = fhir.resources.records.created["Communication"]
    assert made["subject"] == {"reference": "Patient/p1"}


def test_a_create_without_a_condition_is_never_repeated_blindly(fhir: FhirSimulator, server: FhirServer) -> None:
    plan = create(if_none_exist=False)
    for act in ("lost_after", "lost_before", "500"):
        after(fhir, "ok", act)
        assert done(server, plan).verdict is UNKNOWN
    for act in ("429", "503", "423"):
        after(fhir, "ok", act)
        assert done(server, plan).verdict is AGAIN
    after(fhir, "503")  # reading, before anything was sent
    assert done(server, plan).verdict is AGAIN
    assert done(server, plan, maybe_done=True) == Delivery(verdict=UNKNOWN, code="MAYBE_DONE")
    assert len(fhir.resources.records.created["Communication"]) == 1


def test_which_appointment_is_meant_must_be_certain(fhir: FhirSimulator, server: FhirServer) -> None:
    records = fhir.resources.records
    assert done(server, create(find={"search": "urn:oid:1.2|2"})).code == "NOT_FOUND"
    assert done(server, create(find={"read": "2"})).code == "HTTP_404"
    records.put("2")
    records.appointments["2"]["identifier"] = records.appointments["1"]["identifier"]
    assert done(server, create()).code == "NOT_ONE"
    records.appointments["2"]["participant"] = [{"actor": {"reference": "Location/1"}}]
    assert done(server, create(find={"read": "2"})).code == "NO_PATIENT"
    records.appointments["1"]["resourceType"] = "Patient"
    assert done(server, ARRIVE).code == "NOT_FHIR"


def test_nothing_is_a_case_that_the_ehr_is_not_told(server: FhirServer, fhir: FhirSimulator) -> None:
    after(fhir, "500")
    assert done(server, {"nothing": True}) == Delivery(verdict=TAKEN, code="NOTHING")
    assert len(fhir.resources.acts) == 1


def test_video_links_are_added_replaced_and_left(fhir: FhirSimulator, server: FhirServer) -> None:
    def linked(name: str) -> Delivery:
        address = f"https://join.example/{name}"
        return done(
            server, {"find": {"read": "1"}, "patch": {"links": {"provider": f"{address}/p", "patient": address}}}
        )

    resource = fhir.resources.records.appointments["1"]
    assert linked("a").code == "NO_TIMES"
    resource |= {"start": NOW.isoformat(), "end": NOW.isoformat()}
    assert [linked("a").code, linked("a").code, linked("b").code, linked("b").code] == [
        None,
        "ALREADY",
        None,
        "ALREADY",
    ]
    held = fhir.resources.records.appointments["1"]["contained"]
    assert [resource["telecom"][0]["value"] for resource in held] == [
        "https://join.example/b/p",
        "https://join.example/b",
    ]
    del held[1]
    assert linked("c").code == "LINKS_MIXED"


def test_a_connection_status_is_told_with_its_client_id(fhir: FhirSimulator) -> None:
    service = StatusService(
        fetcher=Fetcher(FetchPolicy(loopback=True, deadline_seconds=60)),
        url=fhir.origin + STATUS_PATH,
        header="Epic-Client-ID",
        client_id="c",
        now=lambda: NOW,
    )
    fields = {
        "ConferenceID": "V",
        "ExternalID": "1",
        "ExternalIDType": "t",
        "VendorName": "v",
        "ConnectionStatus": "in",
    }
    content = json.dumps({"method": "POST", "body": fields}).encode()
    after(fhir, "503", "lost_after")
    assert service.deliver(content).wait == timedelta(seconds=2)
    with pytest.raises(Unanswered):
        service.deliver(content)
    assert service.deliver(content).verdict is TAKEN
    assert fhir.resources.records.connections == {"V": ["in", "in"]}
    assert service.deliver(json.dumps({"method": "POST", "body": {}}).encode()).verdict is REFUSED


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), ("0", 0), ("999999", 3600), ("Mon, 30 Nov 2026 12:00:30 GMT", 30), ("Mon, 30 Nov 2026 11:00:00 GMT", 0),
        ("soon", None), ("-1", None), ("", None), (None, None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: int | None) -> None:
    assert retry_after(value, NOW) == (None if seconds is None else timedelta(seconds=seconds))


def test_an_outcomes_own_words_are_not_kept() -> None:
    for issue in ([{"code": "a patient's name"}], [{"diagnostics": "a patient's name"}], "x", [1], []):
        answer = judged(422, {}, {"issue": issue}, NOW)
        assert answer.issue is None
        assert "name" not in repr(answer)
