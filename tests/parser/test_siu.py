"""parser/siu.py: events, refusals, and what `explain` shows; and that nothing a sender writes breaks either."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import parser.siu
from config.fieldmap import FieldMap
from parser.ack import ACCEPTED, acknowledge
from parser.event import Action, Rejection, Status
from parser.siu import EVENTS, explain, read
from scheduler.appointment import same_visit
from tests.parser.reading import SAMPLES, field_map, reading, rules, verified

M01 = """MSH|^~\\&|EPIC|LAMNA|APPTSMS|LAMNA|20260302150300+0000||SIU^S12^SIU_S12|MSG00001|P|2.5.1|||||USA|UNICODE UTF-8
SCH|900100^EPIC|900100^EPIC|||||ROUTINE^Routine|FOLLOWUP^Follow-up|30|MIN^Minutes|^^30^20260309140000-0500^20260309143000-0500|||||1001^SCHEDULER^SAM|||||||||Scheduled
PID|1||MRN00042^^^LAMNA^MR||TESTPATIENT^ALEX^Q||19800101|U|||||^PRN^CP^^1^202^5550143
PV1|1|O|CARD^^^LAMNA
AIS|1|A|FOLLOWUP^Follow-up visit|20260309140000-0500|0|MIN|30|MIN
AIP|1|A|2002^EXAMPLE^ROBIN^^^DR|||20260309140000-0500
"""

KEEPS_PATIENT_ID: dict[str, Any] = {
    "patient_id": "keep",
    "events": {"confirmed": "hl7"},
    "hl7": {
        "host": "engine.lamna.example",
        "port": 6661,
        "sending_facility": "A",
        "receiving_application": "B",
        "receiving_facility": "C",
    },
}


def siu(event: str = "S12", *segments: str, sch: str = "SCH||F1", version: str = "2.5.1") -> str:
    return f"MSH|^~\\&|EPIC|LAMNA|A|B|20260302090000||{event}|C1|P|{version}\n" + "\n".join((sch, *segments)) + "\n"


HEADER = "MSH|^~\\&|EPIC|LAMNA|A|B|20260302090000||SIU^S12|{}|P|2.5.1"


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8", exclude_characters="|\r\n"), max_size=220),
        st.text(st.sampled_from("AZ09-_ ^~&\\\\F\\\\T字é"), min_size=190, max_size=210),
    )
)
def test_what_is_accepted_can_be_matched_by_its_sender(control_id: str) -> None:
    """Whatever MSH-10 is: it is refused with a code, or the answer's MSA-2 is MSH-10, byte for byte."""
    message = verified(HEADER.format(control_id) + f"\n{timed()}\n")
    outcome = read(message, rules())
    ack = acknowledge(message.msh, ACCEPTED, now=message.sent_at, control_id="CB1")
    assert ack is not None
    [repeated] = [fields[2:3] for line in ack.split(b"\r") if (fields := line.split(b"|"))[0] == b"MSA"]
    if isinstance(outcome, Rejection):
        assert (outcome.code, outcome.location) == ("SIG10", "MSH^1^10")
        assert outcome.err3 == ("104" if len(control_id) > 199 else "102")
    else:
        assert b"".join(repeated) == control_id.encode()


@pytest.mark.parametrize(
    ("control_id", "text"),
    [
        ("C" * 200, "MSH-10 is longer than 199 characters"),
        ("C" * 5000, "MSH-10 is longer than 199 characters"),
        ("a\u202eb", "MSH-10 has characters that are not printable"),
        ("a\x9bb", "MSH-10 has characters that are not printable"),
    ],
)
def test_a_control_id_that_no_answer_can_repeat_is_refused_and_explained(control_id: str, text: str) -> None:
    explained = reading(verified(HEADER.format(control_id) + f"\n{timed()}\n"), rules())
    assert (explained.rejection.code, explained.rejection.text) == ("SIG10", text)
    assert explained.evidence["start"].value == "2026-03-09T17:00:00Z"


def timed(filler: str = "F1", placer: str = "", extra: str = "") -> str:
    return f"SCH|{placer}|{filler}|||||||||^^^20260309120000{extra}"


