"""The simulated Twilio in the test's own thread: its account and ledger behind our gateway's port, no socket between.

What the connection would do is acted out as the real gateway reports it: a reset before anything was decided is ambiguous to us,
and so is every answer that never came whole. Webhooks are handed over by the test, when and in which order it likes.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from notifier.gateway import Accepted, Ambiguous, NotSent, Receipt, Refused, Resend, SentMessage, Sms
from notifier.twilio.codes import STATUSES, failure_of, refusal_of
from notifier.twilio.webhooks import SignedForm, read_status
from notifier.webhook import StatusUpdate
from parser.phone_number import PhoneNumber
from simulator.account import Account, AccountSettings, PendingWebhook
from simulator.faults import ScriptedFault
from simulator.ledger import Ledger
from simulator.messages import SimulatedSms
from simulator.refusals import ApiError

_HOW: Final[Mapping[ScriptedFault, str]] = {
    ScriptedFault.RESET_BEFORE: "reset",
    ScriptedFault.ERROR_500_BEFORE: "http_500",
    ScriptedFault.UNAVAILABLE: "http_503",
    ScriptedFault.ACCEPT_THEN_TIMEOUT: "read_timeout",
    ScriptedFault.ACCEPT_THEN_RESET: "reset",
    ScriptedFault.ERROR_500_AFTER: "http_500",
    ScriptedFault.HALF_RESPONSE: "half_answer",
}
REFUSED_CONNECTION: Final = "connection_refused"


@dataclass(slots=True)
class PocketTwilio:
    """A gateway whose truth is `ledger`.

    Attributes:
        before: called with each text before it is taken; may act, or raise.
        unreachable: sms -> whether the connection is refused.
        deaf: find and fetch get no answer.
    """

    now: Callable[[], datetime]
    settings: AccountSettings = field(default_factory=AccountSettings)
    before: Callable[[Sms], None] = lambda _: None
    unreachable: Callable[[Sms], bool] = lambda _: False
    deaf: bool = False
    resends: Resend = Resend.CANCELLATIONS
    asked: list[Sms] = field(default_factory=list)
    account: Account = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.account = Account(self.settings, rng=random.Random(1), now=self.now())

    @property
    def ledger(self) -> Ledger:
        return self.account.ledger

    def texts(self) -> Counter[str]:
        """Outbox id -> how many texts the simulated Twilio took for it."""
        return Counter(taken.marker or "" for taken in self.ledger.accepted)

    # The gateway's port

    def send(self, sms: Sms) -> Receipt:
        self.before(sms)
        if self.unreachable(sms):
            return NotSent(why=REFUSED_CONNECTION)
        form = {
            "To": sms.to.e164(),
            "Body": sms.body,
            "MessagingServiceSid" if sms.sender.startswith("MG") else "From": sms.sender,
            "StatusCallback": f"https://sms.lamna.example/twilio/status?m={sms.id}&a={sms.attempt}",
            "ValidityPeriod": str(max(6, min(36_000, int(sms.valid_for.total_seconds())))),
        }
        with self._lock:
            self.asked.append(sms)
            made = self.account.create(form, self.now())
        if made.fault is not None and made.fault in _HOW:
            return Ambiguous(why=_HOW[made.fault])
        if made.message is not None:
            return Accepted(message_id=made.message.sid, status=STATUSES[made.message.steps[0].status])
        assert made.refusal is not None
        return Refused(failure=refusal_of(made.refusal.code, made.refusal.status))

    def fetch(self, message_id: str) -> SentMessage | None:
        with self._lock:
            try:
                return self._seen(self.account.message(message_id), same=True)
            except ApiError:
                return None

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        if self.deaf:
            return None
        with self._lock:
            messages = [
                self._seen(message, same=message.body == sms.body)
                for message in self.account.messages
                if (message.to, message.service or message.sender) == (sms.to.e164(), sms.sender)
                and message.steps[0].at >= since
            ]
        return sorted(messages, key=lambda sent: not sent.same)

    def forget(self, message_id: str) -> bool:
        with self._lock:
            try:
                self.account.delete(message_id, self.now())
            except ApiError as refusal:
                return refusal.status == 404
        return True

    def close(self) -> None:
        return

    def _seen(self, message: SimulatedSms, *, same: bool) -> SentMessage:
        step = message.step(self.now())
        return SentMessage(
            message_id=message.sid,
            status=STATUSES.get(step.status),
            failure=failure_of(step.error_code) if step.error_code else None,
            to=PhoneNumber(message.to),
            body=message.body,
            sent_at=message.sent_at(self.now()),
            same=same,
        )

    # Its webhooks

    def mail(self) -> list[StatusUpdate]:
        """The status callbacks that are due, as our door reads them."""
        return statuses(self.account.webhooks_due(self.now()))


def statuses(webhooks: Sequence[PendingWebhook]) -> list[StatusUpdate]:
    read = []
    for webhook in webhooks:
        query = dict(pair.split("=", 1) for pair in webhook.url.partition("?")[2].split("&"))
        update = read_status(SignedForm(dict(webhook.fields), query))
        assert isinstance(update, StatusUpdate)
        read.append(update)
    return read
