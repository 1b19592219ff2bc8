"""The content of a gateway's webhooks in Carebell's terms, and the interface that reads them; pure.

A gateway's webhook checks that a call is genuine before it reads anything from it. A call that is not genuine, or has no usable
content, becomes a value with a stable code, never an exception, and the value holds no content.
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
    """One call as it was received.

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
    """A new status of a text. Updates come late, repeated and in any order; `store` decides which one counts.

    Attributes:
        message_id: the message at the gateway.
        status: None: a word of the gateway that gives no new status, or an unknown word.
        failure: why it failed; None: it did not fail, or no reason is given.
        outbox_id: the outbox row's random id; None: not given.
        attempt: the attempt of that row; None: not given.
    """

    message_id: str
    status: DeliveryStatus | None
    failure: Failure | None = None
    outbox_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A genuine call without usable content: a stable `code`, no content."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """A call that is not from the gateway, or cannot be proven to be: a stable `code`, no content."""

    code: str = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """The answer to a genuine call, with 200: received."""

    body: bytes
    media_type: str


class Webhook(Protocol):
    """One webhook address. Its attributes are constant; `read` is called on the event loop and does not block."""

    @property
    def name(self) -> str:
        """One word for the log."""

    @property
    def path(self) -> str:
        """The path that follows the public URL."""

    @property
    def content_type(self) -> str:
        """The only accepted content type, without parameters."""

    @property
    def acknowledgement(self) -> Acknowledgement: ...

    def read(self, call: WebhookCall) -> StatusUpdate | Inbound | Unreadable | Forged: ...
