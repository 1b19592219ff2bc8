"""The Twilio gateway: sends through the `twilio` client, and classifies answers as refused, not sent or ambiguous.

Twilio's POST /Messages has no idempotency key, so one call makes at most one request, and everything that is not a clear answer
is `Ambiguous`: a time-out while reading, a reset, any 5xx (also 503 with 20503), an incomplete or unreadable answer. 4xx with
Twilio's code is `Refused`. See sms.md, "Sending".

No exception holds a number or a body; `why` is always one fixed word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from twilio.base.values import unset
from twilio.rest import Client

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
from notifier.twilio.codes import NOT_YET_FINAL, STATUSES, failure_of, refusal_of
from notifier.twilio.http import BoundedHttpClient, answered, broken_off, never_left
from notifier.twilio.webhooks import STATUS_PATH
from parser.phone_number import PhoneNumber

VALIDITY: Final = (6, 36_000)
"""Seconds; Twilio takes 1 to 36000 and advises more than 5."""
_MESSAGE_SID: Final = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
# Twilio's clock may differ from ours, and its times are whole seconds; short enough to exclude an earlier attempt (30003: 60 s).
_SKEW: Final = timedelta(seconds=5)
_RECENT: Final = 20


class TwilioGateway:
    """The gateway for one account.

    Args:
        client: from `notifier.twilio.http.make_client`, with `http`.
        public_url: where Twilio's callbacks reach Carebell, without a path; None: no callbacks are requested.
        resends: NEVER or CANCELLATIONS, because Twilio's list of messages may show an accepted text late.
    """

    def __init__(
        self,
        client: Client,
        http: BoundedHttpClient,
        public_url: str | None,
        resends: Resend = Resend.CANCELLATIONS,
    ) -> None:
        self._client = client
        self._http = http
        self._public_url = public_url.rstrip("/") if public_url else None
        self._resends = resends

    @property
    def resends(self) -> Resend:
        return self._resends

    def send(self, sms: Sms) -> Receipt:
        service = sms.sender.startswith("MG")
        try:
            message = self._client.messages.create(
                to=sms.to.e164(),
                body=sms.body,
                from_=unset if service else sms.sender,
                messaging_service_sid=sms.sender if service else unset,
                status_callback=self._callback(sms) or unset,
                validity_period=_validity(sms.valid_for),
            )
        except (
            Exception
        ) as error:  # the library raises KeyError, AttributeError and more on odd answers; all must be classified
            return _classify(error)
        if not isinstance(message.sid, str) or _MESSAGE_SID.fullmatch(message.sid) is None:
            return Ambiguous(why="unreadable_answer")
        return Accepted(message_id=message.sid, status=STATUSES.get(str(message.status), DeliveryStatus.ACCEPTED))

    def fetch(self, message_id: str) -> SentMessage | None:
        try:
            return _sent(self._client.messages(message_id).fetch())
        except Exception as error:
            if (answered(error) or (0, 0))[0] == 404:
                return None
            raise GatewayUnavailableError(_word(error)) from None

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        """Texts to this number from this sender created at or after `since`, those with this body first; None: Twilio did not say.

        The first lookup is narrowed by DateSent, which is empty until a text has left the queue. So a second lookup reads the
        newest texts of this number, whatever their state.
        """
        service = sms.sender.startswith("MG")
        between = {"to": sms.to.e164(), "from_": unset if service else sms.sender, "limit": _RECENT}
        earliest = since.astimezone(UTC) - _SKEW
        try:
            messages = _matching(self._client.messages.list(**between, date_sent_after=earliest), sms, earliest)
            if not any(message.same for message in messages):
                messages = _matching(self._client.messages.list(**between), sms, earliest)
        except Exception:  # after any failure Twilio cannot say
            return None
        return messages

    def forget(self, message_id: str) -> bool:
        try:
            deleted = self._client.messages(message_id).delete()
        except Exception as error:
            status, code = answered(error) or (0, 0)
            return status == 404 and code != NOT_YET_FINAL
        return bool(deleted)

    def close(self) -> None:
        self._http.close()

    def _callback(self, sms: Sms) -> str | None:
        """The callback URL. `m` is the outbox row's random id: with it a callback resolves a send whose answer was lost."""
        if self._public_url is None:
            return None
        return f"{self._public_url}{STATUS_PATH}?{urlencode({'m': sms.id, 'a': sms.attempt})}"


def _validity(useful: timedelta) -> int:
    shortest, longest = VALIDITY
    return max(shortest, min(longest, int(useful.total_seconds())))


def _classify(error: Exception) -> Receipt:
    """The receipt of a create that raised."""
    answer = answered(error)
    if answer is None:
        reason = never_left(error)
        return NotSent(why=reason) if reason else Ambiguous(why=broken_off(error))
    status, code = answer
    if status == 407:  # a proxy requires credentials
        return NotSent(why="proxy_refused")
    if 400 <= status < 500 and status != 408:  # 408: a proxy gave up waiting
        return Refused(failure=refusal_of(code, status))
    return Ambiguous(why=f"http_{status}")


def _word(error: Exception) -> str:
    answer = answered(error)
    return f"http_{answer[0]}" if answer else never_left(error) or broken_off(error)


def _sent(message: Any, *, same: bool = True) -> SentMessage:
    """A message of Twilio's log. AttributeError, TypeError: it is not a message."""
    code = message.error_code
    return SentMessage(
        message_id=str(message.sid),
        status=STATUSES.get(str(message.status)),
        failure=failure_of(code) if isinstance(code, int) and code else None,
        to=PhoneNumber(str(message.to)),
        body=message.body,
        sent_at=message.date_sent,
        same=same,
    )


def _matching(messages: Iterable[Any], sms: Sms, earliest: datetime) -> list[SentMessage]:
    """Outbound messages between these numbers. A trial account puts a sentence of Twilio before the body."""
    matching = []
    for message in messages:
        created_at = message.date_created or message.date_sent
        to_patient = str(message.direction or "").startswith("outbound") and message.to == sms.to.e164()
        sender = message.messaging_service_sid if sms.sender.startswith("MG") else message.from_
        same = isinstance(message.body, str) and bool(sms.body) and message.body.endswith(sms.body)
        if to_patient and sender == sms.sender and (created_at is None or created_at >= earliest):
            matching.append(_sent(message, same=same))
    return sorted(matching, key=lambda sent: not sent.same)
