"""The staff's page Visits over a real waiting room: who waits, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carebell.staff.visits import StaffVisits
from portal.pages import visits_page
from portal.roles import Role
from scheduler.device_test import DeviceTest, DeviceTestStep
from store import audit, device_tests
from store.audit import AuditFilter
from tests.carebell.patients.room import MINUTE, START, Clinic, clinic
from tests.portal.pages.staff import Browser, browsing, words


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Clinic]:
    with clinic(tmp_path / "clinic") as made:
        made.hear("S12")
        made.service.step(to=START - 10 * MINUTE)
        yield made


@pytest.fixture
def staff(day: Clinic) -> Iterator[Browser]:
    running: Any = SimpleNamespace(
        store=day.service.store, clock=day.service.clock, runtime_config=lambda: day.service.runtime_config
    )
    with browsing(visits_page.pages(StaffVisits(running=running, recorder=day.recorder))) as browser:
        yield browser


def _link(page: str) -> str:
    found = re.search(r'name="link" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def test_staff_sees_who_waits_and_lets_them_in(day: Clinic, staff: Browser) -> None:
    token = day.token()
    support = staff.sign_in(Role.SUPPORT)
    assert "Nobody waits." in words(support.get("/visits"))
    day.here(token)
    page = support.get("/visits")
    assert "900100" in words(page)
    assert token not in page.text
    link = _link(page.text)
    assert support.post("/visits/not-yet", {"link": link}).headers["location"] == "/visits?done=later"
    assert "needs a few more minutes" in day.here(token)["words"]
    assert "not yet" in words(support.get("/visits/waiting"))
    assert support.post("/visits/let-in", {"link": link}).headers["location"] == "/visits?done=in"
    assert support.post("/visits/let-in", {"link": link}).headers["location"] == "/visits?done=was-in"
    assert day.here(token)["stage"] == "admitted"
    assert day.events() == ["planned", "waiting", "put_off", "admitted"]
    with day.service.store.read() as conn:
        acts = [(entry.action, entry.subject) for entry in audit.entries(conn, AuditFilter())]
    assert sorted(acts) == [("visit.let_in", "900100"), ("visit.put_off", "900100")]


def test_staff_sees_what_the_device_test_found(day: Clinic, staff: Browser) -> None:
    day.here(day.token())
    support = staff.sign_in(Role.SUPPORT)
    before = words(support.get("/visits"))
    assert "camera blocked" not in before
    results = {DeviceTestStep.CAMERA: "blocked", DeviceTestStep.MICROPHONE: "ok"}
    test = DeviceTest(at=day.service.now, results=results, browser="chrome 126")
    with day.service.store.write() as conn:
        device_tests.add(conn, day.visit().id, test)
    assert "camera blocked" in words(support.get("/visits"))
    assert "camera blocked" in words(support.get("/visits/waiting", part="waiting_list"))


def test_who_has_gone_cannot_be_let_in(day: Clinic, staff: Browser) -> None:
    token = day.token()
    support = staff.sign_in(Role.SUPPORT)
    day.here(token)
    link = _link(support.get("/visits").text)
    day.service.step(MINUTE)
    assert support.post("/visits/let-in", {"link": link}).headers["location"] == "/visits?done=was-in"
    assert support.post("/visits/let-in", {}).status_code == 404
    assert day.events() == ["planned", "waiting"]


def test_an_auditor_looks_and_an_analyst_sees_own_environments(day: Clinic, staff: Browser) -> None:
    day.here(day.token())
    auditor = staff.sign_in(Role.AUDITOR)
    page = auditor.get("/visits")
    assert "900100" in words(page)
    assert "Let in" not in words(page)
    assert auditor.post("/visits/let-in", {"link": "x"}).status_code == 403
    assert "900100" not in words(staff.sign_in(Role.ANALYST, ["test"]).get("/visits"))


def test_a_part_of_the_page_is_asked_for_again_and_again(day: Clinic, staff: Browser) -> None:
    day.here(day.token())
    part = staff.sign_in(Role.SUPPORT).get("/visits/waiting", part="waiting_list")
    assert "900100" in part.text
    assert "<html" not in part.text