def test_explaining_shows_every_value_its_field_and_every_loser() -> None:
    explained = reading(verified(M01), rules("epic", zone="America/Los_Angeles"))
    shown = {name: (evidence.value, evidence.field) for name, evidence in explained.evidence.items()}
    assert shown["event"] == ("S12", "MSH-9.2")
    assert shown["key"] == ("900100", "SCH-2.1")
    assert shown["aliases"] == ("EPIC|LAMNA|filler|900100|EPIC, EPIC|LAMNA|placer|900100|EPIC", None)
    assert shown["start"] == ("2026-03-09T19:00:00Z", "SCH-11.4")
    assert shown["duration"] == ("30", "SCH-11.5")
    assert shown["status"] == ("booked", "SCH-25")
    assert shown["phone"] == ("***0143", "PID-13[1]")
    assert shown["provider"] == ("DR ROBIN EXAMPLE", "AIP-3")
    assert explained.evidence["start"].zone == "America/Los_Angeles"
    assert (
        explained.evidence["start"].note
        == "offset on the value; clinic's zone: America/Los_Angeles, the zone of the environment"
    )
    assert explained.evidence["key"].note == "filler id, authority EPIC"
    assert explained.why_not("start") == {
        "TQ1-7": "empty",
        "SCH-11.4": None,
        "SCH-11.1": "empty",
        "AIS-4": "SCH-11.4 comes first",
        "AIL-6": "empty",
        "AIP-6": "SCH-11.4 comes first",
        "AIG-8": "empty",
        "PV2-8": "empty",
    }
    assert explained.event.warnings == ()


def test_neither_names_nor_numbers_nor_anything_else_of_the_patient_is_explained() -> None:
    for by in (rules(), rules(wants_name=True), rules(writeback=KEEPS_PATIENT_ID)):
        result, evidence = explain(verified(M01), by)
        shown = repr(evidence) + repr(result)
        for private in ("TESTPATIENT", "ALEX", "MRN00042", "19800101", "5550143", "2025550143"):
            assert private not in shown
    assert read(verified(M01), rules(wants_name=True)).patient_name == "ALEX"  # type: ignore[union-attr]
    assert read(verified(M01), rules(writeback=KEEPS_PATIENT_ID)).patient_id.startswith("MRN00042^")  # type: ignore[union-attr]
    assert read(verified(M01), rules()).patient_id is None  # type: ignore[union-attr]


def test_a_rejected_message_is_explained_as_far_as_it_can_be_read() -> None:
    explained = reading(verified(siu("SIU^S12", sch="SCH||||||||||||||||||||||||||ORD1")), rules())
    assert explained.rejection.text == "there is no appointment id in SCH-2.1, SCH-1.1, PV1-19.1"
    assert explained.why_not("key")["SCH-26.1"] == "an order's number, not the appointment's"
    assert {"start", "phone", "status"} <= set(explained.evidence)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("form", ["SIU^{}", "SIU^{}^SIU_S12", "siu^{}^", " SIU ^ {} "])
def test_every_event_in_every_form_of_msh_9(event: str, form: str) -> None:
    for spelt in (event, event.lower()):
        result = reading(verified(siu(form.format(spelt), sch=timed())), rules()).event
        assert (result.event, result.action) == (event, EVENTS[event].action)


STATUSES = {
    Action.CANCEL: Status.CANCELED,
    Action.DELETE: Status.DELETED,
    Action.NO_SHOW: Status.NO_SHOW,
    Action.SLOT: Status.UNKNOWN,
    Action.RESOURCE: Status.UNKNOWN,
}


@pytest.mark.parametrize("event", EVENTS)
def test_which_events_believe_an_ending_status(event: str) -> None:
    text = siu(f"SIU^{event}", sch=f"{timed()}{'|' * 14}Complete")
    assert reading(verified(text), rules()).event.status is STATUSES.get(EVENTS[event].action, Status.COMPLETED)


@pytest.mark.parametrize("event", EVENTS)
def test_which_events_need_a_start(event: str) -> None:
    result = read(verified(siu(f"SIU^{event}")), rules())
    assert (getattr(result, "err3", None) == "101") is EVENTS[event].needs_start
    ended = read(verified(siu(f"SIU^{event}", sch=f"SCH||F1{'|' * 23}Noshow")), rules())
    assert not hasattr(ended, "err3")


@pytest.mark.parametrize(
    ("kind", "err3"),
    [
        ("ADT^A01", "200"),
        ("SQM^S25", "200"),
        ("SRM^S01", "200"),
        ("", "200"),
        ("SIU", "201"),
        ("SIU^S25", "201"),
        ("SIU^S99", "201"),
    ],
)
def test_other_messages_and_events_are_refused(kind: str, err3: str) -> None:
    rejection = reading(verified(siu(kind)), rules()).rejection
    assert (rejection.code, rejection.err3) == ("TYPE", err3)


@pytest.mark.parametrize(
    "version", ["", '""', "2.1", "2.2", "2.3", "2.3.1", "2.5.1^USA", "2.5.1^USA^^", " 2.7.1", "2.9"]
)
def test_versions_that_are_fine(version: str) -> None:
    assert reading(verified(siu("SIU^S12", sch=timed(), version=version)), rules()).event.reference == "F1"


@pytest.mark.parametrize("version", ["3.0", "2", "2.0", "2.10", "FHIR", "2.5.1.2"])
def test_versions_that_are_not(version: str) -> None:
    rejection = reading(verified(siu("SIU^S12", sch=timed(), version=version)), rules()).rejection
    assert (rejection.code, rejection.err3, rejection.location) == ("VERSION", "203", "MSH^1^12")


