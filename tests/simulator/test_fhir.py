"""The simulated FHIR server by itself: its documents, its faults from outside, and its end."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan, read_fhir_plan
from simulator.fhir.server import FhirRequestSeen, FhirSimulator, running_fhir_simulator


def asked(url: str, body: str | None = None) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET" if body is None else "POST", parts.path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_documents_name_the_address_that_it_listens_on() -> None:
    with running_fhir_simulator(FhirSimulator(vendor="Oracle Health")) as fhir:
        status, text = asked(f"{fhir.base_url}/metadata")
        smart = json.loads(asked(f"{fhir.base_url}/.well-known/smart-configuration")[1])
        openid = json.loads(asked(f"{fhir.issuer}/.well-known/openid-configuration")[1])
    document = json.loads(text)
    assert (status, document["fhirVersion"], document["software"]["name"]) == (200, "4.0.1", "Oracle Health")
    assert smart["issuer"] == openid["issuer"] == fhir.issuer
    assert smart["token_endpoint"].startswith(fhir.origin)


def test_faults_by_http() -> None:
    with running_fhir_simulator(FhirSimulator()) as fhir:
        steering = f"{fhir.origin}/simulator/faults"
        assert asked(steering, '{"faults": ["dstu2"]}') == (200, '{"faults": ["dstu2"]}')
        assert json.loads(asked(f"{fhir.base_url}/metadata")[1])["resourceType"] == "Conformance"
        for body in ("[]", "{", '{"faults": ["nonsense"]}', '{"faults": 1}', '{"other": 1}'):
            assert asked(steering, body)[0] == 400
        assert asked(steering, "{}")[0] == 200
        assert json.loads(asked(f"{fhir.base_url}/metadata")[1])["resourceType"] == "CapabilityStatement"


def test_a_plan_from_json() -> None:
    assert read_fhir_plan({}) == FhirFaultPlan()
    plan = read_fhir_plan({"faults": ["slow", "wrong_nonce"], "at": ["token"]})
    assert plan.connection_fault(Endpoint.TOKEN) is FhirFault.SLOW
    assert plan.connection_fault(Endpoint.KEYS) is None
    with pytest.raises(ValueError, match="unknown key 'where'"):
        read_fhir_plan({"where": []})


def test_it_listens_on_this_machine_alone() -> None:
    for host in ("0.0.0.0", "203.0.113.1", "::1", "localhost"):
        with pytest.raises(ValueError, match=host):
            FhirSimulator().start(host)


def test_what_was_asked_is_told_without_its_query() -> None:
    requests: list[FhirRequestSeen] = []
    with running_fhir_simulator(FhirSimulator(seen=requests.append)) as fhir:
        asked(f"{fhir.issuer}/authorize?code=secret")
        asked(f"{fhir.origin}/elsewhere")
    assert [(request.method, request.path, request.status) for request in requests] == [
        ("GET", "/oauth2/authorize", 400),
        ("GET", "/elsewhere", 404),
    ]
