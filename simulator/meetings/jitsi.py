"""A simulated Jitsi server: it admits who has a valid token for the room, and posts as prosody's plugin event_sync does.

Strict where prosody is: another secret, application, room or time is refused. People are known by an address of their own, as
occupants are. It never sees a patient: a token holds a role and a word for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

Post = Callable[[str, bytes, Mapping[str, str]], int]
"""(path after the prefix, body, headers) -> the HTTP status that answers it."""


class NotAdmitted(Exception):
    """A token that this room does not accept; the message says why, without the token."""


@dataclass(slots=True, kw_only=True)
class Occupant:
    """Somebody in a room."""

    jid: str
    role: str
    moderator: bool
    joined_at: int
    left_at: int | None = None

    def document(self) -> dict[str, Any]:
        known: dict[str, Any] = {"occupant_jid": self.jid, "id": self.role, "joined_at": self.joined_at}
        return known if self.left_at is None else {**known, "left_at": self.left_at}


@dataclass(slots=True, kw_only=True)
class SimulatedJitsi:
    """Attributes:
    post: how a call reaches Carebell; bearer: what proves it.
    tries: of one call, until it is answered with less than 500.
    unanswered: calls that were given up.
    """

    app_id: str
    secret: bytes = field(repr=False)
    bearer: str = field(repr=False)
    post: Post
    clock: Callable[[], datetime]
    tries: int = 5
    unanswered: int = 0
    rooms: dict[str, list[Occupant]] = field(default_factory=dict)

    def enter(self, url: str) -> Occupant:
        """Somebody opens an address. Raises: NotAdmitted."""
        parts = urlsplit(url)
        room, now = parts.path.strip("/").lower(), int(self.clock().timestamp())
        claims = self._verified(parse_qs(parts.query).get("jwt", [""])[0])
        if claims.get("iss") != self.app_id or claims.get("aud") != self.app_id:
            raise NotAdmitted("the token is of another application")
        if claims.get("room") != room:
            raise NotAdmitted("the token is for another room")
        if not claims["nbf"] <= now < claims["exp"]:
            raise NotAdmitted("it is not the token's time")
        user = claims["context"]["user"]
        occupant = Occupant(
            jid=f"{secrets.token_hex(8)}@meet.example/{secrets.token_hex(4)}",
            role=user["id"],
            moderator=bool(user["moderator"]),
            joined_at=now,
        )
        if room not in self.rooms:
            self.rooms[room] = []
            self._tell("room/created", {"event_name": "muc-room-created", **_names(room), "created_at": now})
        self.rooms[room].append(occupant)
        self._tell("occupant/joined", _moved("muc-occupant-joined", room, occupant))
        return occupant

    def leave(self, room: str, occupant: Occupant) -> None:
        """Somebody goes; with the last one the room does."""
        occupant.left_at = int(self.clock().timestamp())
        self._tell("occupant/left", _moved("muc-occupant-left", room, occupant))
        if all(other.left_at is not None for other in self.rooms[room]):
            occupants = [other.document() for other in self.rooms.pop(room)]
            times = {"created_at": occupants[0]["joined_at"], "destroyed_at": occupant.left_at}
            document = {"event_name": "muc-room-destroyed", **_names(room), **times, "all_occupants": occupants}
            self._tell("room/destroyed", document)

    def _tell(self, path: str, document: Mapping[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self.bearer}", "Content-Type": "application/json"}
        body = json.dumps(document).encode()
        for _try in range(self.tries):
            if self.post(f"events/{path}", body, headers) < 500:
                return
        self.unanswered += 1

    def _verified(self, token: str) -> dict[str, Any]:
        signed, _, signature = token.rpartition(".")
        right = hmac.new(self.secret, signed.encode(), hashlib.sha256).digest()
        if not signature or not hmac.compare_digest(_decoded(signature), right):
            raise NotAdmitted("the token is not signed with this server's secret")
        head, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        if head.get("alg") != "HS256" or not isinstance(claims, dict):
            raise NotAdmitted("the token is not signed with HS256")
        return claims


def _names(room: str) -> dict[str, Any]:
    return {"room_name": room, "room_jid": f"{room}@conference.meet.example", "is_breakout": False}


def _moved(event: str, room: str, occupant: Occupant) -> dict[str, Any]:
    return {"event_name": event, **_names(room), "active_occupants_count": 1, "occupant": occupant.document()}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
