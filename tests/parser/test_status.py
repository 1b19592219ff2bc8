"""parser/status.py: every spelling of table 0278 and of the field maps, in every coding of every field, and what contradicts."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.fieldmap import STATUSES
from parser.event import Status
from tests.parser.reading import Reading, field_map, reading, rules, verified

MAPS = ("generic", "epic", "oracle_health")
# HL7 v2.9 table 0278, as it is written there.
TABLE_0278 = {
    "Pending": Status.PENDING,
    "Waitlist": Status.WAITLIST,
    "Booked": Status.BOOKED,
    "Started": Status.ARRIVED,
    "Complete": Status.COMPLETED,
    "Cancelled": Status.CANCELED,
    "Dc": Status.CANCELED,
    "Deleted": Status.DELETED,
    "Blocked": Status.BLOCKED,
    "Overbook": Status.BOOKED,
    "Noshow": Status.NO_SHOW,
}
# FHIR R5's AppointmentStatus, which engines that translate write into SCH-25.
FHIR = {
    "proposed": Status.PENDING, "pending": Status.PENDING, "booked": Status.BOOKED, "arrived": Status.ARRIVED,
    "fulfilled": Status.COMPLETED, "cancelled": Status.CANCELED, "noshow": Status.NO_SHOW,
    "entered-in-error": Status.DELETED, "checked-in": Status.ARRIVED, "waitlist": Status.WAITLIST,
}  # fmt: skip
NOT_BOOKED = (
    "Waitlist", "WAIT LIST", "wait-listed", "On Waitlist", "Standby", "Pending", "PEND", "Hold", "HELD", "On-Hold", "Tentative",
    "Tentatively booked", "Provisional", "Proposed", "Requested", "Reserved", "Blocked", "Pre-Booked", "Not Booked",
    "To be scheduled",
)  # fmt: skip


def read(status: str = "", *segments: str, event: str = "S12", reason: str = "", by: str = "generic") -> Reading:
    sch = ["SCH", "", "F1", *[""] * 22]
    sch += [status]
    sch[6], sch[11] = reason, "^^^20260309120000"
    text = (
        f"MSH|^~\\&|EPIC|LAMNA|A|B|20260302090000||SIU^{event}|C1|P|2.5.1\n"
        + "\n".join(("|".join(sch), *segments))
        + "\n"
    )
    return reading(verified(text), rules(by))


@pytest.mark.parametrize("by", MAPS)
@pytest.mark.parametrize(("word", "status"), [*TABLE_0278.items(), *FHIR.items()])
def test_the_tables_of_the_standards(word: str, status: Status, by: str) -> None:
    for written in (word, word.upper(), f" {word} ", f"7^{word}", f"{word}^{word}^HL70278"):
        assert read(written, by=by).event.status is status


@pytest.mark.parametrize("by", MAPS)
@pytest.mark.parametrize("word", NOT_BOOKED)
def test_what_is_not_booked_is_no_booking_wherever_it_stands(word: str, by: str) -> None:
    for outcome in (
        read(word, by=by),
        read(f"1^{word}", by=by),
        read(f"^^^{word}", by=by),
        read(f"99^Local^L^7^{word}^HL70278", by=by),
        read(f"99^^^^^^^^{word}", by=by),
        read("", f"AIS|1|A|X|||||||{word}", by=by),
        read("", reason=word, by=by),
    ):
        status = outcome.event.status
        assert (status.not_booked, status.active, status.ended) == (True, False, False)
        assert outcome.odd == []


def test_every_status_of_the_field_maps_is_of_one_kind() -> None:
    for status in Status:
        assert sum((status.not_booked, status.active, status.ended)) == 1
    assert {Status(name) for name in STATUSES} == set(Status) - {Status.UNKNOWN}


CODINGS = ("{}", "x^{}", "x^y^L^{}", "x^y^L^z^{}", "x^^^^^^^^{}", "x^^^^^^^^^{}", "x^^^^^^^^^^{}")
WORDS = {"Booked": 3, "Scheduled": 3, "Waitlist": 2, "Held": 2, "Arrived": 1, "Cancelled": 1, "No Show": 1}
PAIRS = list(product(WORDS, WORDS))


@pytest.mark.parametrize("coding", CODINGS)
def test_a_status_is_found_in_every_coding(coding: str) -> None:
    outcome = read(coding.format("Arrived"), event="S14")
    assert (outcome.event.status, outcome.odd) == (Status.ARRIVED, [])


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_codings_the_one_with_fewer_texts_counts_and_a_contradiction_is_told(first: str, second: str) -> None:
    outcome = read(f"1^{first}^L^2^{second}^M", event="S14")
    expected = first if WORDS[first] <= WORDS[second] else second
    assert outcome.event.status is read(expected, event="S14").event.status
    assert outcome.odd == ([] if WORDS[first] == WORDS[second] else ["STATUS_DISAGREES"])
    if outcome.odd:
        [warning] = outcome.event.warnings
        assert warning.field == ("SCH-25.5" if expected == first else "SCH-25.2")


RESOURCES = {
    "AIS-10": "AIS|1|A|X|||||||{}", "AIL-12": "AIL|1|A|X|||||||||{}", "AIP-12": "AIP|1|A|X|||||||||{}",
    "AIG-14": "AIG|1|A|X|||||||||||{}",
}  # fmt: skip


@pytest.mark.parametrize("field", RESOURCES)
@pytest.mark.parametrize(("own", "other"), PAIRS)
def test_a_resource_that_contradicts_the_visit_is_told_and_decides_nothing(own: str, other: str, field: str) -> None:
    outcome = read(own, RESOURCES[field].format(other), event="S14")
    assert outcome.event.status is read(own, event="S14").event.status
    warned = [(warning.code, warning.field) for warning in outcome.event.warnings]
    assert warned == ([] if WORDS[own] == WORDS[other] else [("STATUS_DISAGREES", field)])


def test_only_services_decide_where_the_visit_says_nothing() -> None:
    assert read("", "AIL|1|A|X|||||||||Cancelled", event="S14").event.status is Status.UNKNOWN
    assert read("", "AIS|1|A|X|||||||Cancelled", event="S14").event.status is Status.CANCELED


@given(st.lists(st.sampled_from(list(WORDS)), min_size=1, max_size=5))
def test_of_several_services_one_that_is_on_decides(services: list[str]) -> None:
    outcome = read("", *(f"AIS|{at}|A|X|||||||{word}" for at, word in enumerate(services, 1)), event="S14")
    kinds = {3: outcome.event.status.active, 2: outcome.event.status.not_booked, 1: outcome.event.status.ended}
    assert kinds[max(WORDS[word] for word in services)]


def test_an_event_that_says_it_itself_is_not_contradicted() -> None:
    for event in ("S15", "S17", "S26"):
        assert read("Booked", "AIS|1|A|X|||||||Booked", event=event).odd == []


@pytest.mark.parametrize("event", ["S12", "S13", "S14", "S27"])
def test_what_is_not_booked_needs_no_time(event: str) -> None:
    text = f"MSH|^~\\&|EPIC|LAMNA|A|B|20260302090000||SIU^{event}|C1|P|2.5.1\nSCH||F1{'|' * 23}{{}}\n"
    assert reading(verified(text.format("Waitlist")), rules()).event.start is None
    assert reading(verified(text.format("Booked")), rules()).rejection.code == "FIELD"


def test_a_copy_of_an_older_map_compares_nothing() -> None:
    own = field_map("generic").model_dump()
    del own["status"]["compared"]
    by = rules(type(field_map("generic")).model_validate(own))
    text = "MSH|^~\\&|EPIC|LAMNA|A|B|20260302090000||SIU^S14|C1|P|2.5.1\nSCH||F1|||||||||^^^20260309120000||||||||||||||Booked\n"
    assert reading(verified(text + "AIL|1|A|X|||||||||Cancelled\n"), by).odd == []
