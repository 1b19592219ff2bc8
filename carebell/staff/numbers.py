"""What the page Your phone numbers asks for: the account at Twilio, asked now, and orders that are carried out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from carebell import account_numbers
from carebell.account_numbers import NumberInUse
from carebell.staff.number_orders import KeptOrder, NumberOrders
from carebell.staff.people_context import author_of
from config.load import Loaded
from config.problems import ConfigurationError
from notifier.twilio.numbers import NumbersError, Plan, Step
from portal.pages.numbers_desk import (
    AccountNumbers,
    GatewayProblem,
    NumberOffer,
    NumberOrder,
    NumberRow,
    NumberWish,
    OrderAction,
)
from portal.people import Browser, Session
from store.audit import Author
from store.engine import Store
from store.vault import Vault

MOST_OFFERS: Final = 20
LONGEST_WAY: Final = timedelta(minutes=2)
"""After that an order that is under way is taken for one whose end nobody saw, such as in a service that was stopped."""
_MONEY: Final = "no clear answer"
"""In the audit log, behind a purchase that may have been made."""

REFUSALS: Final[Mapping[int, GatewayProblem]] = {
    20003: GatewayProblem(
        sentence="Twilio does not accept this account's SID or token.",
        remedy="Check gateway.twilio.account_sid and auth_token_file.",
    ),
    20404: GatewayProblem(
        sentence="Twilio has nothing of this kind in this country.", remedy="Choose another kind of number."
    ),
    20429: GatewayProblem(sentence="Twilio is asked too often at this moment.", remedy="Try again in a minute."),
    21421: GatewayProblem(sentence="Twilio says that this is no telephone number.", remedy="Choose one of the list."),
    21422: GatewayProblem(sentence="This number is not for sale any more.", remedy="Choose another one."),
    21451: GatewayProblem(sentence="There is no such area code.", remedy="Try another one."),
    21452: GatewayProblem(sentence="No number of this area code is for sale.", remedy="Try another one."),
    21613: GatewayProblem(
        sentence="The law of this number's country asks for an address.",
        remedy="Add it in Twilio's console, and buy the number there; then link it here.",
    ),
    21631: GatewayProblem(
        sentence="The law of this number's country asks for an address.",
        remedy="Add it in Twilio's console, and buy the number there; then link it here.",
    ),
}
"""Twilio's error code -> what it means here. Source: Twilio's error dictionary (twilio.com/docs/api/errors); the words are ours."""


@dataclass(slots=True, kw_only=True)
class StaffNumbers:
    """Implements `portal.pages.numbers_desk.NumbersDesk`.

    Attributes:
        loaded: the configuration in force.
        now: UTC.
    """

    loaded: Callable[[], Loaded]
    store: Store
    vault: Vault
    now: Callable[[], datetime]
    _known: tuple[str, ...] = field(default=(), init=False)

    def known(self) -> Sequence[str]:
        """Numbers that can text, as far as Twilio was asked since the service started."""
        return self._known

    def environments(self) -> Sequence[str]:
        return list(self.loaded().configuration.environments)

    def account(self) -> AccountNumbers:
        loaded = self.loaded()
        try:
            webhook = account_numbers.webhook_of(loaded)
            numbers = self._numbers(loaded)
        except (ConfigurationError, NumbersError) as error:
            return AccountNumbers(problem=problem_of(error))
        have = {number.owned.number for number in numbers}
        senders: dict[str, list[str]] = {}
        for name, environment in loaded.configuration.environments.items():
            if environment.sms.sender.startswith("+") and environment.sms.sender not in have:
                senders.setdefault(environment.sms.sender, []).append(name)
        return AccountNumbers(
            rows=[_row(number, webhook) for number in numbers],
            missing=list(senders.items()),
            can_link=webhook is not None,
        )

    def search(self, wish: NumberWish) -> Sequence[NumberOffer] | GatewayProblem:
        try:
            with account_numbers.opened_account(self.loaded()) as numbers:
                offers = numbers.search(
                    wish.country,
                    account_numbers.KINDS[wish.kind],
                    wish.area_code,
                    wish.contains or None,
                    MOST_OFFERS,
                )
        except (ConfigurationError, NumbersError) as error:
            return problem_of(error)
        return [NumberOffer(number=offer.number, place=offer.locality, region=offer.region) for offer in offers]

    def order(self, by: Session, action: OrderAction, number: str, at: datetime) -> str | GatewayProblem:
        try:
            plan = self._plan(action, number)
        except (ConfigurationError, NumbersError) as error:
            return problem_of(error)
        if not plan.steps:
            return GatewayProblem(
                sentence="There is no address that patients' replies could go to.",
                remedy="Set gateway.twilio.public_url first.",
            )
        return self._orders.add(by, action, plan, at)

    def find(self, order: str, by: Session, at: datetime) -> NumberOrder | None:
        kept = self._orders.find(order, by, at)
        if kept is None:
            return None
        if kept.state == "under_way" and kept.begun_at is not None and at - kept.begun_at > LONGEST_WAY:
            kept = replace(kept, state="unclear", problem=_UNSEEN)
        return NumberOrder(
            id=kept.id,
            action=kept.action,
            number=kept.plan.steps[0].number,
            state=kept.state,
            steps=[(_in_words(step), place < kept.done) for place, step in enumerate(kept.plan.steps)],
            costs=kept.plan.costs,
            problem=kept.problem,
            is_owned=self._is_owned(kept) if kept.state == "unclear" else None,
        )

    def carry_out(self, order: str, by: Session, browser: Browser, at: datetime) -> bool:
        begun = self._orders.begin(order, by, at)
        if begun is None:
            return self._orders.find(order, by, at) is not None
        author, ended = author_of(by, browser), begun
        try:
            if self._plan(begun.action, begun.plan.steps[0].number) != begun.plan:
                ended = replace(begun, state="failed", problem=_OTHER_ADDRESS)
            else:
                ended = self._carried_out(begun, author)
        except ConfigurationError as error:
            ended = replace(begun, state="failed", problem=problem_of(error))
        with self.store.write() as conn:
            self._orders.keep(conn, ended, self.now())
            if ended.state == "unclear":
                step, at = ended.plan.steps[ended.done], self.now()
                account_numbers.record(conn, author, step, after=f"{step.target} {_MONEY}".strip(), at=at)
        return True

    def _carried_out(self, begun: KeptOrder, author: Author) -> KeptOrder:
        """The order as far as it came; each step is noted, and recorded, when it is done. Raises ConfigurationError."""
        order = begun

        def note(step: Step) -> None:
            nonlocal order
            order = replace(order, done=order.done + 1)
            with self.store.write() as conn:
                self._orders.keep(conn, order, self.now())
                account_numbers.record(conn, author, step, at=self.now())

        loaded = self.loaded()
        with account_numbers.opened_account(loaded) as numbers:
            try:
                owned = numbers.apply(begun.plan, progress=note)
            except NumbersError as error:
                return _ended(order, error)
        if owned is not None and owned.sms_capable:
            self._known = tuple(dict.fromkeys([*self._known, owned.number]))
        return replace(order, state="done")

    @property
    def _orders(self) -> NumberOrders:
        return NumberOrders(store=self.store, vault=self.vault)

    def _plan(self, action: OrderAction, number: str) -> Plan:
        """Raises ConfigurationError, NumbersError."""
        loaded = self.loaded()
        webhook = account_numbers.webhook_of(loaded)
        with account_numbers.opened_account(loaded) as numbers:
            return numbers.plan_buy(number, webhook) if action == "buy" else numbers.plan_link(number, webhook)

    def _numbers(self, loaded: Loaded) -> Sequence[NumberInUse]:
        """Raises ConfigurationError, NumbersError."""
        with account_numbers.opened_account(loaded) as numbers:
            have = account_numbers.in_use(numbers, loaded)
        self._known = tuple(number.owned.number for number in have if number.owned.sms_capable)
        return have

    def _is_owned(self, kept: KeptOrder) -> bool | None:
        try:
            have = self._numbers(self.loaded())
        except (ConfigurationError, NumbersError):
            return None
        return any(number.owned.number == kept.plan.steps[0].number for number in have)


_UNSEEN: Final = GatewayProblem(
    sentence="Nobody saw how this ended: the service was stopped, or Twilio took very long.",
    remedy="Look at what the account has before you do anything again.",
)
_OTHER_ADDRESS: Final = GatewayProblem(
    sentence="The address for patients' replies was changed since this page was made. Nothing was done.",
    remedy="Begin again.",
)


def problem_of(error: ConfigurationError | NumbersError) -> GatewayProblem:
    """In words for somebody in a browser."""
    if isinstance(error, ConfigurationError):
        return GatewayProblem(
            sentence="No account at Twilio can be used with this configuration.",
            remedy=" ".join(f"{problem.key}: {problem.why}." for problem in error.problems),
        )
    if error.code == "refused":
        known = REFUSALS.get(error.twilio_code or 0)
        return known or GatewayProblem(
            sentence=f"Twilio refused ({error.twilio_code or 'without a code'}).",
            remedy="Twilio's error dictionary and its console say why.",
        )
    if error.code == "not_sent":
        return GatewayProblem(
            sentence=f"{error}.".replace("_", " "), remedy="Try again later; `carebell doctor` looks at the way there."
        )
    if error.code == "unclear":
        return GatewayProblem(
            sentence="Twilio gave no clear answer.", remedy="Look at what the account has before you do anything again."
        )
    return GatewayProblem(sentence=f"{error}.", remedy="Choose a number of the list.")


def _ended(order: KeptOrder, error: NumbersError) -> KeptOrder:
    """An order that did not come to its end, with what was done nevertheless."""
    problem = problem_of(error)
    if order.done:
        remedy = "The number was bought. What is missing can be done again: press Link it on Your phone numbers."
        problem = replace(problem, remedy=remedy)
    if error.code == "unclear":
        return replace(order, state="unclear", problem=problem)
    nothing = "" if order.done else " Nothing was bought." if order.plan.costs else " Nothing was changed."
    return replace(order, state="failed", problem=replace(problem, sentence=problem.sentence + nothing))


def _in_words(step: Step) -> str:
    words = account_numbers.in_words(step)
    return words[0].upper() + words[1:]


def _row(number: NumberInUse, webhook: str | None) -> NumberRow:
    owned = number.owned
    return NumberRow(
        number=owned.number,
        name=owned.name,
        texts=owned.sms_capable,
        environments=number.environments,
        answers_go_to=owned.sms_url,
        answers_reach_us=bool(owned.sms_url) and owned.sms_url == webhook,
    )
