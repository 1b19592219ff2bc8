"""A video visit from its booking to its row in the report: text, device test, waiting room, meeting, and back to the EHR."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from carebell.patients.door import PatientsDoor
from scheduler.visit_life import VisitRole
from scheduler.writeback import FLAP, WritebackState
from simulator.inbound import EngineAct, InboundEngine
from simulator.meetings.jitsi import SimulatedJitsi
from store import visit_devices, visit_links, visits, writeback_rows
from store.visits import VideoVisit
from store.writeback_rows import WritebackRow
from tests.browser.clinic_week import NOW
from tests.browser.conftest import NARROW, PORTAL, OpenWindow, watched_page
from tests.browser.meeting_server import MeetingServer, meeting_server
from tests.browser.site import Site, free_port, serving, until
from tests.browser.watch import Watch
from tests.browser.window import Window
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.clinic import BY_HAND
from tests.story.ehr import PHONE, signed
from tests.story.folder import make

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MINUTE: Final = timedelta(minutes=1)
START: Final = NOW + timedelta(hours=3)
REFERENCE: Final = "900100"
SHARED, BEARER = "of-the-rooms", "known-to-both"
QUICK: Final = replace(BY_HAND, dispatch=0.1, visits=0.2)
STEPS: Final = ("Start the test", "Test the camera", "Test the microphone", "Play the tone", "Yes, I heard it")
PATIENCE: Final = 90_000
"""Milliseconds after which a device test that goes by itself is taken for stuck."""


@dataclass
class Story:
    """Attributes:
    twilio: the simulated gateway, with every text.
    engine: the EHR's, which takes what goes back.
    """

    site: Site
    twilio: PocketTwilio
    engine: InboundEngine
    meeting: MeetingServer

    @property
    def pages(self) -> str:
        """Where the patients' pages are."""
        return str(self.site.clinic.service.loaded.configuration.join.public_url)

    def move_to(self, instant: datetime) -> None:
        self.site.clinic.clock.move_to(instant)

    def visit(self) -> VideoVisit:
        with self.site.clinic.service.store.read() as conn:
            (only,) = visits.between(conn, NOW, START + timedelta(days=1))
        return only

    def waits(self) -> bool:
        """Whether somebody is known to be in the waiting room now."""
        with self.site.clinic.service.store.read() as conn:
            return bool(visit_devices.waiting(conn, self.site.clinic.clock.now()))

    def provider_link(self) -> str:
        service = self.site.clinic.service
        with service.store.write() as conn:
            now = self.site.clinic.clock.now()
            return f"/j/{visit_links.new_link(conn, service.vault, self.visit(), VisitRole.PROVIDER, now)}"

    def sent_back(self) -> list[WritebackRow]:
        """What went back and was taken, in the order of what happened."""
        with self.site.clinic.service.store.read() as conn:
            rows = writeback_rows.rows(conn, limit=100)[::-1]
        return [row for row in rows if row.state is WritebackState.ACKNOWLEDGED]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    engine, port, engine_port = InboundEngine(), free_port(), free_port()
    twilio = PocketTwilio(now=lambda: NOW)
    with ExitStack() as stack:
        meeting = stack.enter_context(meeting_server())
        path = make(tmp_path / "clinic", _changes(meeting.url, port, engine_port))
        for name, content in (("jitsi.secret", SHARED), ("jitsi.bearer", BEARER)):
            (path.parent / name).write_text(f"{content}\n", encoding="utf-8")
            (path.parent / name).chmod(0o400)
        site = stack.enter_context(serving(path, gateway=twilio, doors=[PatientsDoor()], pace=QUICK))
        twilio.now = site.clinic.clock.now
        site.run(engine.start(port=engine_port))
        stack.callback(lambda: site.run(engine.stop()))
        meeting.jitsi = SimulatedJitsi(
            app_id="carebell",
            secret=SHARED.encode(),
            bearer=BEARER,
            post=lambda below, body, headers: _post(site, below, body, headers),
            clock=site.clinic.clock.now,
        )
        yield Story(site=site, twilio=twilio, engine=engine, meeting=meeting)


def _changes(meeting: str, port: int, engine_port: int) -> dict[str, Any]:
    rooms = {
        "kind": "jitsi", "url": meeting, "app_id": "carebell", "secret_file": "jitsi.secret",
        "webhook_secret_file": "jitsi.bearer",
    }  # fmt: skip
    hl7 = {
        "host": "127.0.0.1", "port": engine_port, "sending_facility": "LAMNA", "receiving_application": "EPIC",
        "receiving_facility": "LAMNA",
    }  # fmt: skip
    test = {
        "sms": {"force_to": PHONE, "debounce": "0s"},
        "visits": {"join": "ours", "meeting": rooms, "device_test": {"enabled": True}},
        "writeback": {"events": dict.fromkeys(("connected", "disconnected", "visit_ended"), "hl7"), "hl7": hl7},
    }
    return {
        **PORTAL,
        "http": {"enabled": True, "port": 0},
        "join": {"enabled": True, "port": port, "public_url": f"http://127.0.0.1:{port}"},
        "environments": {"test": test},
    }


