"""`visit`: what is shown of video visits and their links, and making and revoking one."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from carebell.bootstrap import components
from scheduler.device_test import DeviceTest, DeviceTestStep
from store import device_tests, visits
from tests.carebell.conftest import Carebell
from tests.carebell.patients.room import URL, changes
from tests.story.clinic import opened
from tests.story.ehr import signed
from tests.story.folder import change, load


@pytest.fixture
def booked(configuration: Path) -> Path:
    """A1 is a video visit in two days, A2 one in person."""
    now = datetime.now(UTC)
    change(configuration, changes())

    async def live() -> None:
        async with opened(configuration, at=now) as clinic:
            start = now + timedelta(days=2)
            await clinic.send(
                signed("S12", "1", sent=now, start=start, reference="A1", visit="VIDEO"),
                signed("S12", "2", sent=now, start=start, reference="A2"),
            )

    asyncio.run(live())
    return configuration


def test_a_visit_is_listed_shown_and_its_links_are_made_and_revoked(carebell: Carebell, booked: Path) -> None:
    [row] = carebell("-c", booked, "visit", "list", "--json").rows
    assert (row["appointment"], row["state"]) == ("A1", "planned")
    [made] = carebell("-c", booked, "visit", "link", "A1", "--for", "interpreter", "--json").rows
    assert made["link"].startswith(f"{URL}/j/")
    shown = carebell("-c", booked, "visit", "show", "A1")
    token = made["link"].rpartition("/")[2]
    assert shown.code == 0
    assert token not in shown.out
    [row] = carebell("-c", booked, "visit", "show", "A1", "--json").rows
    assert sorted(link["for"] for link in row["links"]) == ["interpreter", "patient"]
    assert [event["what"] for event in row["events"]] == ["planned"]
    mark = next(link["mark"] for link in row["links"] if link["for"] == "patient")
    assert carebell("-c", booked, "visit", "revoke", "A1", mark).code == 0
    assert carebell("-c", booked, "visit", "revoke", "A1", mark).code == 1
    [row] = carebell("-c", booked, "visit", "show", "A1", "--json").rows
    assert [link["for"] for link in row["links"] if link["revoked"]] == ["patient"]
    assert [event["what"] for event in row["events"]] == ["planned", "revoked"]
    acts = [entry["what"] for entry in carebell("-c", booked, "audit", "--json", "--what", "visit").rows]
    assert sorted(acts) == ["visit.link", "visit.revoke"]


def test_the_device_tests_of_a_visit_are_shown(carebell: Carebell, booked: Path) -> None:
    [row] = carebell("-c", booked, "visit", "show", "A1", "--json").rows
    assert row["device_tests"] == []
    loaded, at = load(booked), datetime.now(UTC)
    results = {DeviceTestStep.CAMERA: "ok", DeviceTestStep.SPEAKER: "not_heard"}
    with closing(components.open_database(loaded, upgrade=False)) as store, store.write() as conn:
        (visit,) = visits.between(conn, at, at + timedelta(days=3))
        device_tests.add(conn, visit.id, DeviceTest(at=at, results=results, browser="safari 17"))
    [row] = carebell("-c", booked, "visit", "show", "A1", "--json").rows
    [test] = row["device_tests"]
    assert (test["browser"], test["results"]) == ("safari 17", {"camera": "ok", "speaker": "not_heard"})
    shown = carebell("-c", booked, "visit", "show", "A1").out
    assert "speaker not heard" in shown


def test_what_is_no_visit_has_no_link(carebell: Carebell, booked: Path) -> None:
    for words in (["show", "A2"], ["link", "A2", "--for", "guest"], ["revoke", "A2", "00"], ["show", "A9"]):
        assert carebell("-c", booked, "visit", *words).code == 1
    assert carebell("-c", booked, "visit", "link", "A1", "--for", "doctor").code == 2


def test_a_group_is_named_by_its_conference(carebell: Carebell, configuration: Path) -> None:
    now, ours = datetime.now(UTC), changes()
    generic = (resources.files("parser") / "fieldmaps" / "generic.yaml").read_text("utf-8")
    own = generic.replace("conference: []", "conference: [ZCH-4, SCH-7.2]")
    (configuration.parent / "groups.yaml").write_text(own, encoding="utf-8")
    ours["environments"]["production"]["ehr"] = "groups.yaml"
    change(configuration, ours)
    messages = [
        signed("S12", reference, sent=now, start=now + timedelta(days=2), reference=reference, visit="VIDEO", note=note)
        for reference, note in (("A1", "G-77"), ("A2", "G-77"), ("A3", ""))
    ]

    async def live() -> None:
        async with opened(configuration, at=now) as clinic:
            await clinic.send(*messages)

    asyncio.run(live())
    named = {
        row["appointment"]: row["conference"] for row in carebell("-c", configuration, "visit", "list", "--json").rows
    }
    assert named == {"A1": "G-77", "A2": "G-77", "A3": None}
    assert "G-77" in carebell("-c", configuration, "visit", "list").out
    [row] = carebell("-c", configuration, "visit", "show", "A2", "--json").rows
    assert row["conference"] == "G-77"
    assert "conference G-77: it takes place together" in carebell("-c", configuration, "visit", "show", "A2").out
    assert "conference" not in carebell("-c", configuration, "visit", "show", "A3").out
    file = configuration.parent / "one.hl7"
    file.write_bytes(messages[0])
    rows = carebell("-c", configuration, "explain", file, "-e", "production", "--json").rows
    [evidence] = [row for row in rows if row["name"] == "conference"]
    assert (evidence["value"], evidence["field"]) == ("G-77", "SCH-7.2")
    assert [(candidate["field"], candidate["why_not"]) for candidate in evidence["candidates"]] == [("ZCH-4", "empty")]
