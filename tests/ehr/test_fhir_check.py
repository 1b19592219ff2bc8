"""What a person is told about a FHIR base URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ehr.fhir_check import FhirCheck, check_fhir, check_offline
from ehr.urls import as_r4, clean, without_appendix, word_of_other_kind
from oauth.fetcher import Fetcher, FetchPolicy
from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator
from tests.oauth.servers import answer, scripted_server, sends


def codes(check: FhirCheck) -> list[str]:
    return [finding.code for finding in check.findings]


def planned(fhir: FhirSimulator, *faults: FhirFault, at: frozenset[Endpoint] = frozenset(Endpoint)) -> None:
    fhir.plan(FhirFaultPlan(faults=frozenset(faults), at=at))


def test_a_good_server_in_one_line(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    check = check_fhir(fetcher, fhir.base_url + "/", kind="production", others={"test": "https://other.example/R4"})
    assert check.summary == "FHIR 4.0.1 · Epic · Appointment: read, search, patch · sign-in: yes"
    assert (check.base_url, check.asked, check.good, check.signs_in) == (fhir.base_url, True, True, True)
    assert check.findings == ()


def test_dstu2_is_named_and_the_r4_address_offered(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    planned(fhir, FhirFault.DSTU2)
    check = check_fhir(fetcher, fhir.base_url, kind="production", others={})
    assert not check.good
    assert codes(check) == ["dstu2"]
    assert "answers as DSTU2" in check.findings[0].sentence
    assert "usually ends in /api/FHIR/R4" in check.findings[0].sentence


def test_a_server_without_smart(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    planned(fhir, FhirFault.NO_SMART)
    check = check_fhir(fetcher, fhir.base_url, kind="production", others={})
    assert check.summary.endswith("sign-in: no")
    assert (check.good, check.signs_in, codes(check)) == (True, False, ["no_sign_in"])
    assert "it publishes no SMART configuration. Use another proof." in check.findings[0].sentence


@pytest.mark.parametrize(
    ("fault", "code"),
    [(FhirFault.HUGE, "too_large"), (FhirFault.REDIRECT, "redirect"), (FhirFault.NOT_JSON, "not_json")],
)
def test_what_cannot_be_read_is_said(fault: FhirFault, code: str, fetcher: Fetcher, fhir: FhirSimulator) -> None:
    planned(fhir, fault, at=frozenset({Endpoint.METADATA}))
    check = check_fhir(fetcher, fhir.base_url, kind="production", others={})
    assert (check.good, check.asked, check.summary) == (False, True, "No FHIR server was found there.")
    assert codes(check) == [code]


def test_a_broken_sign_in_document_spoils_only_the_sign_in(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    planned(fhir, FhirFault.NOT_JSON, at=frozenset({Endpoint.SMART_CONFIGURATION}))
    check = check_fhir(fetcher, fhir.base_url, kind="production", others={})
    assert (check.good, check.fhir_version, codes(check)) == (True, "4.0.1", ["no_sign_in"])


def test_the_public_policy_says_what_is_wrong_with_the_address() -> None:
    for url, code, asked in (
        ("http://ehr.example/R4", "not_https", False),
        ("ehr.example/R4", "bad_url", False),
        ("https://a:b@ehr.example/R4", "user_info", False),
        ("https://10.0.0.5/R4", "address_refused", True),
    ):
        check = check_fhir(Fetcher(), url, kind="production", others={})
        assert (codes(check)[0], check.asked, check.good) == (code, asked, False)
    assert (
        check_fhir(Fetcher(), "http://ehr.example/R4", kind="production", others={}).findings[0].correction
        == "https://ehr.example/R4"
    )


def statement(**fields: object) -> dict[str, object]:
    return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"} | fields


def appointment(interaction: object) -> list[object]:
    return [1, {"resource": [{"type": "Appointment", "interaction": interaction}]}]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"resourceType": "OperationOutcome"},
        {"resourceType": ["CapabilityStatement"]},
        {"resourceType": "Conformance", "rest": appointment([{"code": []}])},
        statement(fhirVersion=4, software="Epic", rest={"resource": 1}),
        statement(fhirVersion="4.0.1\x1b", software={"name": ["x"]}),
        statement(rest=appointment(1)),
    ],
)
def test_odd_documents_are_no_crash(document: dict[str, Any]) -> None:
    with scripted_server(sends(answer(document))) as server:
        check = check_fhir(
            Fetcher(FetchPolicy(loopback=True, deadline_seconds=60)),
            f"http://127.0.0.1:{server.port}/R4",
            kind="test",
            others={},
        )
    assert check.asked
    assert check.summary.isprintable()


def test_other_versions_of_fhir() -> None:
    for version, words in (
        ("3.0.2", "answers as STU3"),
        ("5.0.0", "answers as FHIR 5.0.0"),
        ("1.0.2", "answers as DSTU2"),
    ):
        with scripted_server(sends(answer({"resourceType": "CapabilityStatement", "fhirVersion": version}))) as server:
            url = f"http://127.0.0.1:{server.port}/fhir/stu3"
            check = check_fhir(Fetcher(FetchPolicy(loopback=True, deadline_seconds=60)), url, kind="test", others={})
        assert words in check.findings[0].sentence
        assert check.findings[0].correction == f"http://127.0.0.1:{server.port}/fhir/r4"


def test_offline_only_the_words_are_looked_at() -> None:
    check = check_offline(
        " https://EHR.example/FHIR-TST/api/FHIR/R4/metadata ",
        kind="production",
        others={"test": "https://ehr.example/FHIR-TST/api/FHIR/R4/metadata/", "training": ""},
    )
    assert (check.asked, check.good, check.signs_in) == (False, True, None)
    assert codes(check) == ["appendix", "duplicate", "other_kind"]
    assert check.findings[0].correction == "https://ehr.example/FHIR-TST/api/FHIR/R4"
    assert check.findings[1].sentence.startswith("The environment test has this address too.")
    assert check.findings[2].sentence.startswith("This address names TST, but the environment is production.")


@pytest.mark.parametrize(
    ("url", "kind", "word"),
    [
        ("https://ehr.example/interconnect-tst/api", "production", "tst"),
        ("https://ehr.example/FHIR-SUP2/api", "production", "SUP2"),
        ("https://test.ehr.example/api", "production", "test"),
        ("https://ehr.example/FHIR-PRD/api", "test", "PRD"),
        ("https://ehr.example/FHIR-PRD/api", "production", None),
        ("https://ehr.example/FHIR-TST/api", "test", None),
        ("https://latest.example/contest/api", "production", None),
        ("https://ehr.example/product/api", "test", None),
    ],
)
def test_words_of_the_other_kind(url: str, kind: str, word: str | None) -> None:
    assert word_of_other_kind(url, kind) == word


@pytest.mark.parametrize(
    ("function", "url", "result"),
    [
        (as_r4, "https://ehr.example/api/FHIR/DSTU2/", "https://ehr.example/api/FHIR/R4"),
        (as_r4, "https://ehr.example/dstu2/abc", "https://ehr.example/r4/abc"),
        (as_r4, "https://ehr.example/api/FHIR/R4", None),
        (as_r4, "https://stu3.example/api", None),
        (without_appendix, "https://ehr.example/R4/.well-known/smart-configuration", "https://ehr.example/R4"),
        (without_appendix, "https://ehr.example/R4", None),
        (clean, " HTTPS://EHR.Example/Api/ ", "https://ehr.example/Api"),
    ],
)
def test_what_words_tell(function: Callable[[str], str | None], url: str, result: str | None) -> None:
    assert function(url) == result
