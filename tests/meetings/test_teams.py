"""Teams meetings over the guarded fetcher, against the simulated Graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import pytest

from meetings import teams
from meetings.port import MeetingFault, MeetingRequest
from meetings.service_api import ServiceApi
from meetings.teams import TeamsMeetings
from oauth.fetcher import Fetcher, FetchPolicy
from scheduler.visit_life import VisitEventKind, VisitRole, VisitWindow
from simulator.meetings.server import running_service
from simulator.meetings.teams import SimulatedTeams, TeamsMeeting

NOW: Final = datetime(2026, 3, 12, 21, 0, tzinfo=UTC)
WINDOW: Final = VisitWindow(opens_at=NOW - timedelta(hours=1), ends_at=NOW + timedelta(hours=3))
REQUEST: Final = MeetingRequest(visit="v1", code="7fqxk2mzp9rtvbn4w", window=WINDOW, start=NOW)
MINUTE: Final = timedelta(minutes=1)


@dataclass
class Directory:
    graph: SimulatedTeams
    meetings: TeamsMeetings

    @property
    def made(self) -> TeamsMeeting:
        [meeting] = self.graph.meetings.values()
        return meeting


@pytest.fixture
def directory() -> Iterator[Directory]:
    graph = SimulatedTeams(
        tenant="lamna", client_id="app", client_secret="app-word", organizer="object-id", clock=lambda: NOW
    )
    with running_service(graph) as url:
        graph.origin = url
        api = ServiceApi(
            fetcher=Fetcher(FetchPolicy(loopback=True)),
            base=f"{url}/v1.0",
            token_url=f"{url}/lamna/oauth2/v2.0/token",
            token_form={
                "grant_type": "client_credentials",
                "client_id": "app",
                "client_secret": "app-word",
                "scope": teams.SCOPE,
            },
        )
        yield Directory(graph=graph, meetings=TeamsMeetings(api=api, organizer="object-id"))


def test_a_visit_has_one_meeting_whose_lobby_is_on(directory: Directory) -> None:
    directory.graph.unanswered = 1
    with pytest.raises(MeetingFault) as raised:
        directory.meetings.create(REQUEST)
    assert (raised.value.may_help, raised.value.unsure) == (True, True)
    made = directory.meetings.create(REQUEST)
    assert made == directory.meetings.create(REQUEST)
    wanted = directory.made.wanted
    assert wanted["subject"] == "Visit 7fqxk2mzp9rtvbn4w"
    assert (wanted["startDateTime"], wanted["endDateTime"]) == ("2026-03-12T21:00:00Z", "2026-03-13T00:00:00Z")
    assert directory.made.settings["lobbyBypassSettings"]["scope"] == "organization"


@pytest.mark.parametrize("virtual", [True, False])
def test_patients_get_the_browsers_address_where_an_app_may_ask_for_it(directory: Directory, virtual: bool) -> None:
    directory.graph.virtual = virtual
    made = directory.meetings.create(REQUEST)
    staff = directory.meetings.join_url(made, VisitRole.PROVIDER, NOW)
    patient = directory.meetings.join_url(made, VisitRole.PATIENT, NOW)
    assert staff.startswith("https://teams.microsoft.com/l/meetup-join/")
    assert patient.startswith("https://visit.teams.microsoft.com/") is virtual
    assert virtual or patient == staff


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"client_secret": "another"}, "token_refused"), ({"organizer": "somebody-else"}, "api_403")],
)
def test_what_graph_refuses_is_said(directory: Directory, changed: dict[str, str], code: str) -> None:
    for name, value in changed.items():
        setattr(directory.graph, name, value)
    with pytest.raises(MeetingFault) as raised:
        directory.meetings.create(REQUEST)
    assert raised.value.code == code


def _minutes_later(minutes: int) -> datetime:
    return NOW + minutes * MINUTE


def test_the_attendance_report_of_every_session_that_is_over(directory: Directory) -> None:
    directory.graph.page = 1
    made = directory.meetings.create(REQUEST)
    assert directory.meetings.report(made, REQUEST.code) is None
    for minute in (0, 20):
        directory.graph.clock = partial(_minutes_later, minute)
        stays = [directory.graph.enter(directory.made, role) for role in ("Organizer", "Attendee")]
        directory.graph.clock = partial(_minutes_later, minute + 10)
        for stay in stays:
            directory.graph.leave(stay)
    directory.graph.enter(directory.made, "Attendee")  # a third one goes on
    reported = directory.meetings.report(made, REQUEST.code)
    assert reported is not None
    assert [(event.who, event.what, (event.at - NOW) / MINUTE) for event in reported] == [
        (who, what, minute + later)
        for minute in (0, 20)
        for who in (VisitRole.PROVIDER, VisitRole.PATIENT)
        for what, later in ((VisitEventKind.CONNECTED, 0), (VisitEventKind.DISCONNECTED, 10))
    ]
    assert all(event.reported for event in reported)


def test_a_page_elsewhere_is_not_followed(directory: Directory) -> None:
    directory.graph.page = 1
    made = directory.meetings.create(REQUEST)
    directory.graph.leave(directory.graph.enter(directory.made, "Organizer"))
    directory.graph.leave(directory.graph.enter(directory.made, "Attendee"))
    directory.graph.origin = "https://elsewhere.example"
    with pytest.raises(MeetingFault, match="api_unreadable"):
        directory.meetings.report(made, REQUEST.code)


def test_this_machine_is_not_asked_without_a_rehearsal(directory: Directory) -> None:
    guarded = replace(directory.meetings, api=replace(directory.meetings.api, fetcher=Fetcher()))
    with pytest.raises(MeetingFault, match="token_not_https"):
        guarded.create(REQUEST)
