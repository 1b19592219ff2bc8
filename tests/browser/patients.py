"""The patients' pages as they meet them: a whole service with their door, on a free port of loopback, and one video visit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from carebell.patients.door import PatientsDoor
from scheduler.device_test import DeviceTest
from store import device_tests, visit_links, visits
from store.visits import VideoVisit
from tests.browser.clinic_week import NOW
from tests.browser.site import free_port
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import make

START = NOW + timedelta(minutes=30)


@dataclass(slots=True, kw_only=True)
class PatientsSite:
    """Attributes: url: of the pages. token: of the visit's link."""

    url: str
    token: str
    clinic: Clinic

    def visit(self) -> VideoVisit:
        with self.clinic.service.store.read() as conn:
            (only,) = visits.between(conn, START - timedelta(days=1), START + timedelta(days=1))
        return only

    def events(self) -> list[str]:
        with self.clinic.service.store.read() as conn:
            return [event.what.value for event in visits.events(conn, [self.visit().id])]

    def tests(self) -> list[DeviceTest]:
        """The newest first."""
        with self.clinic.service.store.read() as conn:
            return device_tests.of_visit(conn, self.visit().id)


@contextmanager
def serving_patients(
    folder: Path, *, at: datetime = NOW, language: str = "en", **visits_section: Any
) -> Iterator[PatientsSite]:
    """A started service with the patients' door and a video visit in half an hour.

    Args:
        language: the patient's, as the message has it.
        visits_section: over production's `visits`.
    """
    port = free_port()
    ours = {
        "join": "ours",
        "meeting": {"url": "https://meet.example/{visit_code}"},
        "allowed_hosts": ["meet.example"],
        **visits_section,
    }
    path = make(
        folder,
        {
            "join": {"enabled": True, "port": port, "public_url": f"http://127.0.0.1:{port}"},
            "environments": {"production": {"visits": ours, "sms": {"debounce": "0s"}}},
        },
    )
    started: Future[PatientsSite] = Future()
    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(path, at, language, started, ended)), name="patients")
    thread.start()
    try:
        yield started.result(120)
    finally:
        ended.set()
        thread.join()


async def _serve(
    path: Path, at: datetime, language: str, started: Future[PatientsSite], ended: threading.Event
) -> None:
    try:
        async with opened(path, at=at, doors=[PatientsDoor()], alone=False) as clinic:
            booking = signed("S12", "BOOKED1", sent=at, start=START, visit="VIDEO", language=language)
            (answer,) = await clinic.send(booking)
            assert answer.code == "AA", answer
            host, port = clinic.service.addresses["join"]
            site = PatientsSite(url=f"http://{host}:{port}", token="", clinic=clinic)
            owner, service = site.visit().appointment, clinic.service
            with service.store.read() as conn:
                site.token = visit_links.tokens(conn, service.vault, [owner], at)[owner]
            started.set_result(site)
            await asyncio.to_thread(ended.wait)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
