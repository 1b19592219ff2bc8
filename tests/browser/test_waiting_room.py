"""A patient taps a link, waits, is let in by staff, and goes to the meeting; with script and without, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest

from carebell.patients.door import PatientsDoor
from store import visit_links, visits
from store.visits import VideoVisit
from tests.browser.accessibility import sideways, small_targets, violations
from tests.browser.clinic_week import NOW
from tests.browser.conftest import NARROW, PORTAL, OpenWindow, watched_page
from tests.browser.site import Site, free_port, serving
from tests.browser.watch import Watch
from tests.browser.window import Window
from tests.story.ehr import signed
from tests.story.folder import make

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START: Final[datetime] = NOW + timedelta(minutes=30)


class _Meeting(BaseHTTPRequestHandler):
    """A page that stands for a meeting."""

    def do_GET(self) -> None:
        body = b"<!doctype html><html lang='en'><title>Meeting</title><h1>The meeting</h1></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def meeting() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Meeting)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, meeting: str) -> Iterator[Site]:
    """A portal and the patients' pages; A1 is a video visit in half an hour, A2 one in two days."""
    folder, port = tmp_path_factory.mktemp("room") / "clinic", free_port()
    path = make(
        folder,
        {
            **PORTAL,
            "join": {"enabled": True, "port": port, "public_url": f"http://127.0.0.1:{port}"},
            "environments": {
                "test": {
                    "visits": {"join": "ours", "meeting": {"url": f"{meeting}/{{visit_code}}"}},
                    "sms": {"force_to": "+12025550143"},
                }
            },
        },
    )
    with serving(path, doors=[PatientsDoor()]) as site:
        yield site


def _booked(site: Site, reference: str, start: datetime) -> str:
    """Book a video visit; its link."""
    now = site.clinic.clock.now()
    message = signed(
        "S12", f"C{reference}", sent=now, start=start, reference=reference, visit="VIDEO", facility="LAMNATST",
        processing_id="T",
    )  # fmt: skip
    [answer] = site.run(site.clinic.send(message, environment="test"))
    assert answer.code == "AA"
    visit = _visit(site, reference)
    service = site.clinic.service
    with service.store.read() as conn:
        token = visit_links.tokens(conn, service.vault, [visit.appointment], now)[visit.appointment]
    return f"{service.loaded.configuration.join.public_url}/j/{token}"


def _visit(site: Site, reference: str) -> VideoVisit:
    with site.clinic.service.store.read() as conn:
        known = visits.between(conn, NOW - timedelta(days=9), NOW + timedelta(days=9))
    return next(visit for visit in known if visit.reference == reference)


def _events(site: Site, reference: str) -> list[str]:
    with site.clinic.service.store.read() as conn:
        return [event.what.value for event in visits.events(conn, [_visit(site, reference).id])]


@pytest.fixture
def patient(browser: Browser, clinic: Site, meeting: str) -> Iterator[Window]:
    origin = str(clinic.clinic.service.loaded.configuration.join.public_url)
    watch = Watch(origins={origin, meeting})
    with watched_page(browser, watch, **NARROW) as page:
        yield Window(page=page, url=origin, watch=watch)
    assert watch.problems == []


def _flaws(window: Window) -> list[str]:
    return [*violations(window.page), *sideways(window.page), *small_targets(window.page)]


def test_one_tap_from_the_text_to_the_meeting(clinic: Site, patient: Window, window_of: OpenWindow) -> None:
    link = _booked(clinic, "A1", START)
    patient.page.goto(link)
    patient.page.get_by_text("You are in the waiting room.").wait_for()
    assert _events(clinic, "A1") == ["planned", "waiting"]
    assert patient.page.title() == "Your visit"
    assert _flaws(patient) == []
    patient.page.get_by_role("button", name="Camera").click()
    patient.page.locator("video").wait_for(state="visible")
    assert patient.page.get_by_role("button", name="Camera").get_attribute("aria-pressed") == "true"
    assert _flaws(patient) == []

    sam = window_of(clinic, "sam")
    sam.open("/visits")
    row = sam.page.get_by_role("row", name="A1")
    assert "patient" in row.inner_text()
    assert sam.flaws() == []
    row.get_by_role("button", name="Not yet").click()
    patient.page.get_by_text("needs a few more minutes").wait_for()
    sam.page.get_by_role("row", name="A1").get_by_role("button", name="Let in").click()
    patient.page.get_by_role("heading", name="The meeting").wait_for()
    assert _visit(clinic, "A1").code in patient.page.url
    assert _events(clinic, "A1") == ["planned", "waiting", "put_off", "admitted", "connected"]
    patient.page.goto(link)
    patient.page.get_by_role("button", name="Go to your visit").wait_for()
    assert _flaws(patient) == []


def test_a_page_that_nobody_looks_at_is_nobody(clinic: Site, patient: Window) -> None:
    """P15: a program that runs scripts, as some scanners of links do, shows the page to nobody."""
    link = _booked(clinic, "A3", START)
    patient.page.add_init_script("Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})")
    for _ in range(3):
        patient.page.goto(link)
        patient.page.get_by_role("button", name="Come in").wait_for()
    assert _events(clinic, "A3") == ["planned"]


def test_leaving_is_staying_away(clinic: Site, patient: Window) -> None:
    link = _booked(clinic, "A4", START)
    patient.page.goto(link)
    patient.page.get_by_text("You are in the waiting room.").wait_for()
    patient.page.get_by_role("button", name="Leave").click()
    patient.page.get_by_role("button", name="Come in").wait_for()
    assert _events(clinic, "A4") == ["planned", "waiting", "left_lobby"]
    patient.page.get_by_role("button", name="Come in").click()
    patient.page.get_by_text("You are in the waiting room.").wait_for()
    assert _events(clinic, "A4")[-1] == "waiting"


def test_without_script_a_button_does_it(browser: Browser, clinic: Site) -> None:
    link = _booked(clinic, "A5", START)
    origin = str(clinic.clinic.service.loaded.configuration.join.public_url)
    watch = Watch(origins={origin})
    with watched_page(browser, watch, java_script_enabled=False) as page:
        page.goto(link)
        page.get_by_role("button", name="Come in").click()
        page.get_by_text("You are in the waiting room.").wait_for()
    assert watch.problems == []
    assert _events(clinic, "A5") == ["planned", "waiting"]


@pytest.mark.parametrize("stage", ["early", "canceled", "unknown"])
def test_every_page_is_accessible(clinic: Site, patient: Window, stage: str) -> None:
    link = _booked(clinic, f"B-{stage}", START + timedelta(days=2))
    if stage == "canceled":
        now = clinic.clinic.clock.now()
        canceled = signed(
            "S15", "CANCEL", sent=now + timedelta(seconds=1), start=START + timedelta(days=2), reference=f"B-{stage}",
            visit="VIDEO", status="Cancelled", facility="LAMNATST", processing_id="T",
        )  # fmt: skip
        clinic.run(clinic.clinic.send(canceled, environment="test"))
    patient.page.goto(link[:-17] + "z" * 17 if stage == "unknown" else link)
    patient.page.get_by_role("heading", name="Your visit").wait_for()
    assert _flaws(patient) == []
