"""`report visits`: the visits of a time span with the product's columns first, and the sums right."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest

from carebell.inquiries.visit_report import COLUMNS, STATUSES
from scheduler.visit_times import VisitOutcome
from tests.carebell.commands.visit_days import SPAN, lived
from tests.carebell.conftest import Carebell

HEADINGS = [
    "Start time (UTC)", "Meeting ID", "Lobby wait time", "Duration", "Status", "Product type", "Attendees", "Department",
    "SMS sent", "Appointment ID", "Confirmed", "Device test", "Device test result", "Patient left lobby", "Source of times",
    "Environment", "Within limit",
]  # fmt: skip


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived(tmp_path_factory.mktemp("visits") / "clinic")


def test_every_visit_in_which_something_happened_stands_in_it(carebell: Carebell, days: Path) -> None:
    ended = carebell("-c", days, "report", "visits", *SPAN, "--json")
    *rows, last = ended.rows
    assert {row["appointment"]: row["status"] for row in rows} == {
        "held": "Completed", "alone": "Staff did not join", "missed": "No show", "=RUNS": "In progress",
    }  # fmt: skip
    held = next(row for row in rows if row["appointment"] == "held")
    assert held.items() >= {
        "start_time": "2026-03-12T20:58:00Z", "lobby_wait_seconds": 240, "duration_seconds": 1200, "product_type": "EHR",
        "attendees": 2, "sms_sent": 1, "device_test": "No", "patient_left_lobby": "No",
        "source_of_times": "Meeting's events", "environment": "production", "within_limit": "no limit",
    }.items()  # fmt: skip
    alone, runs = (next(row for row in rows if row["appointment"] == name) for name in ("alone", "=RUNS"))
    assert (alone["duration_seconds"], alone["patient_left_lobby"], alone["source_of_times"]) == (
        0,
        "Yes",
        "Waiting room",
    )
    assert runs["duration_seconds"] is None
    assert last["tiles"] == {
        "visits": 4, "completed": 1, "no_show": 1, "staff_did_not_join": 1, "in_progress": 1,
        "average_duration_seconds": 1200, "average_lobby_wait_seconds": 240,
    }  # fmt: skip


def test_the_file_has_the_products_columns_first_and_no_formula(carebell: Carebell, days: Path) -> None:
    ended = carebell("-c", days, "report", "visits", *SPAN, "--csv")
    heading, *rows = csv.reader(StringIO(ended.out))
    assert heading == HEADINGS
    by_reference = {row[9].lstrip("'"): row for row in rows}
    assert by_reference["held"][2:4] == ["0:04:00", "0:20:00"]
    assert by_reference["=RUNS"][3] == "in progress"
    assert "'=RUNS" in [row[9] for row in rows]


def test_other_days_are_not_in_it(carebell: Carebell, days: Path) -> None:
    ended = carebell("-c", days, "report", "visits", "--from", "2026-03-13", "--to", "2026-04-01", "--json")
    assert [row["tiles"]["visits"] for row in ended.rows] == [0]


def test_a_person_sees_the_sums_first_and_nothing_of_a_patient(carebell: Carebell, days: Path) -> None:
    ended = carebell("-c", days, "report", "visits", *SPAN)
    assert "average lobby wait    240 s" in ended.out
    assert "Staff did not join" in ended.out
    assert [secret for secret in ("5550143", "TESTPATIENT", "ALEX") if secret in ended.out] == []


@pytest.mark.parametrize(
    "words",
    [("--csv", "--json"), ("--from", "yesterday"), ("--from", "2026-03-03", "--to", "2026-03-02"), ("-e", "moon")],
)
def test_a_call_that_is_off_is_said_in_one_sentence(carebell: Carebell, days: Path, words: tuple[str, ...]) -> None:
    ended = carebell("-c", days, "report", "visits", *words)
    assert ended.code == 2
    assert ended.sentence


def test_every_outcome_has_its_status() -> None:
    assert set(STATUSES) == set(VisitOutcome)
    assert len({key for key, *_ in COLUMNS}) == len(COLUMNS)


def test_who_it_is_with_is_only_named_where_the_configuration_says_so(carebell: Carebell, tmp_path: Path) -> None:
    path = lived(tmp_path / "clinic", show_provider=True)
    [heading, *rows] = csv.reader(StringIO(carebell("-c", path, "report", "visits", *SPAN, "--csv").out))
    assert heading == [*HEADINGS, "Primary"]
    assert all(len(row) == len(heading) for row in rows)
