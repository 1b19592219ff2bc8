"""Zoom meetings: made by a server-to-server app, with Zoom's waiting room on and nobody in before the host.

The topic holds the visit's code and nothing else of the visit; by it a meeting is found again that was made although its answer
did not reach us, so that a visit has one meeting. Participants get `join_url`. The host's address, which lets in whoever has it,
is asked for at the moment in which a provider goes, and is stored nowhere.

Sources: developers.zoom.us, Meeting API (create a meeting, list meetings, meeting status), Report API (meeting participants), and
server-to-server OAuth.
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

API: Final = "https://api.zoom.us/v2"
TOKEN: Final = "https://zoom.us/oauth/token"  # noqa: S105 (an address)
_TOPIC: Final = "Visit "
_MOST_PAGES: Final = 20
"""Of 300 meetings each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomMeetings:
    """Attributes:
    host: the user whose meetings they are, by id or e-mail address.
    reports: whether webhooks say who comes and goes; the report after the end does in any case.
    """

    api: ServiceApi
    host: str
    reports: bool = True

    @property
    def returns_refs(self) -> bool:
        """Zoom names its participants by names and addresses, which Carebell gives to nobody."""
        return False

    def owns(self, ref: str) -> bool:
        return ref.startswith("zoom ")

    def create(self, request: MeetingRequest) -> Meeting:
        token = self.api.token()
        there = self._found(token, request.code) if request.again else None
        made = there or self._made(token, request)
        return Meeting(visit=request.visit, ref=_ref(made))

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        _kind, number, _host, address = _parts(meeting)
        if role is not VisitRole.PROVIDER:
            return address
        answer = self.api.ask(self.api.token(), "GET", f"/meetings/{number}")
        return text_of(document_of(answer, 200), "start_url")

    def end(self, meeting: Meeting) -> None:
        number = _parts(meeting)[1]
        answer = self.api.ask(self.api.token(), "PUT", f"/meetings/{number}/status", {"action": "end"})
        if answer.status not in (200, 204, 400, 404):  # 400: it does not run
            raise MeetingFault(f"api_{answer.status}")

    def report(self, meeting: Meeting, code: str) -> list[MeetingEvent] | None:
        _kind, number, host, _address = _parts(meeting)
        token, events, page = self.api.token(), list[MeetingEvent](), ""
        for _ in range(_MOST_PAGES):
            path = f"/report/meetings/{number}/participants?page_size=300" + page
            answer = self.api.ask(token, "GET", path)
            if answer.status in (400, 404):  # it has not ended, or is not in the reports yet
                return None
            document = document_of(answer, 200)
            events += _reported(document, host, code)
            if not document.get("next_page_token"):
                return events or None
            page = f"&next_page_token={quote(str(document['next_page_token']), safe='')}"
        raise MeetingFault("api_endless")

    def _found(self, token: str, code: str) -> Mapping[str, Any] | None:
        """The oldest meeting of this visit that is there already."""
        same, page = list[Mapping[str, Any]](), ""
        for _ in range(_MOST_PAGES):
            path = f"/users/{quote(self.host, safe='')}/meetings?type=upcoming&page_size=300" + page
            document = document_of(self.api.ask(token, "GET", path), 200)
            listed = [entry for entry in document.get("meetings") or () if isinstance(entry, dict)]
            same += [entry for entry in listed if entry.get("topic") == _TOPIC + code]
            if not document.get("next_page_token"):
                return min(same, key=lambda entry: (str(entry.get("created_at")), str(entry.get("id"))), default=None)
            page = f"&next_page_token={quote(str(document['next_page_token']), safe='')}"
        raise MeetingFault("api_endless")

    def _made(self, token: str, request: MeetingRequest) -> Mapping[str, Any]:
        start = request.start or request.window.opens_at
        minutes = max(1, int((request.window.ends_at - start).total_seconds() // 60))
        wanted = {
            "topic": _TOPIC + request.code,
            "type": 2,
            "start_time": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": minutes,
            "timezone": "UTC",
            "settings": {
                "waiting_room": True,
                "join_before_host": False,
                "approval_type": 2,
                "auto_recording": "none",
                "use_pmi": False,
            },
        }
        answer = self.api.ask(token, "POST", f"/users/{quote(self.host, safe='')}/meetings", wanted)
        return document_of(answer, 201)


def code_of(topic: object) -> str | None:
    """The visit's code in a meeting's topic; None: it is somebody else's meeting."""
    if not isinstance(topic, str) or not topic.startswith(_TOPIC):
        return None
    return topic.removeprefix(_TOPIC)


def role_of(participant: Mapping[str, Any], host: str) -> VisitRole:
    """Zoom tells the host from the others, and those not from each other."""
    return VisitRole.PROVIDER if host and participant.get("id") == host else VisitRole.PATIENT


def _reported(document: Mapping[str, Any], host: str, code: str) -> Iterator[MeetingEvent]:
    people = document.get("participants")
    if not isinstance(people, list):
        raise MeetingFault("api_unreadable")
    for person in people:
        try:
            if person.get("status") == "in_waiting_room":
                continue
            times = (VisitEventKind.CONNECTED, "join_time"), (VisitEventKind.DISCONNECTED, "leave_time")
            for what, key in times:
                yield MeetingEvent(
                    code=code,
                    at=instant(person[key]),
                    who=role_of(person, host),
                    what=what,
                    person=str(person["user_id"]),
                    reported=True,
                )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise MeetingFault("api_unreadable") from None


def _ref(made: Mapping[str, Any]) -> str:
    number, host, address = (text_of(made, key) for key in ("id", "host_id", "join_url"))
    if not number.isdigit() or any(" " in part for part in (host, address)):
        raise MeetingFault("api_unreadable", unsure=True)
    return f"zoom {number} {host} {address}"


def _parts(meeting: Meeting) -> tuple[str, str, str, str]:
    kind, number, host, address = meeting.ref.split(" ")
    return kind, number, host, address
