"""The port through which a text leaves, and what can come back; every gateway implements it, and all speak our words.

`send` blocks (it runs in a worker thread), never raises for an answer it can name, and never retries by itself: at most one
create is attempted per call. What an answer means for the message is decided by `notifier.outcomes`, not here. What a gateway
says by webhook is `notifier.webhook`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Protocol

from notifier.failures import Failure
from parser.phone_number import PhoneNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """A text on its way out.

    Attributes:
        id: the outbox row's random id; the only thing of ours that appears in a callback URL.
        attempt: 1 for the first.
        sender: `sms.from`: an E.164 number, a short code, or a name that the gateway knows.
        valid_for: how long the carrier may keep trying.
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


class DeliveryStatus(StrEnum):
    """How far a text has come, as a gateway tells it; the values are those of `scheduler.sms.SmsState`."""

    ACCEPTED = "accepted"  # the gateway has it
    SENT = "sent"  # the carrier has it
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"  # the carrier gave up
    FAILED = "failed"  # the gateway gave up

    @property
    def is_final(self) -> bool:
        """Whether the gateway says no more of a text with this status."""
        return self in (DeliveryStatus.DELIVERED, DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The gateway took it, and calls it `message_id`."""

    message_id: str
    status: DeliveryStatus = DeliveryStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The gateway answered that it did not take it.

    Attributes:
        retry_after: the gateway asks to be left alone this long; a retry waits no less.
    """

    failure: Failure
    retry_after: timedelta | None = None


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
        status: None: a word of the gateway that says nothing new.
        failure: why it failed; None: it did not, or no reason is given.
        same: of `find`: certainly the text that was asked about. False: between the same numbers, but with other words.
    """

    message_id: str
    status: DeliveryStatus | None
    failure: Failure | None = None
    to: PhoneNumber | None = None
    body: str | None = field(default=None, repr=False)
    sent_at: datetime | None = None
    same: bool = True


class Resend(Enum):
    """Which texts of unknown fate may be sent once more, after `find` showed nothing of them."""

    NEVER = "never"
    CANCELLATIONS = "cancellations"  # a patient at a closed door is a greater harm than two texts
    ALWAYS = "always"  # the gateway knows a text by our id: what it has taken it does not take again


class GatewayUnavailableError(Exception):
    """The gateway could not be asked. `code` says why (`read_timeout`, `http_503`, ...); the text holds nothing else."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gateway(Protocol):
    """The port. All methods block and are called from worker threads; none raises but `fetch`, and that as said there."""

    @property
    def resends(self) -> Resend: ...

    def send(self, sms: Sms) -> Receipt: ...

    def fetch(self, message_id: str) -> SentMessage | None:
        """The message's present state; None where the gateway does not know it (any more).

        Raises:
            GatewayUnavailableError: no answer, or none that tells; ask again later.
        """

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        """Messages to and from these numbers created since, the very text first; to settle an ambiguous send.

        None: it cannot tell. An empty list: there is none, so that nothing was taken.
        """

    def forget(self, message_id: str) -> bool:
        """Delete the message at the gateway. False: not yet possible, try again later."""

    def close(self) -> None: ...
