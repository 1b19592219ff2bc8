"""Microsoft Teams meetings by Graph: created or got by the visit's code, so that a visit has one however often it is asked for.

People of the organization enter and present; everybody else waits in the meeting's lobby. Patients get the address for virtual
appointments (a browser is enough) where Graph gives it to an app, otherwise the meeting's own. Nothing is said by itself: Graph's
notifications of calls are a beta, and encrypted. The attendance report after the end has everybody's times.

Sources: learn.microsoft.com, Graph v1.0: onlineMeeting createOrGet, update, getVirtualAppointmentJoinWebUrl,
meetingAttendanceReport, attendanceRecord; the client credentials flow of the identity platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from meetings.port import Meeting, MeetingEvent, MeetingFault, MeetingRequest
from meetings.service_api import ServiceApi, document_of, instant, text_of
from scheduler.visit_life import VisitEventKind, VisitRole, VisitWindow

API: Final = "https://graph.microsoft.com/v1.0"
SIGN_IN: Final = "https://login.microsoftonline.com"
SCOPE: Final = "https://graph.microsoft.com/.default"
_LOBBY: Final = {
    "lobbyBypassSettings": {"scope": "organization", "isDialInBypassEnabled": False},
    "allowedPresenters": "organization",
}
_MOST_PAGES: Final = 20
_STAFF: Final = ("Organizer", "Presenter")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsMeetings:
    """Attributes: organizer: the object id of the user who organizes the meetings."""

    api: ServiceApi
    organizer: str

    @property
    def reports(self) -> bool:
        """Only afterwards."""
        return False

    @property
    def returns_refs(self) -> bool:
        """Patients are guests there, whom nothing of ours tells apart."""
        return False

    def owns(self, ref: str) -> bool:
        return ref.startswith("teams ")

    def create(self, request: MeetingRequest) -> Meeting:
        token = self.api.token()
        start = request.start or request.window.opens_at
        wanted = {
            "externalId": request.code,
            "subject": f"Visit {request.code}",
            "startDateTime": _written(start),
            "endDateTime": _written(request.window.ends_at),
        }
        made = document_of(self.api.ask(token, "POST", f"{self._meetings}/createOrGet", wanted), 200, 201)
        own_id, address = text_of(made, "id"), text_of(made, "joinWebUrl")
        path = f"{self._meetings}/{quote(own_id, safe='')}"
        document_of(self.api.ask(token, "PATCH", path, _LOBBY), 200)
        virtual = self.api.ask(token, "GET", f"{path}/getVirtualAppointmentJoinWebUrl")
        given = virtual.document.get("value") if virtual.status == 200 and virtual.document is not None else None
        patients = given if isinstance(given, str) and given else address
        if any(" " in part for part in (own_id, address, patients)):
            raise MeetingFault("api_unreadable")
        return Meeting(visit=request.visit, ref=f"teams {own_id} {address} {patients}")

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        _kind, _own_id, staff, patients = meeting.ref.split(" ")
        return staff if role is VisitRole.PROVIDER else patients

    def end(self, meeting: Meeting) -> None:
        """Graph lets no app end a meeting that it only organizes."""

    def report(self, meeting: Meeting, code: str) -> list[MeetingEvent] | None:
        own_id = meeting.ref.split(" ")[1]
        token, path = self.api.token(), f"{self._meetings}/{quote(own_id, safe='')}/attendanceReports"
        events = list[MeetingEvent]()
        for report in self._all(token, path):
            if report.get("meetingEndDateTime"):
                records = self._all(token, f"{path}/{quote(text_of(report, 'id'), safe='')}/attendanceRecords")
                for record in records:
                    events += _attended(record, code)
        return events or None

    @property
    def _meetings(self) -> str:
        return f"/users/{quote(self.organizer, safe='')}/onlineMeetings"

    def _all(self, token: str, path: str) -> Iterator[Mapping[str, Any]]:
        """The entries of a collection, over its pages. A page elsewhere is not followed."""
        for _ in range(_MOST_PAGES):
            document = document_of(self.api.ask(token, "GET", path), 200)
            values = document.get("value")
            if not isinstance(values, list) or not all(isinstance(entry, dict) for entry in values):
                raise MeetingFault("api_unreadable")
            yield from values
            more = document.get("@odata.nextLink")
            if more is None:
                return
            if not isinstance(more, str) or not more.startswith(self.api.base + "/"):
                raise MeetingFault("api_unreadable")
            path = more.removeprefix(self.api.base)
        raise MeetingFault("api_endless")


def _attended(record: Mapping[str, Any], code: str) -> Iterator[MeetingEvent]:
    """An interval without a time, as Graph gives it where it lacks data, is passed over."""
    who = VisitRole.PROVIDER if record.get("role") in _STAFF else VisitRole.PATIENT
    try:
        for interval in record["attendanceIntervals"]:
            if interval.get("joinDateTime") is None or interval.get("leaveDateTime") is None:
                continue
            for what, key in (
                (VisitEventKind.CONNECTED, "joinDateTime"),
                (VisitEventKind.DISCONNECTED, "leaveDateTime"),
            ):
                yield MeetingEvent(
                    code=code, at=instant(interval[key]), who=who, what=what, person=str(record["id"]), reported=True
                )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise MeetingFault("api_unreadable") from None


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
