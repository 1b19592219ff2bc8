"""The interface of a gateway, and the possible answers. Every gateway implements it, in Carebell's terms.

`send` blocks (it runs in a worker thread), never raises for an answer that it can classify, and never retries by itself: each call
attempts at most one create. `notifier.outcomes` decides what an answer means for the text. `notifier.webhook` is the interface
for webhooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Protocol

from notifier.failures import Failure
from parser.phone_number import PhoneNumber

OnDate = Callable[[str | None], None]
"""Gets the Date header of a gateway's answer as written, None without one. Called in the thread that sends."""


def ignore_date(_: str | None) -> None:
    """For callers that compare no clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """A text to be sent.

    Attributes:
        id: the outbox row's random id; nothing else of Carebell appears in a callback URL.
        attempt: 1 for the first.
        sender: `sms.from`: an E.164 number, a short code, or a name that the gateway knows.
        valid_for: how long the carrier may keep trying.
        due: when the plan wanted to send it, UTC.
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


class DeliveryStatus(StrEnum):
    """The status of a text at the gateway. The values are those of `scheduler.sms.SmsState`."""

    ACCEPTED = "accepted"  # the gateway has it
    SENT = "sent"  # the carrier has it
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"  # the carrier gave up
    FAILED = "failed"  # the gateway gave up

    @property
    def is_final(self) -> bool:
        """Whether the gateway reports no further status after this one."""
        return self in (DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The gateway took the text and gave it the id `message_id`."""

    message_id: str
    status: DeliveryStatus = DeliveryStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The gateway answered that it did not take the text.

    Attributes:
        retry_after: the gateway asks for this pause; a retry waits at least as long.
    """

    failure: Failure
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """It certainly did not reach the gateway: DNS failure, connection refused. Safe to try again."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """The gateway may or may not have taken it: time-out while reading, reset, 5xx, half an answer. Never retry without a
    lookup."""

    why: str


Receipt = Accepted | Refused | NotSent | Ambiguous


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """One message in the gateway's log.

    Attributes:
        status: None: a word of the gateway that gives no new status.
        failure: why it failed; None: it did not fail, or no reason is given.
        same: for `find`: True: certainly the text in question. False: between the same numbers, but with other words.
    """

    message_id: str
    status: DeliveryStatus | None
    failure: Failure | None = None
    to: PhoneNumber | None = None
    body: str | None = field(default=None, repr=False)
    sent_at: datetime | None = None
    same: bool = True


class Resend(Enum):
    """Which texts in state `unknown` may be sent once more after `find` did not find them."""

    NEVER = "never"
    CANCELLATIONS = "cancellations"  # a patient who travels for nothing is a greater harm than two texts
    ALWAYS = "always"  # the gateway identifies a text by our id and does not take it twice


class GatewayUnavailableError(Exception):
    """The gateway gave no usable answer. `code` says why (`read_timeout`, `http_503`, ...); the text holds nothing else."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gateway(Protocol):
    """The interface of a gateway. All methods block and are called from worker threads. Only `fetch` raises, as described there."""

    @property
    def resends(self) -> Resend: ...

    def send(self, sms: Sms) -> Receipt: ...

    def fetch(self, message_id: str) -> SentMessage | None:
        """The message's present state; None if the gateway does not know it, or no longer.

        Raises:
            GatewayUnavailableError: no answer, or no usable one; ask again later.
        """

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        """Messages between these numbers created since then, the text itself first; to resolve an ambiguous send.

        None: the gateway cannot say. An empty list: there is none, so the gateway took nothing.
        """

    def forget(self, message_id: str) -> bool:
        """Delete the message at the gateway. False: not yet possible, try again later."""

    def close(self) -> None: ...
