"""The same facts have the same fingerprint, other facts another one, and the difference can be read."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from ehr.fingerprint import ApprovedFacts, differences, fingerprint, rows

FACTS = ApprovedFacts(
    environment="production",
    kind="production",
    fhir_base_url="https://ehr.example/R4",
    ehr="epic",
    facilities=("LAMNA", "LAMNA2"),
    application="APPTSMS",
    facility="LAMNA",
    processing_ids=("P",),
    authentication="signature",
    thumbprints=("AAA", "BBB"),
    sms_from="+14255550100",
    organization_allows_sending=True,
    attendees_have_consented=True,
)
CHANGES: dict[str, object] = {
    "environment": "main",
    "kind": "test",
    "fhir_base_url": None,
    "ehr": "generic",
    "facilities": ("LAMNA",),
    "application": "X",
    "facility": "X",
    "processing_ids": ("P", "T"),
    "authentication": "mutual-tls",
    "thumbprints": ("AAA", "CCC"),
    "sms_from": "+14255550101",
    "organization_allows_sending": False,
    "attendees_have_consented": False,
    "consent_field": "PD1-12",
    "consent_granted": ("Y",),
    "recipients": "allow_list",
    "join_host": "visit.example",
    "write_back": ("hl7",),
}


def test_every_fact_is_changed_here() -> None:
    assert {field.name for field in fields(ApprovedFacts)} == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_each_fact_changes_the_fingerprint_and_is_said(name: str) -> None:
    changed = replace(FACTS, **{name: CHANGES[name]})  # type: ignore[arg-type]  # a table of values of several types
    assert fingerprint(changed) != fingerprint(FACTS)
    [sentence] = differences(FACTS, changed)
    assert sentence.endswith(".")
    [row] = [row for row in rows(changed, FACTS) if row.before is not None]
    assert row.name == name


def test_order_and_repetition_mean_nothing() -> None:
    shuffled = replace(FACTS, facilities=("LAMNA2", "LAMNA", "LAMNA"), thumbprints=("BBB", "AAA"))
    assert fingerprint(shuffled) == fingerprint(FACTS)
    assert differences(FACTS, shuffled) == ()


def test_the_fingerprint_is_the_same_in_every_release() -> None:
    """It stands in databases: whoever changes this value invalidates every approval."""
    assert fingerprint(FACTS) == "ab465f1ffb2133bc55251cee5a1e43c68b6a5c8e09c4a0bd2ca645068710f35a"


def test_sentences() -> None:
    after = replace(
        FACTS, thumbprints=("BBB", "CCC"), fhir_base_url="https://ehr.example/new/R4", recipients="one_number"
    )
    assert differences(FACTS, after) == (
        "FHIR base URL: was https://ehr.example/R4, is https://ehr.example/new/R4.",
        "Certificates: added CCC; removed AAA.",
        "Who may be texted: was every patient, is one number in place of every patient's.",
    )


def test_facts_survive_the_database() -> None:
    assert fingerprint(ApprovedFacts.from_json(FACTS.to_json())) == fingerprint(FACTS)
    for text in ("{}", "[]", "null", '{"version": 2}', '{"version": 1}', "x"):
        with pytest.raises(ValueError, match=r"facts|Expecting"):
            ApprovedFacts.from_json(text)
