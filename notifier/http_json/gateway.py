"""The HTTP gateway: posts each text as JSON with an idempotency key, and classifies the answers.

    taken          2xx with an id
    rejected       a word of the code table, or a 4xx: final, or until an account, a sender or an address is corrected
    later          429, 425, the words `rate_limited`, `unavailable`, `queue_full`
    ambiguous      a time-out, a reset, any other 5xx, 408, 409, half an answer

The key is the outbox row's id, the same for every attempt: the gateway takes a text once. So an ambiguous text is looked up by
its key, and posted again when the gateway does not know it (`Resend.ALWAYS`).
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from config.addresses import https_or_loopback
from notifier.gateway import (
    Accepted,
    Ambiguous,
    DeliveryStatus,
    GatewayUnavailableError,
    NotSent,
    Receipt,
    Refused,
    Resend,
    SentMessage,
    Sms,
)
from notifier.http_json.client import GatewayResponse, JsonClient
from notifier.http_json.codes import STATUSES, delivery_failure_of, refusal_of
from notifier.http_json.payload import message_id_of, read_object, text_of
from notifier.http_json.webhooks import EVENTS_PATH

_LONGEST_WAIT: Final = timedelta(hours=24)
_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_GONE: Final = (404, 410)
_NO_LOOK_UP: Final = (404, 405, 410, 501)
"""It does not know the key, or has no lookup. Then the key prevents that a second create becomes a second text."""
_AMBIGUOUS_4XX: Final = (408, 409)
"""A proxy gave up waiting, or an earlier request with this key is still being processed."""


class HttpJsonGateway:
    """The gateway at one URL.

    Args:
        url: where texts are posted, without a slash at the end; `<url>/<id>` is one text.
        public_url: where its webhooks reach Carebell, without a path; None: no webhooks are requested.

    Raises:
        ValueError: the URL would carry the token and telephone numbers in the clear.
    """

    def __init__(self, client: JsonClient, url: str, public_url: str | None) -> None:
        self._client = client
        self._url = https_or_loopback(url)
        self._events_url = None if public_url is None else public_url.rstrip("/") + EVENTS_PATH

    @property
    def resends(self) -> Resend:
        return Resend.ALWAYS

    def send(self, sms: Sms) -> Receipt:
        text: dict[str, Any] = {
            "to": sms.to.e164(),
            "from": sms.sender,
            "text": sms.body,
            "segments": sms.segments,
            "valid_seconds": max(1, int(sms.valid_for.total_seconds())),
        }
        if self._events_url is not None:
            text["events_url"] = self._events_url
        body = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
        answer = self._client.request("POST", self._url, body=body, headers={"Idempotency-Key": sms.id})
        return _receipt(answer) if isinstance(answer, GatewayResponse) else answer

    def fetch(self, message_id: str) -> SentMessage | None:
        answer = self._client.request("GET", self._message_url(message_id))
        if isinstance(answer, GatewayResponse) and answer.status in _GONE:
            return None
        sent = _sent(answer)
        if sent is None:
            raise GatewayUnavailableError(_word(answer))
        return sent

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        """The text with this key. Numbers and time need no comparison."""
        answer = self._client.request("GET", f"{self._url}?{urlencode({'key': sms.id})}")
        if isinstance(answer, GatewayResponse) and answer.status in _NO_LOOK_UP:
            return []
        sent = _sent(answer)
        return None if sent is None else [sent]

    def forget(self, message_id: str) -> bool:
        answer = self._client.request("DELETE", self._message_url(message_id))
        return isinstance(answer, GatewayResponse) and (200 <= answer.status < 300 or answer.status in _GONE)

    def close(self) -> None:
        self._client.close()

    def _message_url(self, message_id: str) -> str:
        return f"{self._url}/{quote(message_id, safe='')}"


def _receipt(answer: GatewayResponse) -> Receipt:
    """The receipt of a create that was answered."""
    values = read_object(answer.body) or {}
    if 200 <= answer.status < 300:
        return _taken(values)
    name = text_of(values, "code")
    # In the protocol "unavailable" means not taken. After any other 5xx the text may have been taken.
    refused = 300 <= answer.status < 500 and answer.status not in _AMBIGUOUS_4XX
    if refused or (answer.status == 503 and name == "unavailable"):
        return Refused(failure=refusal_of(name, answer.status), retry_after=_retry_after(answer.retry_after))
    return Ambiguous(why=f"http_{answer.status}")


def _taken(values: dict[str, Any]) -> Receipt:
    message_id = message_id_of(values)
    if message_id is None:
        return Ambiguous(why="unreadable_answer")
    status = STATUSES.get(text_of(values, "status") or "", DeliveryStatus.ACCEPTED)
    if status in (DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED):
        return Refused(failure=delivery_failure_of(text_of(values, "code") or "undelivered"))
    return Accepted(message_id=message_id, status=status)


def _sent(answer: GatewayResponse | NotSent | Ambiguous) -> SentMessage | None:
    """The message in the answer to a lookup; None: the answer is not usable."""
    if not isinstance(answer, GatewayResponse) or not 200 <= answer.status < 300:
        return None
    values = read_object(answer.body) or {}
    message_id, name = message_id_of(values), text_of(values, "code")
    if message_id is None:
        return None
    return SentMessage(
        message_id=message_id,
        status=STATUSES.get(text_of(values, "status") or ""),
        failure=None if name is None else delivery_failure_of(name),
    )


def _retry_after(written: str | None) -> timedelta | None:
    """The header in seconds. Its other form, a date, is ignored."""
    if written is None or _SECONDS.fullmatch(written.strip()) is None:
        return None
    return min(timedelta(seconds=int(written)), _LONGEST_WAIT)


def _word(answer: GatewayResponse | NotSent | Ambiguous) -> str:
    if not isinstance(answer, GatewayResponse):
        return answer.why
    return f"http_{answer.status}" if not 200 <= answer.status < 300 else "unreadable_answer"
