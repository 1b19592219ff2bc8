"""Zoom's webhooks: who waits, enters and leaves, and that a meeting is over. Pure.

`x-zm-signature` is `v0=` and the HMAC-SHA256, in hex digits, of `v0:{x-zm-request-timestamp}:{body}` with the app's secret token.
A call whose timestamp is further away than two hours is refused; one that is repeated sooner changes nothing, since its events
are known. `endpoint.url_validation`, with which Zoom proves that the address is ours, is answered with the HMAC of its
`plainToken`. A meeting whose topic is not a visit's is somebody else's: such a call is accepted, and nothing of it is kept. Names
and addresses are not read.

Source: developers.zoom.us, Using webhooks.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from meetings.port import MeetingEvent
from meetings.service_api import instant
from meetings.webhook import FORGED, UNREADABLE, MeetingAnswer, MeetingCall
from meetings.zoom import code_of, role_of
from scheduler.visit_life import VisitEventKind, VisitRole

FRESH_FOR: Final = timedelta(hours=2)
_KINDS: Final = {
    "meeting.participant_joined_waiting_room": (VisitEventKind.WAITING, "date_time"),
    "meeting.participant_left_waiting_room": (VisitEventKind.LEFT_LOBBY, "date_time"),
    "meeting.participant_admitted": (VisitEventKind.ADMITTED, "date_time"),
    "meeting.participant_joined": (VisitEventKind.CONNECTED, "join_time"),
    "meeting.participant_left": (VisitEventKind.DISCONNECTED, "leave_time"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomWebhook:
    """Attributes: secrets: the app's secret token; several during a rotation."""

    secrets: Sequence[bytes] = field(repr=False)

    def read(self, call: MeetingCall, now: datetime) -> MeetingAnswer:
        secret = self._proved_by(call, now)
        if secret is None:
            return FORGED
        try:
            document = json.loads(call.body)
            name, payload = document["event"], document["payload"]
            if name == "endpoint.url_validation":
                plain = payload["plainToken"]
                proof = hmac.new(secret, plain.encode("utf-8"), hashlib.sha256).hexdigest()
                return MeetingAnswer(document={"plainToken": plain, "encryptedToken": proof})
            events = _events(name, payload["object"], document["event_ts"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return UNREADABLE
        return MeetingAnswer(events=events)

    def _proved_by(self, call: MeetingCall, now: datetime) -> bytes | None:
        """The secret that signed the call; None: none did, or not lately."""
        stamp = call.headers.get("x-zm-request-timestamp", "")
        given = call.headers.get("x-zm-signature", "").encode("utf-8", "surrogatepass")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 13):
            return None
        seconds = int(stamp) / (1000 if len(stamp) == 13 else 1)
        if abs(now.timestamp() - seconds) > FRESH_FOR.total_seconds():
            return None
        signed = b"v0:" + stamp.encode("ascii") + b":" + call.body
        for secret in self.secrets:
            right = b"v0=" + hmac.new(secret, signed, hashlib.sha256).hexdigest().encode("ascii")
            if hmac.compare_digest(given, right):
                return secret
        return None


def _events(name: str, meeting: Mapping[str, Any], sent: int) -> tuple[MeetingEvent, ...]:
    code = code_of(meeting.get("topic"))
    if code is None:
        return ()
    if name == "meeting.ended":
        at = instant(meeting["end_time"])
        return (MeetingEvent(code=code, at=at, who=VisitRole.CAREBELL, what=VisitEventKind.ENDED),)
    if name not in _KINDS:
        return ()
    what, key = _KINDS[name]
    person = meeting["participant"]
    at = instant(person[key]) if key in person else datetime.fromtimestamp(int(sent) / 1000, UTC)
    host = str(meeting.get("host_id", ""))
    known = str(person.get("participant_uuid") or person["user_id"])
    return (MeetingEvent(code=code, at=at, who=role_of(person, host), what=what, person=known),)
