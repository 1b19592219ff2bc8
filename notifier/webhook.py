"""What a gateway tells by webhook, in our words, and the port that reads it; pure.

A gateway's webhook checks that a call is genuine before it reads anything from it. A call that is not, or that says nothing
usable, is a value with a stable code, never an exception, and holds none of its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from notifier.failures import Failure
from notifier.gateway import DeliveryStatus
from notifier.replies import Inbound


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCall:
    """One call as it came in.

    Attributes:
        query: the raw query string, without `?`.
        headers: names in lower case.
        body: at most `portal.webhooks.LARGEST_BODY` bytes.
    """

    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """How a text fares. Updates come late, doubled and in any order; what counts is decided where it is stored.

    Attributes:
        message_id: the message at the gateway.
        status: None: a word of the gateway that says nothing new, or one that did not exist when this was written.
        failure: why it failed; None: it did not, or no reason is given.
        outbox_id: the outbox row's random id; None: not told.
        attempt: of that row; None: not told.
    """

    message_id: str
    status: DeliveryStatus | None
    failure: Failure | None = None
    outbox_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A genuine call that says nothing usable: a stable `code`, no content."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """A call that is not the gateway's, or that cannot be proven to be: a stable `code`, no content."""

    code: str = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What a genuine call is answered, with 200: received, nothing to say."""

    body: bytes
    media_type: str


class Webhook(Protocol):
    """One address at our door. Its attributes are fixed; `read` is called on the event loop and does not wait."""

    @property
    def name(self) -> str:
        """For the log: one word."""

    @property
    def path(self) -> str:
        """As it follows the public URL."""

    @property
    def content_type(self) -> str:
        """The only one it takes, without parameters."""

    @property
    def acknowledgement(self) -> Acknowledgement: ...

    def read(self, call: WebhookCall) -> StatusUpdate | Inbound | Unreadable | Forged: ...