def _post(site: Site, below: str, body: bytes, headers: Mapping[str, str]) -> int:
    assert site.clinic.service.http is not None
    host, port = site.clinic.service.http
    url = f"http://{host}:{port}/meetings/test/{below}"
    with urllib.request.urlopen(urllib.request.Request(url, body, dict(headers), method="POST"), timeout=30) as answer:
        status: int = answer.status
    return status


@contextmanager
def _window(browser: Browser, story: Story, **settings: Any) -> Iterator[Window]:
    """Of somebody with a link."""
    watch = Watch(origins={story.pages, story.meeting.url})
    with watched_page(browser, watch, **settings) as page:
        yield Window(page=page, url=story.pages, watch=watch)
    assert watch.problems == []


def test_from_the_booking_to_the_report(browser: Browser, story: Story, window_of: OpenWindow) -> None:
    site = story.site
    link = _text_with_link(story)
    with _window(browser, story, **NARROW) as patient, _window(browser, story) as provider:
        _test_devices(patient, link)

        story.move_to(START - 10 * MINUTE)
        patient.open(link)
        patient.until("You are in the waiting room.")
        story.move_to(START - 6 * MINUTE)
        until(story.waits)  # the page says that it is still there
        sam = window_of(site, "sam")
        sam.open("/visits")
        row = sam.page.get_by_role("row", name=REFERENCE)
        assert "passed" in row.inner_text()
        row.get_by_role("button", name="Let in").click()
        patient.page.get_by_role("heading", name="The meeting").wait_for()
        _heard(story, 1)

        story.move_to(START - 4 * MINUTE)
        provider.open(story.provider_link())
        provider.press("Go to the visit")
        provider.page.get_by_role("heading", name="The meeting").wait_for()
        _heard(story, 2)

    code = story.visit().code
    for minutes, role in ((16, VisitRole.PATIENT), (17, VisitRole.PROVIDER)):
        story.move_to(START + minutes * MINUTE)
        story.meeting.leave(code, role)
        _heard(story, 3 if role is VisitRole.PATIENT else 4)
    story.move_to(START + 30 * MINUTE)
    _heard(story, 5)

    back = story.sent_back()
    assert [(row.event.value, row.facts.get("by")) for row in back] == [
        ("connected", "patient"),
        ("connected", "provider"),
        ("disconnected", "patient"),
        ("disconnected", "provider"),
        ("visit_ended", None),
    ]
    assert [(message.control_id, message.act) for message in story.engine.messages] == [
        (row.id, EngineAct.AA) for row in back
    ]
    assert all(b"TESTPATIENT" not in content for content in story.engine.contents)

    ended = story.engine.contents[-1].decode()
    assert re.findall(r"(VISIT_DURATION|LOBBY_WAIT)[^|]*\|\|([0-9]*)", ended) == [
        ("VISIT_DURATION", "1260"),
        ("LOBBY_WAIT", "240"),
    ]

    dana = window_of(site, "dana")
    dana.open("/reports/visits")
    (row_of_report,) = _report(dana)
    assert row_of_report["Appointment ID"] == REFERENCE
    assert row_of_report["Lobby wait time"] == "0:04:00"
    assert row_of_report["Duration"] == "0:21:00"
    assert (row_of_report["Status"], row_of_report["Attendees"]) == ("Completed", "2")
    assert (row_of_report["SMS sent"], row_of_report["Device test result"]) == ("1", "passed")


def _text_with_link(story: Story) -> str:
    """The visit is booked; the path of the link in the text that follows."""
    booking = signed(
        "S12", "BOOKED1", sent=NOW, start=START, visit="VIDEO", facility="LAMNATST", processing_id="T"
    )  # fmt: skip
    (answer,) = story.site.run(story.site.clinic.send(booking, environment="test"))
    assert answer.code == "AA"
    story.move_to(NOW + MINUTE)
    until(lambda: bool(story.twilio.asked))
    (sms,) = story.twilio.asked
    found = re.search(re.escape(story.pages) + r"(/j/[1-9A-HJ-NP-Za-km-z]{17})(?= |$)", sms.body)
    assert found is not None, sms.body
    return found[1]


def _test_devices(patient: Window, link: str) -> None:
    """The patient is early, and uses the time."""
    patient.open(link)
    patient.follow("Test your device")
    for button in STEPS:
        patient.page.get_by_role("button", name=button, exact=True).click(timeout=PATIENCE)
    patient.page.locator("[data-end]").wait_for(timeout=PATIENCE)
    patient.until("Your device is ready for the visit. Your care team sees the result.")


def _heard(story: Story, messages: int) -> None:
    """Wait until the EHR has taken so many messages; who comes or goes is told when it was no bad line."""
    story.move_to(story.site.clinic.clock.now() + 2 * FLAP)
    until(lambda: len(story.sent_back()) >= messages)


def _report(window: Window) -> list[dict[str, str]]:
    """The rows of the report: heading -> cell."""
    headings = window.page.locator("table", has_text="Visits, the newest first").locator("thead th").all_inner_texts()
    return [
        dict(zip((heading.strip() for heading in headings), cells, strict=True))
        for cells in window.table("Visits, the newest first")
    ]
