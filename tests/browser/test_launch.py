"""SMART launches from a simulated EHR in a browser: a provider and a patient who are signed in there come to their visit's meeting,
with a pointer and by keyboard alone; and a launch that leads nowhere says its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest

from carebell.patients.door import PatientsDoor
from scheduler.visit_life import VisitRole
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.meetings.jitsi import SimulatedJitsi
from store import visits
from tests.browser import accessibility
from tests.browser.clinic_week import NOW
from tests.browser.conftest import NARROW, PORTAL, WIDE, watched_page
from tests.browser.hands import Hands, Keyboard, Pointer
from tests.browser.meeting_server import MeetingServer, meeting_server
from tests.browser.site import Site, free_port, serving, until
from tests.browser.watch import Watch
from tests.browser.window import Window
from tests.story.ehr import signed
from tests.story.folder import make

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START: Final = NOW + timedelta(minutes=30)
SECRET: Final = "of-the-rooms"
PATIENCE: Final = 30_000


@dataclass
class Hospital:
    """A clinic, the EHR that launches its people, and where its visits take place."""

    site: Site
    fhir: FhirSimulator
    meeting: MeetingServer
    browser: Browser

    @property
    def pages(self) -> str:
        return str(self.site.clinic.service.loaded.configuration.join.public_url)

    def launch_of(self, reader: str, user: str, session: str, **given: str) -> str:
        """The address that the EHR opens, below the pages' origin."""
        context = {"sessionId": session, "departmentId": "East", "env": "test"}
        word = self.fhir.sign_in.launch(context, user)
        return f"/ehr/test/{reader}?{urlencode({'iss': self.fhir.base_url, 'launch': word, **given})}"

    def book(self, reference: str) -> None:
        message = signed(
            "S12", f"C{reference}", sent=self.site.clinic.clock.now(), start=START, reference=reference, visit="VIDEO",
            facility="LAMNATST", processing_id="T",
        )  # fmt: skip
        (answer,) = self.site.run(self.site.clinic.send(message, environment="test"))
        assert answer.code == "AA"

    def events(self, reference: str) -> list[str]:
        with self.site.clinic.service.store.read() as conn:
            known = visits.between(conn, NOW, NOW + timedelta(days=1))
            visit = next(visit for visit in known if visit.reference == reference)
            return [event.what.value for event in visits.events(conn, [visit.id])]

    @contextmanager
    def window(self, **settings: Any) -> Iterator[Window]:
        watch = Watch(origins={self.pages, self.fhir.origin, self.meeting.url})
        with watched_page(self.browser, watch, **settings) as page:
            yield Window(page=page, url=self.pages, watch=watch)
        assert watch.problems == []


