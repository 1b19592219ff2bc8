"""The organisation's own numbers at Twilio: list, search, buy, and link to our webhook or a Messaging Service.

An operation that costs money or changes the account is first a `Plan`, a value to show (`--dry-run`) and to confirm. `apply`
carries it out with one request for each step and never repeats one. IncomingPhoneNumbers and AvailablePhoneNumbers of API
2010-04-01; services of Messaging v1. These numbers are senders, not patients, so they are shown in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from twilio.base.values import unset
from twilio.rest import Client

from notifier.twilio.http import answered, broken_off, never_left

NumberKind = Literal["local", "toll_free", "mobile"]

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_NUMBER_SID: Final = re.compile(r"PN[0-9a-fA-F]{32}")
_SERVICE_SID: Final = re.compile(r"MG[0-9a-fA-F]{32}")


class NumbersError(Exception):
    """Twilio did not carry out the request.

    Attributes:
        code: stable: refused | unclear | not_sent | not_owned | bad_argument.
        twilio_code: Twilio's error code; None if there was none.
    """

    def __init__(self, code: str, message: str, twilio_code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.twilio_code = twilio_code


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedNumber:
    """A number of the account. `sms_url`: where Twilio forwards patients' replies; empty: nowhere."""

    sid: str
    number: str
    name: str
    sms_url: str
    sms_capable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableNumber:
    """A number that may be bought."""

    number: str
    locality: str
    region: str
    country: str
    sms_capable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request. `costs`: it starts a monthly charge."""

    action: Literal["buy", "set_webhook", "attach_service"]
    number: str
    target: str = ""
    costs: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` will do, in order."""

    steps: tuple[Step, ...]

    @property
    def costs(self) -> bool:
        return any(step.costs for step in self.steps)


class TwilioNumbers:
    """The operations of `carebell numbers`. Each may raise NumbersError and never repeats a request."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> tuple[OwnedNumber, ...]:
        return tuple(_owned(number) for number in _ask(self._client.incoming_phone_numbers.list))

    def search(
        self,
        country: str,
        kind: NumberKind = "local",
        area_code: int | None = None,
        contains: str | None = None,
        limit: int = 20,
    ) -> tuple[AvailableNumber, ...]:
        """Numbers on sale that can text. `contains`: digits and `*`, as Twilio matches them."""
        if re.fullmatch("[A-Z]{2}", country) is None:
            raise NumbersError("bad_argument", "country is a two-letter code such as US")
        offers = _ask(
            lambda: getattr(self._client.available_phone_numbers(country), kind).list(
                area_code=unset if area_code is None else area_code,
                contains=contains or unset,
                sms_enabled=True,
                limit=limit,
            )
        )
        return tuple(_available(number) for number in offers)

    def plan_buy(self, number: str, webhook: str | None = None, service: str | None = None) -> Plan:
        """The plan to buy a number and link it at the same time."""
        _require(_E164, number, "a number is + and digits")
        return Plan((Step(action="buy", number=number, costs=True), *self.plan_link(number, webhook, service).steps))

    def plan_link(self, number: str, webhook: str | None = None, service: str | None = None) -> Plan:
        """The plan to link a number of the account: its replies to our webhook (https), or the number to a Messaging Service."""
        _require(_E164, number, "a number is + and digits")
        steps = []
        if webhook is not None:
            if not webhook.startswith("https://"):
                raise NumbersError("bad_argument", "a webhook is an https URL")
            steps.append(Step(action="set_webhook", number=number, target=webhook))
        if service is not None:
            _require(_SERVICE_SID, service, "a Messaging Service is MG and 32 hex digits")
            steps.append(Step(action="attach_service", number=number, target=service))
        return Plan(tuple(steps))

    def apply(self, plan: Plan, progress: Callable[[Step], None] = lambda step: None) -> OwnedNumber | None:
        """Carry out the plan; `progress` is called after each step. Returns the number's present state, None for an empty plan.

        A failed step ends it: earlier steps stay done, and a new plan contains the rest.
        """
        owned: OwnedNumber | None = None
        for step in plan.steps:
            owned = self._carry_out(step, owned)
            progress(step)
        return owned

    def _carry_out(self, step: Step, owned: OwnedNumber | None) -> OwnedNumber:
        if step.action != "buy":
            return self._link(step, owned or self._find(step.number))
        number = step.number
        return _owned(_ask(lambda: self._client.incoming_phone_numbers.create(phone_number=number)))

    def _link(self, step: Step, owned: OwnedNumber) -> OwnedNumber:
        if step.action == "set_webhook":
            number = self._client.incoming_phone_numbers(owned.sid)
            return _owned(_ask(lambda: number.update(sms_url=step.target, sms_method="POST")))
        service = self._client.messaging.v1.services(step.target)
        _ask(lambda: service.phone_numbers.create(phone_number_sid=owned.sid))
        return owned

    def _find(self, number: str) -> OwnedNumber:
        numbers = _ask(lambda: self._client.incoming_phone_numbers.list(phone_number=number, limit=1))
        if not numbers:
            raise NumbersError("not_owned", f"{number} is not a number of this account")
        return _owned(numbers[0])


def _require(pattern: re.Pattern[str], value: str, rule: str) -> None:
    if pattern.fullmatch(value) is None:
        raise NumbersError("bad_argument", rule)


def _ask(request: Callable[[], Any]) -> Any:
    """Run one request. NumbersError says how it failed."""
    try:
        return request()
    except Exception as error:  # the library raises more kinds than it documents
        answer = answered(error)
        if answer is not None and 400 <= answer[0] < 500 and answer[0] != 408:  # 408: a proxy gave up waiting
            raise NumbersError(
                "refused", f"Twilio refused: HTTP {answer[0]}, code {answer[1]}", answer[1] or None
            ) from None
        if never_left(error) is not None:
            raise NumbersError("not_sent", f"Twilio was not reached: {never_left(error)}") from None
        word = f"HTTP {answer[0]}" if answer is not None else broken_off(error)
        raise NumbersError(
            "unclear", f"no clear answer ({word}): look at `carebell numbers list` before trying again"
        ) from None


def _owned(number: Any) -> OwnedNumber:
    if not isinstance(number.sid, str) or _NUMBER_SID.fullmatch(number.sid) is None:
        raise NumbersError(
            "unclear", "no clear answer (unreadable_answer): look at `carebell numbers list` before trying again"
        )
    return OwnedNumber(
        sid=number.sid,
        number=str(number.phone_number),
        name=str(number.friendly_name or ""),
        sms_url=str(number.sms_url or ""),
        sms_capable=_texts(number.capabilities),
    )


def _available(number: Any) -> AvailableNumber:
    return AvailableNumber(
        number=str(number.phone_number),
        locality=str(number.locality or ""),
        region=str(number.region or ""),
        country=str(number.iso_country or ""),
        sms_capable=_texts(number.capabilities),
    )


def _texts(capabilities: object) -> bool:
    """Twilio writes the key `SMS` for numbers on sale and `sms` for owned ones."""
    return isinstance(capabilities, dict) and bool(capabilities.get("sms") or capabilities.get("SMS"))
