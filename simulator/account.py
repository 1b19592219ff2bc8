"""One simulated Twilio account: it takes requests' values, stores messages, numbers and opt-outs, and returns the webhooks due.

It has no socket and no clock: every method gets `now`. `simulator.routes` maps HTTP to it, `simulator.twilio_api` moves the bytes.
Out of scope, on purpose: media, scheduling (SendAt), Twilio's automatic answers to STOP and HELP (real patients get them from
Twilio; here nobody would read them), prices, subaccounts and API keys.
"""

from __future__ import annotations

import heapq
import itertools
import random
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from simulator.account_numbers import NumberBook
from simulator.faults import ACCEPTS, FaultPlan, ScriptedFault
from simulator.ledger import Ledger, Purchase, Received, Taken
from simulator.messages import VERSION, SimulatedSms
from simulator.outcomes import CallbackMode, SimulatedOutcome, StatusStep, at_once, callbacks, timeline
from simulator.refusals import ApiError
from simulator.segments import count_segments
from simulator.senders import LONGEST_QUEUE, OptOutList, SenderRates

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NORTH_AMERICA = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{5,6}")
_LONGEST_VALIDITY = 36_000
_REFUSED_BY_FAULT = {
    ScriptedFault.RESET_BEFORE: None,
    ScriptedFault.ERROR_500_BEFORE: 20500,
    ScriptedFault.TOO_MANY_REQUESTS: 20429,
    ScriptedFault.UNAVAILABLE: 20503,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """The account's initial state.

    Attributes:
        numbers: owned senders, E.164 or short codes. voice_only: owned ones that cannot text (21606).
        services: Messaging Service SID -> its numbers, which must be owned.
        inbound_url: where inbound texts go when the number has no SmsUrl of its own; "" for nowhere.
        segments_per_second: sender -> rate; default by kind of number.
        create_limit: create requests a second and sender; None: unlimited.
        advanced_opt_out: inbound webhooks carry OptOutType.
    """

    account_sid: str = "AC" + "0" * 32
    auth_token: str = field(default="simulated-token", repr=False)
    numbers: tuple[str, ...] = ("+14255550100", "+14255550101")
    voice_only: tuple[str, ...] = ()
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inbound_url: str = ""
    segments_per_second: Mapping[str, float] = field(default_factory=dict)
    create_limit: int | None = None
    advanced_opt_out: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingWebhook:
    """One signed POST that is to reach us. Webhooks of one `lane` (a message) arrive in order, those of others beside it."""

    url: str
    fields: Mapping[str, str] = field(repr=False)
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The result of a create request.

    Attributes:
        message: None where it was refused. refusal: the error's payload owner, or None.
        fault: to be acted out on the connection. first: webhooks that must arrive before the answer leaves.
    """

    message: SimulatedSms | None
    refusal: ApiError | None = None
    fault: ScriptedFault | None = None
    first: tuple[PendingWebhook, ...] = ()


class Account:
    """The account's state. Used from one thread; the ledger may be read from any."""

    def __init__(self, settings: AccountSettings, *, rng: random.Random, now: datetime) -> None:
        self.settings = settings
        self.ledger = Ledger()
        self.numbers = NumberBook(settings.account_sid, rng)
        self.opt_outs = OptOutList()
        self.services = {sid: list(pool) for sid, pool in settings.services.items()}
        self.script: dict[str, SimulatedOutcome] = {}
        self.otherwise = SimulatedOutcome()
        self.mode = CallbackMode.ON_TIME
        self.faults = FaultPlan()
        self._rng = rng
        self._rates = SenderRates(settings.segments_per_second, settings.create_limit)
        self._messages: dict[str, SimulatedSms] = {}
        self._requests = itertools.count(1)
        self._due: list[tuple[datetime, int, PendingWebhook]] = []
        self._order = itertools.count()
        for number in (*settings.numbers, *settings.voice_only):
            self.numbers.add(number, now, sms=number not in settings.voice_only)

    # Messages ------------------------------------------------------------------------------------------------------------

    @property
    def messages(self) -> tuple[SimulatedSms, ...]:
        """Oldest first, deleted ones gone."""
        return tuple(self._messages.values())

    def create(self, form: Mapping[str, str], now: datetime, *, authentic: bool = True) -> Created:
        """Handle a create request: with or without a fault, accepted or refused. Every request is in the ledger."""
        number, to = next(self._requests), form.get("To", "")
        if not authentic:
            self._record(number, form, now, refusal=(refusal := ApiError(20003)))
            return Created(message=None, refusal=refusal)
        fault = self.faults.next_create(number, to)
        if fault is not None and fault not in ACCEPTS:
            code = _REFUSED_BY_FAULT[fault]
            refused = None if code is None else ApiError(code)
            self._record(number, form, now, refusal=refused, fault=fault)
            return Created(message=None, refusal=refused, fault=fault)
        try:
            outcome, sender = self._check(form, now)
        except ApiError as error:
            self._record(number, form, now, refusal=error, fault=fault)
            return Created(message=None, refusal=error, fault=fault)
        message, first = self._accept(form, sender, outcome, now)
        self._record(number, form, now, message=message, fault=fault)
        return Created(message=message, fault=fault, first=first)

    def _check(self, form: Mapping[str, str], now: datetime) -> tuple[SimulatedOutcome, str]:
        """The recipient's outcome and the number it leaves from. ApiError as Twilio would refuse."""
        to, sender, service = form.get("To", ""), form.get("From", ""), form.get("MessagingServiceSid", "")
        for missing, code in ((to, 21604), (sender or service, 21603), (form.get("Body", ""), 21602)):
            if not missing:
                raise ApiError(code)
        if len(form["Body"]) > 1600:
            raise ApiError(21617)
        if _E164.fullmatch(to) is None or (to.startswith("+1") and _NORTH_AMERICA.fullmatch(to) is None):
            raise ApiError(21211)
        sender = self._sender(to, sender, service)
        callback = form.get("StatusCallback", "")
        if callback and (urlsplit(callback).scheme not in ("http", "https") or not urlsplit(callback).hostname):
            raise ApiError(21609)
        validity = form.get("ValidityPeriod", "1")
        if not validity.isascii() or not validity.isdigit() or not 1 <= int(validity) <= _LONGEST_VALIDITY:
            raise ApiError(21624)
        outcome = self.script.get(to, self.otherwise)
        if outcome.refuse is not None:
            raise ApiError(outcome.refuse)
        if self.opt_outs.blocks(service or sender, to):
            raise ApiError(21610)
        if self._rates.too_fast(sender, now):
            raise ApiError(20429)
        if self._rates.wait(sender, now) > LONGEST_QUEUE:
            raise ApiError(21611)
        return outcome, sender

    def _sender(self, to: str, sender: str, service: str) -> str:
        """The owned number that carries the text; a Messaging Service keeps to one number for each recipient."""
        if service:
            if service not in self.services:
                raise ApiError(21701)
            pool = [n for n in self.services[service] if self.numbers.holder(n)]
            if not pool:
                raise ApiError(21703)
            return pool[zlib.crc32(to.encode()) % len(pool)]
        if sender == to:
            raise ApiError(21266)
        if _SENDER.fullmatch(sender) is None:
            raise ApiError(21212)
        owned = self.numbers.holder(sender)
        if owned is None:
            raise ApiError(21659)
        if not owned.sms:
            raise ApiError(21606)
        return sender

    def _accept(
        self, form: Mapping[str, str], sender: str, outcome: SimulatedOutcome, now: datetime
    ) -> tuple[SimulatedSms, tuple[PendingWebhook, ...]]:
        segments, service = count_segments(form["Body"]), form.get("MessagingServiceSid") or None
        wait = self._rates.wait(sender, now)
        valid_for = timedelta(seconds=int(form.get("ValidityPeriod", _LONGEST_VALIDITY)))
        steps = timeline(outcome, accepted=now, wait=wait, valid_for=valid_for, service=service is not None)
        if wait <= valid_for:
            self._rates.occupy(sender, segments, now)
        mode = outcome.callbacks or self.mode
        if mode is CallbackMode.BEFORE_RESPONSE:
            steps = at_once(steps)
        message = SimulatedSms(
            sid=self._sid("SM"),
            account_sid=self.settings.account_sid,
            to=form["To"],
            sender=sender,
            service=service,
            body=form["Body"],
            segments=segments,
            steps=steps,
        )
        self._messages[message.sid] = message
        url = form.get("StatusCallback")
        webhooks = (
            [(s.at, self._status_webhook(message, s, url)) for s in callbacks(steps, mode, outcome.late)] if url else []
        )
        if mode is CallbackMode.BEFORE_RESPONSE:
            return message, tuple(webhook for _, webhook in webhooks)
        for at, webhook in webhooks:
            self._plan(at, webhook)
        return message, ()

    def _record(
        self,
        number: int,
        form: Mapping[str, str],
        now: datetime,
        *,
        message: SimulatedSms | None = None,
        refusal: ApiError | None = None,
        fault: ScriptedFault | None = None,
    ) -> None:
        status = 201 if message is not None else None if refusal is None else refusal.status
        self.ledger.write(
            Received(
                number=number,
                time=now,
                to=form.get("To", ""),
                sender=form.get("From") or form.get("MessagingServiceSid", ""),
                body=form.get("Body", ""),
                params=dict(form),
                fault=None if fault is None else fault.value,
                status=500 if fault is ScriptedFault.ERROR_500_AFTER else status,
                code=None if refusal is None else refusal.code,
                sid=None if message is None else message.sid,
            )
        )
        if message is not None:
            self.ledger.write(
                Taken(
                    sid=message.sid,
                    time=now,
                    to=message.to,
                    sender=message.sender,
                    service=message.service,
                    body=message.body,
                    segments=message.segments,
                    params=dict(form),
                    request=number,
                )
            )

    def message(self, sid: str) -> SimulatedSms:
        """ApiError 20404 where there is no such message (any more)."""
        if sid not in self._messages:
            raise ApiError(20404)
        return self._messages[sid]

    def change(self, sid: str, form: Mapping[str, str], now: datetime) -> SimulatedSms:
        """Redact. ApiError 20009 before the final status, 30409 for a cancellation (nothing here is ever scheduled), 20001
        for anything but an empty Body."""
        message = self.message(sid)
        if form.get("Status") == "canceled":
            raise ApiError(30409)
        if form.get("Body", "?") != "":
            raise ApiError(20001)
        if not message.final(now):
            raise ApiError(20009)
        message.body = ""
        return message

    def delete(self, sid: str, now: datetime) -> None:
        """ApiError 20404, or 20009 before the final status."""
        if not self.message(sid).final(now):
            raise ApiError(20009)
        del self._messages[sid]

    # Numbers -------------------------------------------------------------------------------------------------------------

    def buy(self, form: Mapping[str, str], now: datetime) -> dict[str, object]:
        owned = self.numbers.buy(form, now)
        self.ledger.write(Purchase(time=now, number=owned.number))
        return owned.as_json(self.settings.account_sid)

    def release(self, sid: str, now: datetime) -> None:
        self.ledger.write(Purchase(time=now, number=self.numbers.release(sid), released=True))

    def join_service(self, service: str, number_sid: str, now: datetime) -> dict[str, object]:
        """Put an owned number into a Messaging Service's pool. ApiError 20404, or 21710: it is in there already."""
        if service not in self.services:
            raise ApiError(20404)
        owned = self.numbers.get(number_sid)
        if owned.number in self.services[service]:
            raise ApiError(21710)
        self.services[service].append(owned.number)
        return {
            "account_sid": self.settings.account_sid,
            "capabilities": ["SMS", "MMS", "Voice"],
            "country_code": "US",
            "date_created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "date_updated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "phone_number": owned.number,
            "service_sid": service,
            "sid": owned.sid,
            "url": f"https://messaging.twilio.com/v1/Services/{service}/PhoneNumbers/{owned.sid}",
        }

    # The outside world ---------------------------------------------------------------------------------------------------

    def receive(self, patient: str, to: str, body: str, now: datetime) -> str | None:
        """A patient's text to one of our numbers, or to a Messaging Service. Returns OptOutType. ApiError 20404: not ours."""
        service = to if to in self.services else None
        number = self._sender(patient, "", service) if service else to
        owned = self.numbers.holder(number)
        if owned is None or _E164.fullmatch(patient) is None:
            raise ApiError(20404)
        service = service or next((sid for sid, pool in self.services.items() if number in pool), None)
        kind = self.opt_outs.hear(patient, (number,) if service is None else (service, number), body)
        message = SimulatedSms(
            sid=self._sid("SM"),
            account_sid=self.settings.account_sid,
            to=number,
            sender=patient,
            service=service,
            body=body,
            segments=count_segments(body),
            steps=(StatusStep(at=now, status="received"),),
            direction="inbound",
        )
        self._messages[message.sid] = message
        if url := owned.sms_url or self.settings.inbound_url:
            fields = self._about(message) | {"Body": body, "SmsMessageSid": message.sid, "SmsStatus": "received"}
            fields |= {"NumMedia": "0", "NumSegments": str(message.segments), "ToCountry": "US", "FromCity": ""}
            if kind is not None and self.settings.advanced_opt_out:
                fields["OptOutType"] = kind
            self._plan(now, PendingWebhook(url=url, fields=fields, lane=message.sid))
        return kind

    def webhooks_due(self, now: datetime) -> list[PendingWebhook]:
        """Those whose time has come, in order; each is handed out once."""
        ready = []
        while self._due and self._due[0][0] <= now:
            ready.append(heapq.heappop(self._due)[2])
        return ready

    def _plan(self, at: datetime, webhook: PendingWebhook) -> None:
        heapq.heappush(self._due, (at, next(self._order), webhook))

    def _status_webhook(self, message: SimulatedSms, step: StatusStep, url: str) -> PendingWebhook:
        fields = self._about(message) | {"MessageStatus": step.status, "SmsStatus": step.status}
        if step.error_code is not None:
            fields["ErrorCode"] = str(step.error_code)
        return PendingWebhook(url=url, fields=fields, lane=message.sid)

    def _about(self, message: SimulatedSms) -> dict[str, str]:
        fields = {
            "AccountSid": message.account_sid,
            "ApiVersion": VERSION,
            "From": message.sender,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "To": message.to,
        }
        return fields if message.service is None else fields | {"MessagingServiceSid": message.service}

    def _sid(self, prefix: str) -> str:
        return f"{prefix}{self._rng.getrandbits(128):032x}"
