"""A visit in a simulated Teams: going there counts until the attendance report, which wins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.maintenance.meeting_upkeep import SILENT, MeetingUpkeep
from carebell.outbound.meeting_kinds import service_of
from carebell.outbound.meeting_making import OneMeeting
from carebell.outbound.meeting_recording import MeetingRecorder
from carebell.patients.waiting_room import WaitingRoom
from config.model import MeetingSettings
from meetings.port import MeetingService
from scheduler.visit_life import VisitState
from simulator.meetings.server import running_service
from simulator.meetings.teams import SimulatedTeams, TeamsMeeting
from tests.carebell.patients.room import START, Clinic, clinic


@dataclass
class TeamsPlace:
    clinic: Clinic
    graph: SimulatedTeams
    room: WaitingRoom
    upkeep: MeetingUpkeep

    @property
    def meeting(self) -> TeamsMeeting:
        [made] = self.graph.meetings.values()
        return made

    def wait(self, minutes: float) -> None:
        self.clinic.service.step(timedelta(minutes=minutes))

    def go(self) -> None:
        way = self.room.go(self.clinic.token(), "d1")
        assert way is not None
        assert way.url is not None


@contextmanager
def _teams_place(folder: Path) -> Iterator[TeamsPlace]:
    secret = folder / "secret"
    secret.write_text("app-word\n", encoding="utf-8")
    secret.chmod(0o400)
    graph = SimulatedTeams(
        tenant="lamna", client_id="app", client_secret="app-word", organizer="object-id", clock=lambda: START
    )
    with running_service(graph) as url:
        graph.origin = url
        account = {"account_id": "lamna", "client_id": "app", "secret_file": str(secret), "host": "object-id"}
        meeting = {"kind": "teams", "api_url": url, **account}
        with clinic(folder, lobby="none", meeting=meeting, allowed_hosts=["teams.microsoft.com"]) as own:
            service = own.service
            graph.clock = service.clock.now
            own.hear("S12")
            service.step(START - service.now)

            def one_meeting(settings: MeetingSettings) -> MeetingService:
                made = service_of(settings, rehearses=True)
                assert made is not None
                return OneMeeting(service=made, store=service.store, vault=service.vault, now=service.clock.now)

            upkeep = MeetingUpkeep(
                clock=service.clock,
                meetings=MeetingRecorder(store=service.store, vault=service.vault, recorder=own.recorder),
                runtime_config=lambda: service.runtime_config,
                service_of=one_meeting,
            )
            yield TeamsPlace(own, graph, replace(own.room, meetings_of=one_meeting), upkeep)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[TeamsPlace]:
    with _teams_place(tmp_path) as made:
        yield made


def test_a_visit_has_the_times_of_its_attendance_report(place: TeamsPlace) -> None:
    place.upkeep.round()
    place.go()
    tapped = place.clinic.service.now
    assert (place.clinic.visit().state, place.clinic.visit().started_at) == (VisitState.IN_VISIT, tapped)
    place.wait(1)
    began = place.clinic.service.now
    stays = [place.graph.enter(place.meeting, role) for role in ("Presenter", "Attendee")]
    place.wait(20)
    place.upkeep.round()
    assert place.clinic.visit().started_at == tapped
    for stay in stays:
        place.graph.leave(stay)
    left = place.clinic.service.now
    place.clinic.service.step(SILENT)
    place.upkeep.round()
    assert (place.clinic.visit().state, place.clinic.visit().started_at) == (VisitState.IN_VISIT, began)
    place.wait(5)
    place.upkeep.round()
    visit = place.clinic.visit()
    assert (visit.state, visit.started_at, visit.ended_at) == (VisitState.ENDED, began, left)


def test_a_visit_goes_on_while_somebody_went_there_again(place: TeamsPlace) -> None:
    place.upkeep.round()
    place.go()
    for stay in [place.graph.enter(place.meeting, role) for role in ("Organizer", "Attendee")]:
        place.wait(1)
        place.graph.leave(stay)
    place.wait(5)
    place.upkeep.round()
    place.go()
    place.wait(30)
    place.upkeep.round()
    assert place.clinic.visit().state is VisitState.IN_VISIT
    assert len(place.graph.meetings) == 1
