"""The port through which a text leaves, and what can come back; every gateway implements it.

`send` blocks (it runs in a worker thread), never raises for an answer it can name, and never retries by itself: at most one
create is attempted per call. What an answer means for the message is decided by `notifier.outcomes`, not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from parser.phone import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """A text on its way out.

    Attributes:
        id: the outbox row's random id; the only thing of ours that appears in a callback URL.
        attempt: 1 for the first.
        sender: E.164 number, short code or Messaging Service SID (`sms.from`).
        valid_for: how long the carrier may keep trying; Twilio's ValidityPeriod.
        due: when the plan wanted it to leave, UTC.
    """

    id: str
    attempt: int
    environment: str
    appointment: str
    kind: str
    to: PhoneNumber
    sender: str
    body: str = field(repr=False)
    segments: int
    valid_for: timedelta
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The gateway took it. `status` is Twilio's: accepted, queued, sending, sent, delivered ..."""

    sid: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The gateway answered that it did not take it. `code` is Twilio's error code, 0 where there was none."""

    code: int
    http_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """It certainly did not reach the gateway: DNS failure, connection refused. Safe to try again."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """It may or may not have been taken: time-out while reading, reset, 5xx, half an answer. Never a blind retry."""

    why: str


Receipt = Accepted | Refused | NotSent | Ambiguous


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """What the gateway's log says of one message.

    Attributes:
        error_code: Twilio's ErrorCode or None.
        same: of `find`: certainly the text that was asked about. False: between the same numbers, but with other words.
    """

    sid: str
    status: str
    error_code: int | None
    to: PhoneNumber
    body: str | None = field(default=None, repr=False)
    sent_at: datetime | None = None
    same: bool = True


class GatewayUnavailableError(Exception):
    """The gateway could not be asked. `code` says why (`read_timeout`, `http_503`, ...); the text holds nothing else."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gateway(Protocol):
    """The port. All methods block and are called from worker threads; none raises but `fetch`, and that as said there."""

    def send(self, sms: Sms) -> Receipt: ...

    def fetch(self, sid: str) -> SentMessage | None:
        """The message's present state; None where the gateway does not know it (any more).

        Raises:
            GatewayUnavailableError: no answer, or none that tells; ask again later.
        """

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        """Messages to and from these numbers created since, the very text first; to settle an ambiguous send.

        None: it cannot tell. An empty list: there is none, so that nothing was taken.
        """

    def forget(self, sid: str) -> bool:
        """Delete the message at the gateway. False: not yet possible (Twilio 20009), try again later."""

    def close(self) -> None: ...