@pytest.fixture(scope="module")
def hospital(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder, port = tmp_path_factory.mktemp("launches") / "clinic", free_port()
    folder.mkdir()
    (folder / "jitsi.secret").write_text(f"{SECRET}\n", encoding="ascii")
    (folder / "jitsi.secret").chmod(0o400)
    started: list[Site] = []

    def now() -> datetime:
        return started[0].clinic.clock.now() if started else NOW

    with ExitStack() as stack:
        meeting = stack.enter_context(meeting_server())
        fhir = stack.enter_context(running_fhir_simulator(FhirSimulator(clock=now)))
        rooms = {"kind": "jitsi", "url": meeting.url, "app_id": "carebell", "secret_file": "jitsi.secret"}
        launch = {"client_id": "carebell", "patients": True}
        test = {
            "fhir_base_url": fhir.base_url,
            "visits": {"join": "ours", "meeting": rooms, "launch": launch},
            "sms": {"force_to": "+12025550143"},
        }
        path = make(
            folder,
            {
                **PORTAL,
                "join": {"enabled": True, "port": port, "public_url": f"http://127.0.0.1:{port}"},
                "environments": {"test": test},
            },
        )
        site = stack.enter_context(serving(path, doors=[PatientsDoor()]))
        started.append(site)
        meeting.jitsi = SimulatedJitsi(
            app_id="carebell", secret=SECRET.encode(), bearer="", post=lambda *_: 204, clock=site.clinic.clock.now
        )
        yield Hospital(site=site, fhir=fhir, meeting=meeting, browser=browser)


@pytest.mark.parametrize("hands", [Pointer, Keyboard])
def test_the_ehr_brings_both_into_the_meeting(hospital: Hospital, hands: type[Pointer] | type[Keyboard]) -> None:
    reference = f"L-{hands.__name__}"
    hospital.book(reference)
    with hospital.window(**NARROW) as patient, hospital.window(**WIDE) as provider:
        assert patient.open(hospital.launch_of("patient", "pat", reference)) == 200
        patient.until("You are in the waiting room.")
        assert patient.path.startswith("/j/")
        assert patient.flaws() == []

        assert provider.open(hospital.launch_of("provider", "dana", reference)) == 200
        assert provider.path.startswith("/j/")
        assert provider.path != patient.path, "each has a link of their own"
        provider.until("Patient, ")
        assert provider.flaws() == []
        assert _unmarked(provider) == []
        acts: Hands = hands(provider)
        acts.press("Let in")
        provider.until("Let in.")
        patient.page.get_by_role("heading", name="The meeting").wait_for(timeout=PATIENCE)

        acts.press("Go to the visit")
        provider.page.get_by_role("heading", name="The meeting").wait_for(timeout=PATIENCE)
    until(lambda: hospital.meeting.there.keys() == {VisitRole.PATIENT, VisitRole.PROVIDER})
    assert hospital.meeting.there.pop(VisitRole.PROVIDER).moderator
    assert not hospital.meeting.there.pop(VisitRole.PATIENT).moderator
    assert hospital.events(reference) == ["planned", "waiting", "admitted", "connected", "connected"]


def _unmarked(window: Window) -> list[Any]:
    """Where the Tab key comes without anybody seeing it."""
    return [stop for stop in accessibility.walk_by_tab(window.page) if not stop["marked"] or stop["covered"]]


def test_who_waits_comes_to_the_providers_page_and_the_focus_stays(hospital: Hospital) -> None:
    hospital.book("L2")
    with hospital.window(**NARROW) as patient, hospital.window(**WIDE) as provider:
        assert provider.open(hospital.launch_of("provider", "dana", "L2")) == 200
        provider.until("Nobody waits.")
        assert provider.page.locator("[data-news]").inner_text() == ""
        provider.page.get_by_role("button", name="Go to the visit").focus()
        assert patient.open(hospital.launch_of("patient", "pat", "L2")) == 200
        patient.until("You are in the waiting room.")
        provider.page.get_by_role("button", name="Not yet").wait_for(timeout=PATIENCE)
        assert provider.page.locator("[data-news]").inner_text() == "Somebody came into the waiting room."
        assert provider.page.evaluate("() => document.activeElement.innerText") == "Go to the visit"
        provider.page.get_by_role("button", name="Let in").focus()
        with hospital.window(**WIDE) as elsewhere:
            elsewhere.open(provider.path)
            elsewhere.press("Not yet")
            elsewhere.until("You asked for more minutes.")
        provider.until("You asked for more minutes.")
        assert provider.page.evaluate("() => document.activeElement.innerText") == "Let in"
        assert provider.flaws() == []


def test_a_provider_whose_visit_is_not_there_reads_the_code(hospital: Hospital) -> None:
    with hospital.window(**WIDE) as provider:
        assert provider.open(hospital.launch_of("provider", "dana", "no-such-visit")) == 403
        assert provider.heading == "The visit was not opened"
        assert "Code for support: unknown_visit" in provider.words
        assert "Has the appointment's message arrived" in provider.words
        assert "no-such-visit" not in provider.page.content()
        assert provider.flaws() == []


def test_a_patient_whose_launch_is_refused_reads_it_in_their_browsers_language(hospital: Hospital) -> None:
    with hospital.window(**NARROW, locale="es-US") as patient:
        assert patient.open(hospital.launch_of("patient", "pat", "L1", iss="https://other.example/R4")) == 403
        assert patient.heading == "No se abrió la visita"
        assert "Código para el personal de ayuda: wrong_issuer" in patient.words
        assert patient.flaws() == []


def test_a_patient_whose_visit_is_not_there_is_told_no_more_than_of_any_link(hospital: Hospital) -> None:
    with hospital.window(**NARROW) as patient, hospital.window(**NARROW) as other:
        assert patient.open(hospital.launch_of("patient", "pat", "no-such-visit")) == 404
        assert other.open(f"/j/{'z' * 17}") == 404
        assert patient.page.content() == other.page.content()
        assert patient.flaws() == []
