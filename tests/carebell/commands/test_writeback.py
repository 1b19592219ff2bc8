"""carebell/commands/writeback.py: what went back and why not, how a message looks, and trying one again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.carebell.commands.refused_writeback import PATIENT, refused_writeback
from tests.carebell.conftest import Carebell


@pytest.fixture
def refused(configuration: Path) -> tuple[Path, str]:
    """A configuration with one write-back that the EHR refused, and its id."""
    return configuration, refused_writeback(configuration)


def _rows(carebell: Carebell, configuration: Path, *words: str) -> list[dict[str, Any]]:
    return list(carebell("-c", configuration, "writeback", *words, "--json").rows)


def test_a_refused_one_is_listed_in_words_and_sent_again_on_request(
    carebell: Carebell, refused: tuple[Path, str]
) -> None:
    configuration, own_id = refused
    [row] = _rows(carebell, configuration, "list", "--state", "refused")
    assert (row["id"], row["appointment"], row["state"]) == (own_id, "A1", "refused")
    assert row["why"] == "The EHR says: unknown key identifier (204). Does SCH-2 hold their number?"
    assert _rows(carebell, configuration, "show", own_id) == [row]
    assert _rows(carebell, configuration, "retry", own_id) == [{"id": own_id, "was": "refused", "changed": True}]
    again = carebell("-c", configuration, "writeback", "retry", own_id)
    assert again.code == 1
    [row] = _rows(carebell, configuration, "list", "--appointment", "A1")
    assert row["state"] == "due"
    [entry] = [
        entry for entry in carebell("-c", configuration, "audit", "--json").rows if entry["what"] == "writeback.retry"
    ]
    assert (entry["subject"], entry["before"]) == (own_id, "refused")


def test_the_table_names_no_number(carebell: Carebell, refused: tuple[Path, str]) -> None:
    configuration, own_id = refused
    shown = carebell("-c", configuration, "writeback", "list")
    assert own_id in shown.out
    assert PATIENT[2:] not in shown.out


def test_an_event_is_shown_before_it_happens(carebell: Carebell, refused: tuple[Path, str]) -> None:
    configuration, _ = refused
    [shown] = _rows(carebell, configuration, "show", "confirmed", "-e", "production")
    assert [segment[:3] for segment in shown["segments"]] == ["MSH", "SCH", "RGS"]
    assert (
        "SRM^S04" in carebell("-c", configuration, "writeback", "show", "cannot_come", "-e", "production", "--ask").out
    )
    assert carebell("-c", configuration, "writeback", "show", "confirmed").code == 2
    assert carebell("-c", configuration, "writeback", "show", "confirmed", "-e", "test").code == 1
    assert carebell("-c", configuration, "writeback", "show", "nothing").code == 1
    assert carebell("-c", configuration, "writeback", "list", "--state", "lost").code == 2


WEB = """\
    writeback:
      events: {confirmed: fhir, connected: epic_status}
      fhir: {auth: {client_id: a, key_file: fhir.key}, map: generic}
      epic_status: {url: "https://ehr.example/status", client_id_file: epic.client, map: status.yaml}
    sms:
"""
STATUS = (
    'name: Own\nmethod: POST\nfields: {ConferenceID: "{visit_code}", ExternalIDType: CSN}\nstatuses: {connected: in}\n'
)


def test_what_a_web_service_would_be_told_is_shown(configuration: Path, carebell: Carebell) -> None:
    text = configuration.read_text(encoding="utf-8")
    configuration.write_text(text.replace("    sms:\n", WEB, 1), encoding="utf-8")
    (configuration.parent / "status.yaml").write_text(STATUS, encoding="utf-8")

    [plan] = [row["plan"] for row in _rows(carebell, configuration, "show", "confirmed", "-e", "production")]
    assert (plan["create"], plan["find"]) == ("AppointmentResponse", {"search": "900100"})
    assert json.loads(carebell("-c", configuration, "writeback", "show", "confirmed", "-e", "production").out) == plan
    [status] = _rows(carebell, configuration, "show", "connected", "-e", "production")
    assert status["plan"]["body"] == {
        "ConferenceID": "V-SAMPLE", "ExternalIDType": "CSN", "ConnectionStatus": "in",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--answers", "later_aa"), "name Carebell's listener with --to"),
        (("--to", "127.0.0.1:1", "--key", "k.pem"), "--key and --cert go together"),
        (("--to", "nowhere"), "is not HOST:PORT"),
        (("--answers", "maybe"), "each is one of"),
    ],
)
def test_an_engine_that_cannot_answer_later_says_why(carebell: Carebell, words: tuple[str, ...], said: str) -> None:
    call = carebell("simulator", "ehr", "--inbound", *words)
    assert call.code == 2
    assert said in call.err