def aliases(sch: str, *segments: str, app: str = "EPIC") -> tuple[str, ...]:
    text = siu("SIU^S14", *segments, sch=sch).replace("|EPIC|LAMNA|", f"|{app}|LAMNA|", 1)
    return reading(verified(text), rules()).event.aliases


def test_which_messages_are_about_one_appointment() -> None:
    """Placer ids that a site gives to everybody merge nothing; what one system calls 1 is not another's 1."""
    first, second = aliases(timed("F1", "1")), aliases(timed("F2", "1"))
    assert not same_visit(first, second)
    assert same_visit(first, aliases(timed("", "1")))  # the placer's id is all that the two share
    assert same_visit(first, aliases(timed("F1", "9")))
    assert not same_visit(first, aliases(timed("F1", "1"), app="CERNER"))
    visit = "PV1|" + "|" * 17 + "|V1"
    assert same_visit(aliases(timed("F1"), visit), aliases(timed(""), visit))


def test_children_of_a_series_do_not_become_one() -> None:
    def child(number: str) -> tuple[str, ...]:
        return aliases(f"SCH|P|F|{number}||||||||^^^20260309120000{'|' * 12}PP|PF")

    assert not same_visit(child("1"), child("2"))
    assert same_visit(child("2"), child("2"))
    assert all("PP" not in alias and "PF" not in alias for alias in child("1"))


def test_a_separator_inside_an_id_cannot_imitate_another_alias() -> None:
    forged = aliases(timed("F1\\F\\EPIC^"))
    honest = aliases(timed("F1^EPIC"))
    assert forged == ("EPIC|LAMNA|filler|F1\\F\\EPIC|",)
    assert not same_visit(forged, honest)


def test_a_map_of_ones_own_reads_a_feed_that_is_one_field_short() -> None:
    """public/017 has everything after SCH-1 one field to the left."""
    own = field_map("generic").model_dump()
    own["start"] = [{"field": "SCH-10.4", "of": "appointment"}]
    own["duration"] = [{"length": "SCH-8", "unit": "SCH-9"}]
    own["status"]["fields"] = ["SCH-24"]
    message = verified((SAMPLES / "public" / "017-S12-v2.5-hl7.hl7").read_bytes())
    explained = reading(message, rules(FieldMap.model_validate(own)))
    assert explained.evidence["start"].value == "2026-04-20T14:00:00Z"
    assert (explained.evidence["duration"].value, explained.event.reference) == ("30", "APPT-S12-001")


def test_too_many_segments_are_refused() -> None:
    rejection = reading(verified(siu("SIU^S12", *["NTE|1"] * 2001, sch=timed())), rules()).rejection
    assert rejection.code == "LIMIT"


@pytest.mark.parametrize("key", ["consent", "join_link", "visit_mode"])
def test_a_field_that_is_no_path_is_found_before_any_message_is_read(key: str) -> None:
    sms: dict[str, Any] = {key: {"field": "PD1_12"}}
    with pytest.raises(ValueError, match=rf"{key}\.field[\s\S]*is not an HL7 path"):
        rules(**sms)


def test_no_map_is_asked_for_by_name_in_the_code() -> None:
    folder = Path(str(parser.siu.__file__)).parent  # beside a compiled module lies its source
    for path in folder.glob("*.py"):
        assert not re.search(r"[=(\[]\s*[\"'](epic|oracle_health|cerner)", path.read_text(), re.IGNORECASE), path.name


SEPARATORS = '|^~&\\"\r'
FRAGMENTS = st.sampled_from(
    [
        "SCH",
        "PID",
        "TQ1",
        "AIS",
        "AIL",
        "PV1",
        "20260309120000",
        '""',
        "CP",
        "2025550143",
        "Booked",
        "\\X0D\\",
        "D",
        "MIN",
        "F1",
    ]
)
BODIES = st.lists(FRAGMENTS | st.text(st.sampled_from(SEPARATORS), max_size=12) | st.text(max_size=6), max_size=60).map(
    "".join
)


@settings(max_examples=400)
@given(st.sampled_from(list(EVENTS)), BODIES, st.sampled_from(["generic", "epic", "oracle_health"]))
def test_nothing_a_sender_writes_breaks_reading_or_explaining(event: str, body: str, name: str) -> None:
    sms: dict[str, Any] = {"join_link": {"field": "ZVV-2"}, "visit_mode": {"field": "AIS-3"}}
    message = verified(siu(f"SIU^{event}", sch=f"{timed()}|").rstrip("\n") + body)
    explained = reading(message, rules(name, wants_name=True, location_zones={"D": "America/Denver"}, **sms))
    for evidence in explained.evidence.values():
        for shown in (evidence.value, *(candidate.value for candidate in evidence.candidates)):
            assert shown is None or shown.isprintable()
