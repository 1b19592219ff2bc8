"""The HTTP gateway's webhooks: a text's status or a patient's reply, authenticated by an HMAC over time and body; pure.

    X-Carebell-Timestamp: 1767225600                     when it was signed, Unix seconds
    X-Carebell-Signature: v1=<hex of HMAC-SHA256>        over the timestamp, a full stop and the body, with a shared secret

The signature is compared in constant time, with every secret, before anything is read. A call whose timestamp is further than
`FRESH_FOR` from now is refused, so a captured call is useless later. A call that is replayed within that time changes
nothing: a status never withdraws a text, and a reply takes effect once for each `id`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from notifier.http_json.codes import STATUSES, delivery_failure_of
from notifier.http_json.payload import message_id_of, read_object, text_of
from notifier.intent import Intent, ReplyWords, intent
from notifier.replies import Inbound, reply_of
from notifier.webhook import Acknowledgement, Forged, StatusUpdate, Unreadable, WebhookCall
from parser.phone_number import PhoneNumber

EVENTS_PATH: Final = "/gateway/events"
TIMESTAMP: Final = "x-carebell-timestamp"
SIGNATURE: Final = "x-carebell-signature"
FRESH_FOR: Final = timedelta(minutes=5)
"""The tolerance for clock differences and immediate repetitions. A call that is repeated later must be signed again."""

_ACKNOWLEDGEMENT: Final = Acknowledgement(body=b"{}", media_type="application/json")
_UNIX_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER: Final = re.compile(r"[!-~]{1,64}")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INTENTS: Final = {"stop": Intent.STOP, "start": Intent.START, "help": Intent.HELP}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsWebhook:
    """The one address for all events of the gateway.

    Attributes:
        secrets: all are accepted, so that one can be rotated without losing a call.
        now: real time, aware, even in a rehearsal, because the gateway signs by its own clock.
    """

    secrets: tuple[str, ...] = field(repr=False)
    now: Callable[[], datetime]
    words: ReplyWords = field(repr=False)
    name: str = "events"
    path: str = EVENTS_PATH
    content_type: str = "application/json"
    acknowledgement: Acknowledgement = _ACKNOWLEDGEMENT

    def read(self, call: WebhookCall) -> StatusUpdate | Inbound | Unreadable | Forged:
        timestamp = call.headers.get(TIMESTAMP, "")
        if _UNIX_SECONDS.fullmatch(timestamp) is None:
            return Forged()
        if not self._is_signed(timestamp, call.body, call.headers.get(SIGNATURE, "")):
            return Forged()
        if abs(self.now().timestamp() - int(timestamp)) > FRESH_FOR.total_seconds():
            return Forged(code="stale")
        event = read_object(call.body)
        if event is None:
            return Unreadable(code="no_object")
        match text_of(event, "event"):
            case "status":
                return read_status(event)
            case "reply":
                return read_reply(event, self.words)
            case _:
                return Unreadable(code="no_event")

    def _is_signed(self, timestamp: str, body: bytes, signature: str) -> bool:
        genuine = False
        for secret in self.secrets:  # no early exit: the time taken does not show which secret matched
            expected = sign_event(secret, timestamp, body)
            genuine |= hmac.compare_digest(expected.encode("ascii"), signature.strip().encode("utf-8", "replace"))
        return genuine


def sign_event(secret: str, timestamp: str, body: bytes) -> str:
    """The signature header of a call."""
    digest = hmac.new(secret.encode("utf-8"), timestamp.encode("ascii") + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def read_status(event: dict[str, Any]) -> StatusUpdate | Unreadable:
    """The value of a status event. `Unreadable` with code `no_id` or `no_status` if one of these is missing."""
    message_id, status, name = message_id_of(event), text_of(event, "status"), text_of(event, "code")
    if message_id is None:
        return Unreadable(code="no_id")
    if not status:
        return Unreadable(code="no_status")
    key = text_of(event, "key")
    return StatusUpdate(
        message_id=message_id,
        status=STATUSES.get(status),
        failure=None if name is None else delivery_failure_of(name),
        outbox_id=key if key is not None and _KEY.fullmatch(key) else None,
    )


def read_reply(event: dict[str, Any], words: ReplyWords) -> Inbound | Unreadable:
    """The value of a reply event.

    `Unreadable` with code `no_sender` if `from` is not a telephone number, `no_recipient` if `to` is not usable, `no_id` for a
    START without id, because a repetition could not be recognised. A STOP without id takes effect.
    """
    phone, sender = text_of(event, "from") or "", text_of(event, "to") or ""
    if _E164.fullmatch(phone) is None:
        return Unreadable(code="no_sender")
    if _SENDER.fullmatch(sender) is None:
        return Unreadable(code="no_recipient")
    classified = _INTENTS.get((text_of(event, "intent") or "").lower())
    intended = classified or intent(text_of(event, "text") or "", words)
    message_id = message_id_of(event)
    if intended is Intent.START and message_id is None:
        return Unreadable(code="no_id")
    return reply_of(
        intended,
        text_of(event, "text") or "",
        phone=PhoneNumber(phone),
        senders=(sender,),
        message_id=message_id,
        classified=classified is not None,
    )
