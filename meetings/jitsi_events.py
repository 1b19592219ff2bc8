"""What prosody's plugin event_sync posts: who entered and left a room, and, when the last one left, everybody's times. Pure.

    POST …/events/occupant/joined   …/events/occupant/left   …/events/room/created   …/events/room/destroyed

Proof is a bearer token in `Authorization`, which both sides know (`api_headers` of the plugin). `room/destroyed` lists all
occupants with their times: it is the report of that session. Names and e-mail addresses, which another token might bring, are not
read.

Source: jitsi-contrib/prosody-plugins, event_sync/README.md.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from meetings.jitsi import REF
from meetings.port import MeetingEvent
from meetings.webhook import FORGED, UNREADABLE, MeetingAnswer, MeetingCall
from scheduler.visit_life import LINK_ROLES, VisitEventKind, VisitRole

_MOST: Final = 200
"""Occupants of one report; people who come back count again."""
_ROLES: Final = {role.value: role for role in LINK_ROLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class JitsiWebhook:
    """Attributes: bearers: the tokens that prove a call; several during a rotation."""

    bearers: Sequence[bytes] = field(repr=False)

    def read(self, call: MeetingCall, now: datetime) -> MeetingAnswer:
        given = call.headers.get("authorization", "").encode("utf-8", "surrogatepass")
        if not any(hmac.compare_digest(given, b"Bearer " + bearer) for bearer in self.bearers):
            return FORGED
        try:
            document = json.loads(call.body)
            events = tuple(_events(document))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return UNREADABLE
        return MeetingAnswer(events=events)


def _events(document: Mapping[str, Any]) -> Iterator[MeetingEvent]:
    code, name = document["room_name"], document["event_name"]
    if not isinstance(code, str):
        raise ValueError("a room has a name")
    if name == "muc-occupant-joined":
        occupant = document["occupant"]
        yield _event(code, occupant, VisitEventKind.CONNECTED, occupant["joined_at"])
    elif name == "muc-occupant-left":
        occupant = document["occupant"]
        yield _event(code, occupant, VisitEventKind.DISCONNECTED, occupant["left_at"])
    elif name == "muc-room-destroyed":
        for occupant in document["all_occupants"][:_MOST]:
            left_at = occupant.get("left_at") or document["destroyed_at"]
            yield _event(code, occupant, VisitEventKind.CONNECTED, occupant["joined_at"], reported=True)
            yield _event(code, occupant, VisitEventKind.DISCONNECTED, left_at, reported=True)
    elif name != "muc-room-created":
        raise ValueError("no event of this plugin")


def _event(
    code: str, occupant: Mapping[str, Any], what: VisitEventKind, at: object, *, reported: bool = False
) -> MeetingEvent:
    role, _, ref = str(occupant.get("id")).partition(REF)
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise ValueError("a time is a number of seconds")
    return MeetingEvent(
        code=code,
        at=datetime.fromtimestamp(at, UTC),
        who=_ROLES.get(role, VisitRole.GUEST),
        what=what,
        person=str(occupant["occupant_jid"]),
        ref=ref or None,
        reported=reported,
    )
