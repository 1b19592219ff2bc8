"""What a Jitsi server says of a visit, over the HTTP port's application: doubled, late, reversed, forged, lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from carebell.maintenance.meeting_upkeep import MeetingUpkeep
from carebell.outbound.meeting_kinds import webhook_of
from carebell.outbound.meeting_recording import MeetingRecorder
from config.model import MeetingSettings
from meetings.port import MeetingEvent
from meetings.webhook import MeetingWebhook
from portal.meeting_webhooks import meeting_route
from portal.webhooks import WebhookEvent
from scheduler.visit_life import VisitRole, VisitState
from simulator.meetings.jitsi import Occupant, SimulatedJitsi
from store.visits import VideoVisit
from tests.carebell.patients.room import MINUTE, START, Clinic, clinic

BEARER: Final = "known-to-both"


@dataclass(slots=True, kw_only=True)
class Place:
    """A clinic with a Jitsi server. lost: calls that never arrive. refused: codes of calls that were refused."""

    clinic: Clinic
    jitsi: SimulatedJitsi
    client: TestClient
    upkeep: MeetingUpkeep
    refused: list[str]
    calls: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    held: bool = False

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.calls.append((path, body, headers))
        return 200 if self.held else self.send(self.calls[-1])

    def send(self, call: tuple[str, bytes, Mapping[str, str]]) -> int:
        path, body, headers = call
        return self.client.post(f"/meetings/production/{path}", content=body, headers=dict(headers)).status_code

    def enter(self, role: VisitRole, reference: str = "900100") -> Occupant:
        patient = role is VisitRole.PATIENT
        token = self.clinic.token(reference) if patient else self.clinic.new_link(role, reference)
        self.clinic.here(token)
        way = self.clinic.room.go(token, "d1")
        assert way is not None
        assert way.url is not None
        return self.jitsi.enter(way.url)

    def visit(self) -> VideoVisit:
        return self.clinic.visit()

    def wait(self, minutes: float) -> None:
        self.clinic.service.step(minutes * MINUTE)


@contextmanager
def place(folder: Path, *, groups: bool = False) -> Iterator[Place]:
    files = {}
    for name, content in (("secret_file", "shared"), ("webhook_secret_file", BEARER)):
        files[name] = folder / name
        files[name].write_text(content + "\n", encoding="utf-8")
        files[name].chmod(0o400)
    meeting = {
        "kind": "jitsi",
        "url": "https://meet.example",
        "app_id": "carebell",
        **{name: str(path) for name, path in files.items()},
    }
    with clinic(folder, groups=groups, lobby="none", meeting=meeting) as own:
        service = own.service
        meetings = MeetingRecorder(store=service.store, vault=service.vault, recorder=own.recorder)
        refused: list[str] = []

        async def webhook(environment: str) -> MeetingWebhook | None:
            policy = service.runtime_config.policies.get(environment)
            return None if policy is None else webhook_of(policy.environment.visits.meeting)

        async def take(environment: str, events: Sequence[MeetingEvent]) -> None:
            meetings.take(environment, events)

        def report(event: WebhookEvent) -> None:
            if event.error is not None:
                raise event.error
            if event.code != "ok":
                refused.append(event.code)

        app = Starlette(routes=[meeting_route(webhook, take, service.clock.now, report)])
        own.hear("S12")
        service.step(START - service.now)
        jitsi = SimulatedJitsi(
            app_id="carebell",
            secret=b"shared",
            bearer=BEARER,
            post=lambda path, body, headers: made.post(path, body, headers),
            clock=service.clock.now,
        )
        upkeep = MeetingUpkeep(
            clock=service.clock, meetings=meetings, runtime_config=lambda: service.runtime_config
        )  # fmt: skip
        made = Place(clinic=own, jitsi=jitsi, client=TestClient(app), upkeep=upkeep, refused=refused)
        yield made


@pytest.fixture
def at_place(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made


def _held_visit(at: Place) -> tuple[Any, Any]:
    """The provider for twenty minutes, the patient for ten of them; when the patient came and the last one left."""
    provider = at.enter(VisitRole.PROVIDER)
    at.wait(5)
    came = at.clinic.service.now
    patient = at.enter(VisitRole.PATIENT)
    at.wait(10)
    at.jitsi.leave(at.visit().code, patient)
    at.wait(5)
    at.jitsi.leave(at.visit().code, provider)
    return came, at.clinic.service.now


def test_a_visit_has_the_times_of_its_meeting_and_ends_when_it_is_empty(at_place: Place) -> None:
    came, left = _held_visit(at_place)
    at_place.upkeep.round()
    assert at_place.visit().state is VisitState.IN_VISIT
    at_place.wait(9)
    at_place.upkeep.round()
    assert at_place.visit().state is VisitState.IN_VISIT
    at_place.wait(1)
    at_place.upkeep.round()
    visit = at_place.visit()
    assert (visit.state, visit.started_at, visit.ended_at) == (VisitState.ENDED, came, left)


def test_a_visit_is_not_over_while_somebody_is_there_or_the_provider_never_was(at_place: Place) -> None:
    patient = at_place.enter(VisitRole.PATIENT)
    at_place.jitsi.leave(at_place.visit().code, patient)
    at_place.wait(30)
    at_place.upkeep.round()
    assert at_place.visit().state is VisitState.IN_VISIT
    at_place.enter(VisitRole.PROVIDER)
    at_place.wait(30)
    at_place.upkeep.round()
    assert at_place.visit().state is VisitState.IN_VISIT


def test_calls_that_come_twice_and_backwards_change_nothing(at_place: Place) -> None:
    at_place.held = True
    came, left = _held_visit(at_place)
    for call in [*reversed(at_place.calls), *at_place.calls]:
        assert at_place.send(call) == 200
    before = at_place.clinic.events()
    at_place.wait(10)
    at_place.upkeep.round()
    visit = at_place.visit()
    assert (visit.state, visit.started_at, visit.ended_at) == (VisitState.ENDED, came, left)
    for call in at_place.calls:
        at_place.send(call)
    assert at_place.clinic.events() == [*before, "ended"]
    assert at_place.visit() == visit


def test_the_report_alone_gives_the_times_of_a_visit_that_was_thought_missed(at_place: Place) -> None:
    at_place.held = True
    came, left = _held_visit(at_place)
    joined = [call for call in at_place.calls if b'"muc-occupant-joined"' in call[1] and b'"provider"' in call[1]]
    at_place.send(joined[0])
    at_place.clinic.service.step(timedelta(days=1))
    at_place.clinic.upkeep.round()
    assert at_place.visit().state is VisitState.NO_SHOW
    at_place.send(at_place.calls[-1])
    visit = at_place.visit()
    assert (visit.state, visit.started_at, visit.ended_at) == (VisitState.ENDED, came, left)


def test_a_visit_that_the_clock_ends_ended_when_the_last_one_left(at_place: Place) -> None:
    patient = at_place.enter(VisitRole.PATIENT)
    at_place.jitsi.leave(at_place.visit().code, patient)
    left = at_place.clinic.service.now
    at_place.clinic.service.step(timedelta(days=1))
    at_place.clinic.upkeep.round()
    assert at_place.visit().ended_at == left


def test_a_forged_call_changes_nothing(at_place: Place) -> None:
    at_place.held = True
    at_place.enter(VisitRole.PATIENT)
    path, body, headers = at_place.calls[-1]
    before = at_place.clinic.events()
    assert at_place.send((path, body, {**headers, "Authorization": "Bearer guessed"})) == 403
    assert at_place.send((path, b"{" + b" " * 300_000, headers)) == 413
    assert at_place.send((path, body, {**headers, "Content-Type": "text/plain"})) == 415
    stranger = json.dumps({**json.loads(body), "room_name": "another-room"}).encode()
    assert at_place.send((path, stranger, headers)) == 200
    assert at_place.client.post("/meetings/other/events/x", content=body, headers=dict(headers)).status_code == 404
    assert at_place.clinic.events() == before
    assert at_place.refused == ["signature", "too_large", "content_type", "unknown_environment"]


def test_a_kind_without_a_secret_for_its_calls_takes_none() -> None:
    assert webhook_of(MeetingSettings(kind="jitsi", url="https://meet.example")) is None
    assert webhook_of(MeetingSettings()) is None
