"""A simulated Zoom account: tokens, meetings, their report, and signed webhooks; with faults of making on request.

Strict where Zoom is: a wrong account, client, token or user is refused, and a meeting has a report only when it has ended.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from simulator.meetings.server import Answer, ServiceRequest


class MakingFault(StrEnum):
    """What happens to a request for a meeting."""

    REFUSED = "refused"  # 503, nothing made
    BUSY = "busy"  # 429, nothing made
    UNANSWERED = "unanswered"  # made, and the connection ends before the answer
    ERROR_AFTERWARDS = "error_afterwards"  # made, and answered 500


@dataclass(slots=True, kw_only=True)
class ZoomParticipant:
    """Attributes: user_id: of this stay; id: of a user of the account, otherwise empty."""

    user_id: str
    id: str
    joined_at: datetime
    left_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class ZoomMeeting:
    number: int
    topic: str
    wanted: Mapping[str, Any]
    participants: list[ZoomParticipant] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class SimulatedZoom:
    """Attributes:
    post: how a webhook reaches Carebell: (body, headers) -> status.
    faults: of the next requests for a meeting, in this order.
    reports: whether reports are there yet.
    page: meetings or participants on one.
    """

    account_id: str
    client_id: str
    client_secret: str = field(repr=False)
    secret_token: bytes = field(repr=False)
    host: str
    host_id: str = "KzHostUserId"
    clock: Callable[[], datetime]
    post: Callable[[bytes, Mapping[str, str]], int] = lambda _body, _headers: 200
    faults: list[MakingFault] = field(default_factory=list)
    reports: bool = True
    page: int = 300
    meetings: dict[int, ZoomMeeting] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set, repr=False)

    def answer(self, request: ServiceRequest) -> Answer | None:
        if (request.method, request.path) == ("POST", "/oauth/token"):
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"code": 124, "message": "Invalid access token."}
        words = request.path.strip("/").split("/")[1:]
        match request.method, words:
            case "GET", ["users", self.host, "meetings"]:
                known = [self._document(meeting) for meeting in self.meetings.values()]
                return 200, self._page(known, "meetings", request)
            case "POST", ["users", self.host, "meetings"]:
                return self._make(request.document())
            case "GET", ["meetings", number] if int(number) in self.meetings:
                meeting = self.meetings[int(number)]
                return 200, {**self._document(meeting), "start_url": f"https://zoom.us/s/{number}?zak=host"}
            case "PUT", ["meetings", number, "status"] if int(number) in self.meetings:
                return 204, {}
            case "GET", ["report", "meetings", number, "participants"]:
                return self._report(int(number), request)
        return 404, {"code": 3001, "message": "Meeting does not exist."}

    def enter(self, number: int, *, host: bool = False) -> ZoomParticipant:
        """Somebody enters, and the webhook says so."""
        stay = ZoomParticipant(user_id=secrets.token_hex(4), id=self.host_id if host else "", joined_at=self.clock())
        self.meetings[number].participants.append(stay)
        self._tell("meeting.participant_joined", number, stay, {"join_time": _written(stay.joined_at)})
        return stay

    def leave(self, number: int, stay: ZoomParticipant) -> None:
        stay.left_at = self.clock()
        self._tell("meeting.participant_left", number, stay, {"leave_time": _written(stay.left_at)})

    def close(self, number: int) -> None:
        """The host ends it for everybody: those who are still in it leave without a word of their own."""
        for stay in self.meetings[number].participants:
            stay.left_at = stay.left_at or self.clock()
        self._send({
            "event": "meeting.ended",
            "event_ts": int(self.clock().timestamp() * 1000),
            "payload": {"object": {**self._object(number), "end_time": _written(self.clock())}},
        })  # fmt: skip

    def signed(self, document: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
        """A call as Zoom sends it."""
        body, stamp = json.dumps(document).encode(), str(int(self.clock().timestamp()))
        digest = hmac.new(self.secret_token, f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "x-zm-signature": f"v0={digest}",
            "x-zm-request-timestamp": stamp,
            "content-type": "application/json",
        }
        return body, headers

    def _token(self, request: ServiceRequest) -> Answer:
        right = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        form = request.form()
        known = form.get("account_id") == self.account_id and form.get("grant_type") == "account_credentials"
        if request.headers.get("authorization") != f"Basic {right}" or not known:
            return 400, {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 3599}

    def _make(self, wanted: Mapping[str, Any]) -> Answer | None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is MakingFault.REFUSED:
            return 503, {"code": 503}
        if fault is MakingFault.BUSY:
            return 429, {"code": 429}
        number = 91_000_000_000 + len(self.meetings)
        self.meetings[number] = ZoomMeeting(number=number, topic=str(wanted["topic"]), wanted=wanted)
        if fault is MakingFault.UNANSWERED:
            return None
        if fault is MakingFault.ERROR_AFTERWARDS:
            return 500, {"code": 500}
        return 201, {**self._document(self.meetings[number]), "start_url": f"https://zoom.us/s/{number}?zak=host"}

    def _report(self, number: int, request: ServiceRequest) -> Answer:
        meeting = self.meetings.get(number)
        if not self.reports or meeting is None or any(stay.left_at is None for stay in meeting.participants):
            return 404, {"code": 3001, "message": "Meeting does not exist."}
        stays = [
            {
                "id": stay.id,
                "user_id": stay.user_id,
                "name": "Somebody",
                "join_time": _written(stay.joined_at),
                "leave_time": _written(stay.left_at or stay.joined_at),
                "status": "in_meeting",
            }
            for stay in meeting.participants
        ]
        return 200, self._page(stays, "participants", request)

    def _document(self, meeting: ZoomMeeting) -> dict[str, Any]:
        return {
            "id": meeting.number,
            "host_id": self.host_id,
            "topic": meeting.topic,
            "type": 2,
            "created_at": f"2026-01-01T00:00:{len(self.meetings):02d}Z",
            "join_url": f"https://us05web.zoom.us/j/{meeting.number}?pwd=known",
        }

    def _page(self, known: list[dict[str, Any]], key: str, request: ServiceRequest) -> dict[str, Any]:
        begin = int(request.query.get("next_page_token") or 0)
        end = begin + self.page
        return {key: known[begin:end], "next_page_token": str(end) if end < len(known) else "", "page_size": self.page}

    def _object(self, number: int) -> dict[str, Any]:
        return {"id": str(number), "host_id": self.host_id, "topic": self.meetings[number].topic, "uuid": "u=="}

    def _tell(self, event: str, number: int, stay: ZoomParticipant, times: Mapping[str, str]) -> None:
        person = {"user_id": stay.user_id, "id": stay.id, "user_name": "Somebody", **times}
        self._send({
            "event": event,
            "event_ts": int(self.clock().timestamp() * 1000),
            "payload": {"account_id": self.account_id, "object": {**self._object(number), "participant": person}},
        })  # fmt: skip

    def _send(self, document: Mapping[str, Any]) -> None:
        self.post(*self.signed(document))


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
