"""`report sms`: every text and silence in the product's words, safe to open in a spreadsheet, and the sums right."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from carebell.inquiries.csv_cells import safe
from carebell.inquiries.sms_report import COLUMNS, status_of
from notifier.twilio.codes import FAILURES
from scheduler.sms import SmsState
from simulator.faults import FaultPlan, ScriptedFault
from simulator.outcomes import SimulatedOutcome
from tests.carebell.conftest import Carebell
from tests.carebell.pieces import pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
SPAN = ("--from", "2026-03-02", "--to", "2026-03-02")
PHONES = {name: f"+1202555010{number}" for number, name in enumerate(("fine", "stopped", "lost", "=HYPERLINK"))}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four bookings: delivered, refused by 21610, of unknown fate, and one whose reference is a formula."""
    folder = tmp_path_factory.mktemp("report") / "clinic"
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(folder, at=NOW, gateway=twilio) as service:
        twilio.now = service.clock.now
        twilio.account.script[PHONES["stopped"]] = SimulatedOutcome(refuse=21610)
        twilio.account.faults = FaultPlan(by_recipient={PHONES["lost"]: [ScriptedFault.RESET_BEFORE]})
        for number, (name, phone) in enumerate(PHONES.items()):
            visit = NOW + timedelta(days=9)
            service.hear(unsigned("S12", f"c{number}", sent=NOW, start=visit, reference=name, phone=phone))
        service.step(timedelta(minutes=1))
        service.tick()
        service.step(timedelta(seconds=5))
        for update in twilio.mail():
            service.webhooks._status(update)
    return folder / "carebell.yaml"


def test_every_text_and_silence_stands_in_it(carebell: Carebell, clinic: Path) -> None:
    ended = carebell("-c", clinic, "report", "sms", *SPAN, "--json")
    assert ended.code == 0
    *rows, last = ended.rows
    assert {row["appointment"]: row["status"] for row in rows} == {
        "fine": "Delivered", "stopped": "Blocked by recipient", "lost": "Unknown", "=HYPERLINK": "Delivered",
    }  # fmt: skip
    assert all(list(row) == [key for key, _, _ in COLUMNS] for row in rows)
    fine = next(row for row in rows if row["appointment"] == "fine")
    assert fine.items() >= {
        "sent_time": "2026-03-02T18:01:00Z", "sent_from": "+14255550100", "sms_notification_type": "Confirmation",
        "product_type": "EHR", "rule": "scheduled", "seconds_late": 0, "segments": 1, "attempts": 1, "reason": "booked",
        "lead_seconds": 9 * 86400 - 60,
    }.items()  # fmt: skip
    assert last["tiles"] == {
        "texts_and_silences": 4, "taken_by_the_gateway": 2, "delivered_percent": 100.0, "on_time_percent": 100.0,
        "unknown": 1, "opt_out_percent": 25.0, "segments": 2,
    }  # fmt: skip


def test_suppressed_ones_are_included_and_other_days_are_not(carebell: Carebell, clinic: Path) -> None:
    later = carebell("-c", clinic, "report", "sms", "--from", "2026-03-03", "--to", "2026-04-01", "--json").rows[:-1]
    assert {row["status"] for row in later} == {"Planned"}
    assert (
        carebell("-c", clinic, "report", "sms", "--to", "2026-03-01", "--json").rows[0]["tiles"]["texts_and_silences"]
        == 0
    )


def test_no_cell_of_the_csv_is_a_formula(carebell: Carebell, clinic: Path) -> None:
    ended = carebell("-c", clinic, "report", "sms", *SPAN, "--csv")
    heading, *rows = csv.reader(StringIO(ended.out))
    assert heading[:5] == ["Sent time (UTC)", "Sent from", "SMS notification type", "Product type", "Status"]
    cells = [cell for row in rows for cell in row]
    assert "'=HYPERLINK" in cells
    assert "'+14255550100" in cells
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A"]
)
def test_a_cell_is_neutralised(cell: str) -> None:
    assert safe(cell) == f"'{cell}"
    assert (safe(-1), safe(None), safe("plain")) == (-1, None, "plain")


@pytest.mark.parametrize(
    "words",
    [("--csv", "--json"), ("--from", "yesterday"), ("--from", "2026-03-03", "--to", "2026-03-02"), ("-e", "moon")],
)
def test_a_call_that_is_off_is_said_in_one_sentence(carebell: Carebell, clinic: Path, words: tuple[str, ...]) -> None:
    ended = carebell("-c", clinic, "report", "sms", *words)
    assert ended.code == 2
    assert ended.sentence


@pytest.mark.parametrize("state", SmsState)
def test_every_state_has_its_status(state: SmsState) -> None:
    if state in (SmsState.FAILED, SmsState.UNDELIVERED):
        assert {status_of(state, code) for code in FAILURES} >= {"Invalid phone number", "Spam detected"}
    assert status_of(state, None)


def test_a_person_sees_the_sums_first(carebell: Carebell, clinic: Path) -> None:
    ended = carebell("-c", clinic, "report", "sms", *SPAN)
    assert "delivered             100.0 %" in ended.out
    assert json.dumps("unknown")[1:-1] in ended.out
    assert not any(phone in ended.out for phone in PHONES.values())
