"""What analysts enter into the EHR, in every form, and how a difference is found."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr.record_comparison import LONGEST_PASTE, compare
from ehr.record_contents import HeaderLine, RecordFacts, integration_records
from ehr.records import TITLES, IntegrationRecord, RecordField

FACTS = RecordFacts(
    environment="production",
    ehr="epic",
    join_url="https://visit.lamna.example/",
    sms_from="+14255550100",
    texts=("confirmation when a visit is scheduled", "reminder 24 h before"),
    reply_words=("YES", "NO"),
    host="carebell.lamna.example",
    port=2575,
    tls=True,
    facilities=("LAMNA",),
    application="APPTSMS",
    facility="LAMNA",
    processing_ids=("P",),
    headers=(HeaderLine(header='{"alg":"RS256"}', thumbprint="GM15", expires="2028-11-20"),),
    fields=(("start", "SCH-11.4"),),
    answers=(("SIG01", "AR", "not signed"),),
    sample="MSH|^~\\&|EPIC\rSCH|1\r",
    device_codes=(("MIC_SILENT", "no sound came"),),
)
RECORDS = {record.kind: record for record in integration_records(FACTS)}
TEST_RECORDS = {
    record.kind: record for record in integration_records(replace(FACTS, environment="test", host="test.lamna.example"))
}


def value(record: IntegrationRecord, name: str) -> str:
    [field] = [field for field in record.fields if field.name == name]
    return field.value


def test_there_are_five() -> None:
    assert list(RECORDS) == list(TITLES)


def test_the_patients_record() -> None:
    patient = RECORDS["patient"]
    assert value(patient, "launch_url") == "https://visit.lamna.example/ehr/production/patient"
    assert value(patient, "redirect_uri") == "https://visit.lamna.example/ehr/production/callback"
    assert value(patient, "scopes") == "launch openid fhirUser"
    assert value(patient, "context_token") == "sessionId=%CSN%&env=production"
    assert value(patient, "device_test_token") == "test=true&env=production"


def test_the_providers_record_names_the_department() -> None:
    token = value(RECORDS["provider"], "context_token")
    assert token == "sessionId=%CSN%&departmentId=%PERFDEPID;;; ; ;;NONE;%&env=production"
    group = {record.kind: record for record in integration_records(replace(FACTS, group_visits=True))}
    assert value(group["provider"], "context_token").startswith("sessionId=%CONFERENCEID%&departmentId=")
    assert value(group["patient"], "context_token") == "sessionId=%CONFERENCEID%&appointmentId=%CSN%&env=production"
    assert "without appointmentId no patient comes in" in group["patient"].to_text()
    assert "appointmentId" not in value(group["provider"], "context_token")


def test_launches_that_are_not_set_up_have_no_record() -> None:
    made = {record.kind: record for record in integration_records(replace(FACTS, launches=("provider",)))}
    assert made["provider"].missing is None
    assert made["patient"].fields == ()
    assert "visits.launch" in (made["patient"].missing or "")


def test_the_sms_configuration() -> None:
    record = RECORDS["sms_configuration"]
    assert [field.name for field in record.fields] == [
        "host", "port", "tls", "msh_4", "msh_5", "msh_6", "msh_11", "header", "thumbprint", "fields", "answers", "sample",
    ]  # fmt: skip
    assert value(record, "header") == '{"alg":"RS256"}'
    assert value(record, "sample") == "MSH|^~\\&|EPIC\nSCH|1"
    twice = replace(FACTS, headers=(*FACTS.headers, HeaderLine(header="{}", thumbprint="AAA", expires="2029-01-01")))
    names = [field.name for field in integration_records(twice)[3].fields]
    assert names[7:11] == ["header_1", "thumbprint_1", "header_2", "thumbprint_2"]
    assert len(names) == len(set(names))


def test_the_other_two() -> None:
    assert value(RECORDS["direct_sms"], "sending_number") == "+14255550100"
    assert value(RECORDS["direct_sms"], "stop_words") == "STOP"
    assert value(RECORDS["device_test"], "url") == "https://visit.lamna.example/test"
    assert value(RECORDS["device_test"], "codes") == "MIC_SILENT: no sound came"


def test_without_links_it_is_said_which_record_waits() -> None:
    records = integration_records(replace(FACTS, join_url=None))
    assert [record.kind for record in records if record.missing] == ["patient", "provider", "device_test"]
    assert "`join` is off" in records[0].to_text()


def test_oracle_health_gets_its_links_by_patch() -> None:
    patient, provider, *_ = integration_records(replace(FACTS, ehr="oracle_health"))
    assert "contained[1]" in value(patient, "patch")
    assert "contained[0]" in value(provider, "patch")
    [note] = [field.note for field in patient.fields if field.name == "patch"]
    assert note is not None
    assert f"this link has {len(value(patient, 'launch_url'))} and fits" in note
    long = integration_records(replace(FACTS, ehr="oracle_health", join_url="https://visit.example/" + "x" * 250))[0]
    assert "characters too long: shorten join.public_url" in str(long.fields[-1].note)
    assert not any(field.name == "patch" for field in RECORDS["patient"].fields)


def test_check_codes_tell_records_apart() -> None:
    codes = [record.check_code for record in (*RECORDS.values(), *TEST_RECORDS.values())]
    assert len(set(codes)) == len(codes)
    assert all(len(code) == 6 and set(code) <= set("BCDFGHJKLMNPQRSTVWXZ") for code in codes)
    assert RECORDS["patient"].check_code == "FZRNHV"


def test_forms() -> None:
    record = RECORDS["sms_configuration"]
    text = record.to_text()
    assert text.startswith(
        f"SMS configuration record, environment production, check code {record.check_code}\n\nMLLP host: carebell"
    )
    assert "Sample message:\n  MSH|^~\\&|EPIC\n  SCH|1\n" in text
    rows = list(csv.DictReader(io.StringIO(record.to_csv())))
    assert [row["name"] for row in rows] == [field.name for field in record.fields]
    assert {row["check code"] for row in rows} == {record.check_code}
    assert next(csv.DictReader(io.StringIO(RECORDS["direct_sms"].to_csv())))["value"] == "'+14255550100"
    assert json.loads(json.dumps(record.to_json()))["fields"][1] == {
        "name": "port",
        "label": "MLLP port",
        "value": "2575",
        "note": None,
    }


# Comparing


def test_what_is_the_same() -> None:
    patient = RECORDS["patient"]
    for pasted in ("sessionId=%CSN%&env=production", "  sessionId=%CSN%&env=production \r\n"):
        comparison = compare(patient, pasted)
        assert (comparison.verdict, comparison.field) == ("same", "context_token")
        assert comparison.sentence == "Context token: every character is the same."
    assert compare(patient, patient.to_text().replace("\n", "\r\n")).verdict == "same"


def test_one_changed_letter() -> None:
    comparison = compare(RECORDS["patient"], "https://visit.lamna.example/ehr/production/patlent")
    assert (comparison.verdict, comparison.field) == ("different", "launch_url")
    assert [(span.kind, span.text) for span in comparison.spans] == [
        ("same", "https://visit.lamna.example/ehr/production/pat"),
        ("missing", "i"),
        ("extra", "l"),
        ("same", "ent"),
    ]
    assert (
        compare(RECORDS["patient"], "sessionId=%CSN%&env=productio").sentence == "Context token: 1 character differs."
    )


def test_characters_that_nobody_sees_are_named() -> None:
    comparison = compare(RECORDS["provider"], value(RECORDS["provider"], "context_token").replace("; ;", ";\u00a0;"))
    assert [span.names for span in comparison.spans if span.kind == "extra"] == [("U+00A0 NO-BREAK SPACE",)]
    assert [span.names for span in comparison.spans if span.kind == "missing"] == [("blank",)]


def test_another_environments_value() -> None:
    comparison = compare(RECORDS["patient"], "sessionId=%CSN%&env=test", [*RECORDS.values(), *TEST_RECORDS.values()])
    assert (comparison.verdict, comparison.other) == ("other_environment", "test")
    assert comparison.sentence == "This is Context token of the environment test. Here belongs the one of production."
    whole = compare(RECORDS["patient"], TEST_RECORDS["patient"].to_text(), list(TEST_RECORDS.values()))
    assert whole.verdict == "other_environment"


def test_another_records_value_and_something_else() -> None:
    comparison = compare(RECORDS["patient"], value(RECORDS["provider"], "launch_url"), list(RECORDS.values()))
    assert (
        comparison.sentence
        == "This is Launch URL of the Provider integration record, not of the Patient integration record."
    )
    assert compare(RECORDS["patient"], "2575", list(RECORDS.values())).verdict == "unlike"
    assert compare(RECORDS["patient"], " \n ").sentence == "Nothing was pasted."
    with pytest.raises(ValueError, match="20000"):
        compare(RECORDS["patient"], "x" * (LONGEST_PASTE + 1))


LINES = (
    st.lists(st.text("abc\u00a0", min_size=1, max_size=400), min_size=1, max_size=6)
    .map("\n".join)
    .filter(lambda text: text == text.strip())
)


@given(LINES, LINES)
def test_the_spans_are_both_texts(written: str, pasted: str) -> None:
    """Same and missing are the record's value, same and extra what was pasted, whatever the two are."""
    record = IntegrationRecord(
        kind="patient", environment="e", fields=(RecordField(name="n", label="L", value=written),)
    )
    comparison = compare(record, pasted)
    assert (comparison.verdict == "same") == (written == pasted)
    if comparison.verdict == "different":
        assert comparison.field == "n"
        assert "".join(span.text for span in comparison.spans if span.kind != "extra") == written
        assert "".join(span.text for span in comparison.spans if span.kind != "missing") == pasted


def test_two_far_differences_in_a_long_record() -> None:
    """Each is shown at its place, and not everything between them."""
    record = replace(RECORDS["sms_configuration"], fields=tuple(
        RecordField(name=f"f{number}", label=f"Field {number}", value=f"value {number} of a long record") for number in range(100)
    ))  # fmt: skip
    pasted = record.to_text().replace("value 3 of", "value 3 0f").replace("value 90 of", "value 90 off")
    comparison = compare(record, pasted)
    changed = [(span.kind, span.text) for span in comparison.spans if span.kind != "same"]
    assert changed == [("missing", "o"), ("extra", "0"), ("extra", "f")]


def test_a_test_that_is_off_has_no_address() -> None:
    records = {record.kind: record for record in integration_records(replace(FACTS, device_codes=()))}
    assert records["device_test"].fields == ()
    assert records["device_test"].missing is not None
    assert records["patient"].missing is None
