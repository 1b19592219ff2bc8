"""Meetings on the hospital's own Jitsi server: a room with the visit's code, and a token for each person who goes there. Pure.

Nothing is asked of the server: a room is there when somebody enters it, so that there is nothing to create, and nothing to fail.
The token (HS256, with the server's `app_id` and `app_secret`) names the room, a role and when the own visit is open, and nobody.
`context.user.moderator` and `affiliation` are for prosody's plugin token_affiliation, `moderator` beside them for token_moderation;
`context.user.id` is the role, in a group with whose visit it is, which event_sync sends back with each person who comes and goes.

Sources: jitsi/lib-jitsi-meet doc/tokens.md; jitsi-contrib/prosody-plugins, token_affiliation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from meetings.port import Meeting, MeetingFault, MeetingRequest
from meetings.tokens import hs256_token
from scheduler.visit_life import VisitRole, VisitWindow

REF: Final = "."
"""Stands between role and ref in a user's id."""
_NAMES: Final = {
    VisitRole.PATIENT: "Patient",
    VisitRole.GUEST: "Guest",
    VisitRole.INTERPRETER: "Interpreter",
    VisitRole.PROVIDER: "Care team",
}
"""What the others in the room see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JitsiMeetings:
    """Attributes:
    url: of the server, without a `/` at its end.
    app_id, secret: as the server's prosody has them.
    reports: whether prosody's plugin event_sync says who comes and goes.
    """

    url: str
    app_id: str
    secret: bytes = field(repr=False)
    reports: bool = True

    @property
    def returns_refs(self) -> bool:
        """event_sync sends back `context.user.id`."""
        return True

    def create(self, request: MeetingRequest) -> Meeting:
        opens, ends = (int(at.timestamp()) for at in (request.window.opens_at, request.window.ends_at))
        return Meeting(visit=request.visit, ref=f"jitsi {request.code} {opens} {ends}")

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        _kind, room, *times = meeting.ref.split(" ")
        opens, ends = (int(at) for at in times)
        if own is not None:
            opens, ends = int(own.opens_at.timestamp()), min(ends, int(own.ends_at.timestamp()))
        if now >= datetime.fromtimestamp(ends, UTC):
            raise MeetingFault("over")
        moderates = role is VisitRole.PROVIDER
        user = {
            "id": role.value if ref is None else f"{role.value}{REF}{ref}",
            "name": _NAMES.get(role, "Guest"),
            "moderator": moderates,
            "affiliation": "owner" if moderates else "member",
        }
        claims = {
            "iss": self.app_id,
            "aud": self.app_id,
            "sub": urlsplit(self.url).hostname,
            "room": room,
            "nbf": opens,
            "exp": ends,
            "moderator": moderates,
            "context": {"user": user},
        }
        return f"{self.url}/{room}?jwt={hs256_token(claims, self.secret)}"

    def end(self, meeting: Meeting) -> None:
        """Nobody outside ends a room: it is over when the last one leaves it."""
