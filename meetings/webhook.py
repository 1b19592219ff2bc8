"""What a meeting's server posts to us, and what it is answered; pure.

A call is proved to be genuine before anything is read from it. What is not genuine, or has no usable content, becomes a value with
a stable code, never an exception, and the value holds no content. The same call may come twice, late and in any order: whoever
stores its events recognises them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from meetings.port import MeetingEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingCall:
    """One call as it was received.

    Attributes:
        path: what follows the environment's name in the address, without `/` in front.
        headers: names in lower case. body: as it was sent; its size was limited.
    """

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingAnswer:
    """Attributes:
    status: the HTTP status. code: `ok`, or why it was refused, for the log.
    document: what is answered, as JSON; None: nothing.
    """

    status: int = 200
    code: str = "ok"
    events: tuple[MeetingEvent, ...] = field(default=(), repr=False)
    document: Mapping[str, Any] | None = field(default=None, repr=False)


FORGED = MeetingAnswer(status=403, code="signature")
UNREADABLE = MeetingAnswer(status=400, code="unreadable")


class MeetingWebhook(Protocol):
    """The calls of one kind of meeting."""

    def read(self, call: MeetingCall, now: datetime) -> MeetingAnswer: ...
