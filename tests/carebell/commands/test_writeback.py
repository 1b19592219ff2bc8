"""carebell/commands/writeback.py: what went back and why not, how a message looks, and trying one again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap.components import load
from carebell.ids import ControlIds
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackIntent
from store import writebacks
from store.engine import open_store
from store.keys import KeyRing
from store.outbox import ids_of
from store.vault import Vault
from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.ehr import signed

PATIENT = "+12025550143"
"""Of no visit's answer."""


@pytest.fixture
def refused(configuration: Path) -> tuple[Path, str]:
    """A configuration with one write-back that the EHR refused, and its id."""
    now = datetime.now(UTC)

    async def book() -> None:
        async with opened(configuration, at=now) as clinic:
            await clinic.send(
                signed("S12", "1", sent=now, start=now + timedelta(days=18), reference="A1", phone=PATIENT)
            )

    asyncio.run(book())
    text = configuration.read_text(encoding="utf-8")
    section = (
        "    writeback:\n      events: {confirmed: hl7}\n      hl7: {host: 127.0.0.1, port: 6661, sending_facility: LAMNA,"
        " receiving_application: EHR, receiving_facility: LAMNA}\n    sms:\n"
    )
    configuration.write_text(text.replace("    sms:\n", section, 1), encoding="utf-8")
    store = open_store(load(configuration).configuration.storage.url)
    with store.write() as conn:
        [owner] = ids_of(conn, "A1")
        intent = WritebackIntent(
            environment="production", appointment=owner, event=WritebackEvent.CONFIRMED, event_seq=None,
            channel=WritebackChannel.HL7, facts={}, expires_at=now + timedelta(days=1), not_before=now,
        )  # fmt: skip
        own_id = writebacks.add(conn, intent, ids=ControlIds(), now=now)
        vault = Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))
        [item] = writebacks.claim(
            conn, vault, now, environment="production", channel=WritebackChannel.HL7, node="n", limit=1,
            lease=timedelta(minutes=1),
        )  # fmt: skip
        writebacks.refused(conn, item.row.id, 1, at=now, answer="AE", code="AE", err3="204")
    store.close()
    assert own_id is not None
    return configuration, own_id


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
