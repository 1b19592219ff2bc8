"""A clinic with one video visit, its patients' pages as an application, and time in our hand."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Final

from starlette.testclient import TestClient

from carebell.environment_policy import RuntimeConfig
from carebell.ids import ControlIds
from carebell.maintenance.visit_upkeep import VisitUpkeep
from carebell.outbound.visit_recording import VisitRecorder
from carebell.patients.device_tests import DeviceTests
from carebell.patients.waiting_room import WaitingRoom
from journal.logs import Journal, setup
from portal.join.app import build
from portal.join.desk import JoinWords
from portal.join.device_test import DeviceTestPages
from portal.join.guessing import Guesses
from portal.join.provider import ProviderPages
from portal.join.rendering import JoinRenderer, static_files
from scheduler.visit_life import VisitRole
from store import visit_links, visits
from store.visits import VideoVisit
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story import folder as clinic_folder
from tests.story.ehr import unsigned

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
START: Final = datetime(2026, 3, 12, 21, 0, tzinfo=UTC)
URL: Final = "https://visit.example"
MINUTE: Final = timedelta(minutes=1)
SAME: Final = {"sec-fetch-site": "same-origin"}
SCRIPT: Final = {**SAME, "accept": "application/json"}


def changes(
    writeback: dict[str, Any] | None = None, join: dict[str, Any] | None = None, **visits: Any
) -> dict[str, Any]:
    ours = {
        "join": "ours",
        "meeting": {"url": "https://meet.example/{visit_code}"},
        "allowed_hosts": ["meet.example"],
        **visits,
    }
    return {
        "join": {"enabled": True, "public_url": URL, **(join or {})},
        "environments": {"production": {"visits": ours} | ({} if writeback is None else {"writeback": writeback})},
    }


@dataclass(slots=True, kw_only=True)
class Clinic:
    """Attributes: seconds: of the machine, for the limit of guesses. unknown: (address, over its limit) of unknown links."""

    service: Pieces
    client: TestClient
    room: WaitingRoom
    recorder: VisitRecorder
    upkeep: VisitUpkeep
    seconds: list[float]
    unknown: list[tuple[str | None, bool]] = field(default_factory=list)

    def hear(
        self,
        event: str,
        start: datetime = START,
        mode: str = "VIDEO",
        reference: str = "900100",
        language: str = "en",
        conference: str = "",
    ) -> None:
        """Args: conference: of a clinic of groups, whose messages carry it in SCH-7.2."""
        self.service.step(timedelta(seconds=1))
        status = "Cancelled" if event == "S15" else "Scheduled"
        content = unsigned(
            event,
            f"{reference}{event}{self.service.now:%d%H%M%S}",
            sent=self.service.now,
            start=start,
            visit=mode,
            status=status,
            reference=reference,
            language=language,
            note=conference,
        )
        self.service.hear(content)
        assert self.service.refused == []

    def visit(self, reference: str = "900100") -> VideoVisit:
        with self.service.store.read() as conn:
            known = visits.between(conn, NOW - timedelta(days=400), NOW + timedelta(days=400))
        return next(visit for visit in known if visit.reference == reference)

    def token(self, reference: str = "900100") -> str:
        owner = self.visit(reference).appointment
        with self.service.store.read() as conn:
            return visit_links.tokens(conn, self.service.vault, [owner], self.service.now)[owner]

    def new_link(self, role: VisitRole, reference: str = "900100") -> str:
        with self.service.store.write() as conn:
            return visit_links.new_link(conn, self.service.vault, self.visit(reference), role, self.service.now)

    def key(self, token: str) -> str:
        return self.service.vault.ring.link_key(token)

    def events(self, reference: str = "900100") -> list[str]:
        with self.service.store.read() as conn:
            return [event.what.value for event in visits.events(conn, [self.visit(reference).id])]

    def here(self, token: str, device: str = "d1") -> dict[str, str]:
        answer = self.client.post(f"/j/{token}/here", data={"device": device}, headers=SCRIPT)
        assert answer.status_code == 200
        stage: dict[str, str] = answer.json()
        return stage


@contextmanager
def clinic(
    folder: Path, *, at: datetime = NOW, sms: dict[str, Any] | None = None, groups: bool = False, **visits: Any
) -> Iterator[Clinic]:
    """Args: groups: its field map says where a message carries a conference id."""
    twilio = PocketTwilio(now=lambda: at)
    wanted = changes(**visits)
    if groups:
        folder.mkdir(exist_ok=True)
        generic = (resources.files("parser") / "fieldmaps" / "generic.yaml").read_text("utf-8")
        (folder / "groups.yaml").write_text(
            generic.replace("conference: []", "conference: [SCH-7.2]"), encoding="utf-8"
        )
        wanted["environments"]["production"]["ehr"] = "groups.yaml"
    with (
        pieces(folder, at=at, gateway=twilio, sms={"debounce": "0s", **(sms or {})}, changes=wanted) as service,
        setup(now=service.clock.now, file=folder / "visits.log") as journal,
        ThreadPoolExecutor(2) as threads,
    ):
        twilio.now = service.clock.now
        yield _put_together(service, journal, threads)


def _put_together(service: Pieces, journal: Journal, threads: ThreadPoolExecutor) -> Clinic:
    def in_force() -> RuntimeConfig:
        return service.runtime_config

    recorder = VisitRecorder(runtime_config=in_force, control_ids=ControlIds(), journal=journal)
    room = WaitingRoom(
        store=service.store, vault=service.vault, runtime_config=in_force, recorder=recorder, now=service.clock.now
    )
    seconds = [0.0]
    unknown: list[tuple[str | None, bool]] = []
    failed: list[Exception] = []
    words = JoinWords(
        organization=lambda: service.runtime_config.organization.name,
        contact=lambda: service.runtime_config.organization.contact,
        languages=lambda: service.runtime_config.page_words,
    )
    tests = DeviceTests(
        store=service.store,
        vault=service.vault,
        loaded=lambda: clinic_folder.load(service.log.parent / "carebell.yaml"),
        recorder=recorder,
        now=service.clock.now,
    )
    device_test = DeviceTestPages(
        desk=tests,
        join=room,
        renderer=JoinRenderer(words, static_files()),
        public_url=URL,
        threads=threads,
        trusted_proxies=list,
        report=failed.append,
        seconds=lambda: seconds[0],
    )
    provider = ProviderPages(
        desk=room,
        renderer=JoinRenderer(words, static_files()),
        public_url=URL,
        threads=threads,
        report=failed.append,
    )
    app = build(
        room,
        words,
        public_url=URL,
        trusted_proxies=list,
        now=service.clock.now,
        threads=threads,
        unknown=lambda address, over: unknown.append((address, over)),
        report=failed.append,
        below={**device_test.below(), **provider.below()},
        further=device_test.further(),
        guesses=Guesses(),
        seconds=lambda: seconds[0],
    )
    return Clinic(
        service=service,
        client=TestClient(app, base_url=URL, follow_redirects=False),
        room=room,
        recorder=recorder,
        upkeep=VisitUpkeep(store=service.store, clock=service.clock, recorder=recorder),
        seconds=seconds,
        unknown=unknown,
    )
