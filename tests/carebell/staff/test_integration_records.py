"""Integration records through their page: after the approval alone, copied exactly, downloaded, compared character by character."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest

from carebell.environment_policy import runtime_config
from carebell.staff.integration_records import IntegrationRecords, record_facts, sample_message
from certs.unverified import unverified
from config.load import Loaded
from ehr.record_contents import integration_records
from parser import siu
from parser.event import SchedulingEvent
from portal.pages.environments import records as pages
from portal.roles import Role
from store import audit
from store.engine import Store, open_store
from tests.portal.pages.staff import Browser, browsing, words
from tests.store.conftest import migrated_file
from tests.story import folder
from tests.story.folder import CLOCK, make

__all__ = ["migrated_file"]

PAGE = "/environments/production/records"


@dataclass
class Records:
    """The page, and how the environments' approvals stand."""

    loaded: Loaded
    store: Store
    browser: Browser
    standing: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def records(tmp_path: Path, migrated_file: Path) -> Iterator[Records]:
    loaded = folder.load(make(tmp_path / "clinic", {"environments": {"production": {"listener": {"host": "0.0.0.0"}}}}))
    database = tmp_path / "carebell.db"
    database.write_bytes(migrated_file.read_bytes())
    store, standing = open_store(f"sqlite:///{database}"), dict[str, str]()

    def approvals() -> Mapping[str, str]:
        return standing

    desk = IntegrationRecords(
        loaded=lambda: loaded, approvals=approvals, store=store, now=lambda: CLOCK, host="carebell.lamna.example"
    )
    with browsing(pages.pages(desk), now=CLOCK) as browser:
        yield Records(loaded, store, browser.sign_in(Role.ADMINISTRATOR), standing)
    assert browser.failures == []
    store.close()


def test_there_are_none_before_the_approval(records: Records) -> None:
    records.standing["production"] = "waits for an approver"
    assert "once the environment is approved" in words(records.browser.get(PAGE))
    assert records.browser.post(f"{PAGE}/download", {"format": "csv"}).status_code == 404
    assert records.browser.post(f"{PAGE}/compare", {"record": "patient", "pasted": "x"}).status_code == 404
    records.standing["production"] = "approved"
    shown = words(records.browser.get(PAGE))
    for title in ("Patient", "Provider", "Direct SMS", "SMS configuration", "Device test"):
        assert f"{title}" in shown
    assert "carebell.lamna.example" in shown
    assert records.browser.get("/environments/nowhere/records").status_code == 404


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_downloads_have_every_value_and_are_audited(records: Records, form: str) -> None:
    answer = records.browser.post(f"{PAGE}/download", {"format": form})
    assert answer.status_code == 200
    number = "+14255550100"
    if form == "csv":
        rows = list(csv.DictReader(StringIO(answer.text)))
        assert {row["record"] for row in rows} == {"direct_sms", "sms_configuration"}
        assert all(row["environment"] == "production" for row in rows)
    elif form == "json":
        assert [record["record"] for record in json.loads(answer.text)][2:4] == ["direct_sms", "sms_configuration"]
    assert number in answer.text
    with records.store.read() as conn:
        written = [(entry.actor, entry.action, entry.subject) for entry in audit.entries(conn)]
    assert written == [("portal:kim", "record.export", form)]


def test_what_stands_in_the_ehr_is_compared(records: Records) -> None:
    def compared(pasted: str, record: str = "sms_configuration") -> str:
        return words(records.browser.post(f"{PAGE}/compare", {"record": record, "pasted": pasted}))

    assert "every character is the same" in compared("carebell.lamna.example")
    different = compared("carebell.lamna\u00a0.example")
    assert "1 character differs" in different
    assert "NO-BREAK SPACE" in different
    assert "of the environment test" in compared("+14255550101", "direct_sms")
    refused = records.browser.post(f"{PAGE}/compare", {"record": "patient", "pasted": " "})
    assert (refused.status_code, "Paste what stands" in words(refused)) == (422, True)
    long = records.browser.post(f"{PAGE}/compare", {"record": "patient", "pasted": "x" * 20_001})
    assert long.status_code == 422


@pytest.mark.parametrize("name", ["production", "test"])
def test_the_sample_message_is_one_that_is_taken(records: Records, name: str) -> None:
    environment = records.loaded.configuration.environments[name]
    content = sample_message(environment).encode() + b"\r"
    policy = runtime_config(records.loaded).policies[name]
    message = unverified(content, environment=name, zone=environment.zone, received_at=CLOCK)
    event = siu.read(message, policy.rules)  # type: ignore[arg-type]  # read as one whose signature was checked
    assert isinstance(event, SchedulingEvent)
    assert event.phone is not None
    assert event.start is not None
    facts = record_facts(records.loaded, name, environment, at=CLOCK, host="here")
    assert len(facts.headers) == len(environment.certificates)


def test_check_codes_are_the_same_tomorrow(records: Records) -> None:
    environment = records.loaded.configuration.environments["production"]
    codes = [
        [record.check_code for record in integration_records(facts)]
        for facts in (
            record_facts(records.loaded, "production", environment, at=CLOCK + timedelta(days=days), host="h")
            for days in (0, 1)
        )
    ]
    assert codes[0] == codes[1]


def test_records_of_groups_name_the_conference_and_a_patient_s_own_visit(tmp_path: Path) -> None:
    launch = {"client_id": "carebell", "patients": True, "group_visits": True}
    meeting = {"url": "https://meet.example/{visit_code}"}
    visits = {"join": "ours", "meeting": meeting, "allowed_hosts": ["meet.example"], "launch": launch}
    production = {"fhir_base_url": "https://ehr.example/r4", "visits": visits}
    join = {"enabled": True, "public_url": "https://visit.example"}
    loaded = folder.load(make(tmp_path / "clinic", {"join": join, "environments": {"production": production}}))
    environment = loaded.configuration.environments["production"]
    made = integration_records(record_facts(loaded, "production", environment, at=CLOCK, host="x"))
    tokens = {record.kind: field.value for record in made for field in record.fields if field.name == "context_token"}
    assert tokens["patient"] == "sessionId=%CONFERENCEID%&appointmentId=%CSN%&env=production"
    assert tokens["provider"].startswith("sessionId=%CONFERENCEID%&departmentId=")
