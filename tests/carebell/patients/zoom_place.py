"""A clinic whose visits take place in a simulated Zoom account, with its webhooks and what the clock does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.testclient import TestClient

from carebell.maintenance.meeting_upkeep import MeetingUpkeep
from carebell.outbound.meeting_kinds import service_of, webhook_of
from carebell.outbound.meeting_making import OneMeeting
from carebell.outbound.meeting_recording import MeetingRecorder
from carebell.patients.waiting_room import WaitingRoom
from config.model import MeetingSettings
from meetings.port import MeetingEvent, MeetingService
from meetings.webhook import MeetingWebhook
from portal.meeting_webhooks import meeting_route
from portal.webhooks import WebhookEvent
from simulator.meetings.server import running_service
from simulator.meetings.zoom import SimulatedZoom
from store import meeting_places
from tests.carebell.patients.room import START, Clinic, clinic

HOST: Final = "visits"


@dataclass(slots=True, kw_only=True)
class ZoomPlace:
    """Attributes:
    calls: webhooks that are held back; held: whether they are.
    missed: times that there was no meeting. refused: codes of webhooks.
    """

    clinic: Clinic
    zoom: SimulatedZoom
    room: WaitingRoom
    client: TestClient
    upkeep: MeetingUpkeep
    missed: list[None] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    calls: list[tuple[bytes, Mapping[str, str]]] = field(default_factory=list)
    held: bool = True

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        self.calls.append((body, headers))
        return 200 if self.held else self.send(body, headers)

    def send(self, body: bytes, headers: Mapping[str, str]) -> int:
        return self.client.post("/meetings/production/zoom", content=body, headers=dict(headers)).status_code

    def go(self, reference: str, device: str = "d1") -> str | None:
        """Where a patient who taps is sent; None: nowhere yet."""
        way = self.room.go(self.clinic.token(reference), device)
        return None if way is None else way.url

    def numbers(self, reference: str) -> list[int]:
        """Of the meetings that this visit, or its group, has at Zoom."""
        with self.clinic.service.store.read() as conn:
            topic = f"Visit {meeting_places.place_of(conn, self.clinic.visit(reference)).code}"
        return [meeting.number for meeting in self.zoom.meetings.values() if meeting.topic == topic]


@contextmanager
def zoom_place(folder: Path, *, groups: bool = False) -> Iterator[ZoomPlace]:
    secret, signing = folder / "client", folder / "signing"
    for path, content in ((secret, "client-word"), (signing, "signing-word")):
        path.write_text(content + "\n", encoding="utf-8")
        path.chmod(0o400)
    zoom = SimulatedZoom(
        account_id="acc",
        client_id="client",
        client_secret="client-word",
        secret_token=b"signing-word",
        host=HOST,
        clock=lambda: START,
    )
    with running_service(zoom) as url:
        meeting = {
            "kind": "zoom",
            "account_id": "acc",
            "client_id": "client",
            "secret_file": str(secret),
            "webhook_secret_file": str(signing),
            "host": HOST,
            "api_url": url,
        }
        hosts = ["*.zoom.us", "zoom.us"]
        with clinic(folder, groups=groups, lobby="none", meeting=meeting, allowed_hosts=hosts) as own:
            zoom.clock = own.service.clock.now
            own.hear("S12")
            own.service.step(START - own.service.now)
            made = _put_together(own, zoom)
            zoom.post = made.post
            yield made


def _put_together(own: Clinic, zoom: SimulatedZoom) -> ZoomPlace:
    service = own.service
    meetings = MeetingRecorder(store=service.store, vault=service.vault, recorder=own.recorder)
    missed: list[None] = []
    refused: list[str] = []

    def one_meeting(settings: MeetingSettings) -> MeetingService:
        made = service_of(settings, rehearses=True)
        assert made is not None
        return OneMeeting(service=made, store=service.store, vault=service.vault, now=service.clock.now)

    async def webhook(environment: str) -> MeetingWebhook | None:
        return webhook_of(service.runtime_config.policies[environment].environment.visits.meeting)

    async def take(environment: str, events: Sequence[MeetingEvent]) -> None:
        meetings.take(environment, events)

    def report(event: WebhookEvent) -> None:
        if event.error is not None:
            raise event.error
        if event.code != "ok":
            refused.append(event.code)

    return ZoomPlace(
        clinic=own,
        zoom=zoom,
        room=replace(own.room, meetings_of=one_meeting, missed=lambda: missed.append(None)),
        client=TestClient(Starlette(routes=[meeting_route(webhook, take, service.clock.now, report)])),
        upkeep=MeetingUpkeep(
            clock=service.clock,
            meetings=meetings,
            runtime_config=lambda: service.runtime_config,
            service_of=one_meeting,
            missed=lambda: missed.append(None),
        ),
        missed=missed,
        refused=refused,
    )
