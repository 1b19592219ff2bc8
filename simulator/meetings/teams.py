"""A simulated Microsoft Graph: tokens by client credentials, online meetings by external id, and attendance reports.

Strict where Graph is: a wrong app, secret, scope, token or organizer is refused; a report is there when a session has ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simulator.meetings.server import Answer, ServiceRequest


@dataclass(slots=True, kw_only=True)
class TeamsStay:
    """Attributes: role: Organizer, Presenter, Attendee or None, as Graph says."""

    own_id: str
    role: str
    joined_at: datetime
    left_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class TeamsMeeting:
    """Attributes: sessions: who was there, from the first one's coming to the last one's leaving."""

    own_id: str
    external_id: str
    wanted: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    sessions: list[list[TeamsStay]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SimulatedTeams:
    """Attributes:
    virtual: whether an app gets addresses of virtual appointments.
    unanswered: so many requests for a meeting are done and not answered.
    page: entries on one.
    """

    tenant: str
    client_id: str
    client_secret: str = field(repr=False)
    organizer: str
    clock: Callable[[], datetime]
    virtual: bool = False
    unanswered: int = 0
    page: int = 100
    origin: str = ""
    meetings: dict[str, TeamsMeeting] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set, repr=False)

    def answer(self, request: ServiceRequest) -> Answer | None:
        if (request.method, request.path) == ("POST", f"/{self.tenant}/oauth2/v2.0/token"):
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": {"code": "InvalidAuthenticationToken"}}
        match request.method, request.path.strip("/").split("/")[1:]:
            case "POST", ["users", self.organizer, "onlineMeetings", "createOrGet"]:
                return self._create(request.document())
            case method, ["users", self.organizer, "onlineMeetings", own_id, *below] if own_id in self.meetings:
                return self._of_meeting(method, self.meetings[own_id], below, request)
        return 403, {"error": {"code": "Forbidden", "message": "No application access policy found for this app."}}

    def enter(self, meeting: TeamsMeeting, role: str) -> TeamsStay:
        """Somebody is in the meeting; a session begins with the first one."""
        stay = TeamsStay(own_id=secrets.token_hex(8), role=role, joined_at=self.clock())
        if not meeting.sessions or all(other.left_at is not None for other in meeting.sessions[-1]):
            meeting.sessions.append([])
        meeting.sessions[-1].append(stay)
        return stay

    def leave(self, stay: TeamsStay) -> None:
        stay.left_at = self.clock()

    def _token(self, request: ServiceRequest) -> Answer:
        right = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scope": "https://graph.microsoft.com/.default",
        }
        if request.form() != right:
            return 401, {"error": "invalid_client"}
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token}

    def _create(self, wanted: Mapping[str, Any]) -> Answer | None:
        same = [meeting for meeting in self.meetings.values() if meeting.external_id == wanted["externalId"]]
        if not same:
            own_id = "MSp" + secrets.token_hex(8)
            self.meetings[own_id] = TeamsMeeting(own_id=own_id, external_id=wanted["externalId"], wanted=wanted)
        if self.unanswered:
            self.unanswered -= 1
            return None
        return (200, _document(same[0])) if same else (201, _document(self.meetings[own_id]))

    def _of_meeting(self, method: str, meeting: TeamsMeeting, below: list[str], request: ServiceRequest) -> Answer:
        match method, below:
            case "PATCH", []:
                meeting.settings = request.document()
                return 200, _document(meeting)
            case "GET", ["getVirtualAppointmentJoinWebUrl"] if self.virtual:
                return 200, {"value": f"https://visit.teams.microsoft.com/webrtc-svc/{meeting.own_id}"}
            case "GET", ["attendanceReports"]:
                return self._page([_report(number, stays) for number, stays in enumerate(meeting.sessions)], request)
            case "GET", ["attendanceReports", number, "attendanceRecords"]:
                return self._page([_record(stay) for stay in meeting.sessions[int(number)]], request)
        return 403, {"error": {"code": "Forbidden"}}

    def _page(self, values: list[dict[str, Any]], request: ServiceRequest) -> Answer:
        begin = int(request.query.get("$skiptoken") or 0)
        end = begin + self.page
        document: dict[str, Any] = {"value": values[begin:end]}
        if end < len(values):
            document["@odata.nextLink"] = f"{self.origin}{request.path}?$skiptoken={end}"
        return 200, document


def _document(meeting: TeamsMeeting) -> dict[str, Any]:
    address = f"https://teams.microsoft.com/l/meetup-join/{meeting.own_id}"
    return {"id": meeting.own_id, "joinWebUrl": address, "externalId": meeting.external_id}


def _report(number: int, stays: list[TeamsStay]) -> dict[str, Any]:
    left = [stay.left_at for stay in stays if stay.left_at is not None]
    over = len(left) == len(stays)
    began = min(stay.joined_at for stay in stays)
    ended = _written(max(left)) if over else None
    return {"id": str(number), "meetingStartDateTime": _written(began), "meetingEndDateTime": ended}


def _record(stay: TeamsStay) -> dict[str, Any]:
    interval = {"joinDateTime": _written(stay.joined_at), "leaveDateTime": stay.left_at and _written(stay.left_at)}
    nothing = {"joinDateTime": None, "leaveDateTime": None, "durationInSeconds": 0}
    return {"id": stay.own_id, "role": stay.role, "attendanceIntervals": [interval, nothing]}


def _written(at: datetime) -> str:
    """With seven digits behind the point, as Graph writes many of its times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
