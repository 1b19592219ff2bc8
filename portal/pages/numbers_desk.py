"""What the page Your phone numbers asks for: the account's numbers, those for sale, and orders.

An order is what is done at the gateway, written down before it is done: it is shown with its price, carried out once however often
the form is sent, and says afterwards how far it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from portal.people import Browser, Session

OrderAction = Literal["buy", "link"]
OrderState = Literal["ready", "under_way", "done", "failed", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayProblem:
    """What the gateway, or the configuration, says against it. `remedy`: what to do."""

    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRow:
    """One number of the account.

    Attributes:
        name: as it is called at the gateway.
        texts: whether it can text.
        environments: those that send from it.
        answers_go_to: where the gateway forwards patients' replies; "": nowhere.
        answers_reach_us: whether that is this installation.
    """

    number: str
    name: str
    texts: bool
    environments: Sequence[str]
    answers_go_to: str
    answers_reach_us: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountNumbers:
    """Attributes:
    problem: why the account's numbers are not known; None: they are.
    missing: numbers that environments send from and that the account does not have, with the environments.
    can_link: whether there is an address of ours for patients' replies.
    """

    rows: Sequence[NumberRow] = ()
    missing: Sequence[tuple[str, Sequence[str]]] = ()
    can_link: bool = False
    problem: GatewayProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberWish:
    """What is looked for.

    Attributes:
        country: two letters. kind: local, toll_free or mobile.
        area_code: of North America. contains: digits, and `*` for any.
    """

    country: str
    kind: str
    area_code: int | None = None
    contains: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOffer:
    """A number for sale. `place`, `region`: "" where the gateway names none."""

    number: str
    place: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOrder:
    """Attributes:
    steps: (what is done, whether it is done already), in order.
    costs: whether it begins a monthly price.
    problem: why it ended before its end.
    is_owned: whether the account has the number by now; asked where it is not clear whether a purchase was made. None: not known.
    """

    id: str
    action: OrderAction
    number: str
    state: OrderState
    steps: Sequence[tuple[str, bool]]
    costs: bool
    problem: GatewayProblem | None = None
    is_owned: bool | None = None


class NumbersDesk(Protocol):
    """What these pages ask for. Each may block for as long as the gateway's `timeout` allows, for each question."""

    def account(self) -> AccountNumbers: ...

    def environments(self) -> Sequence[str]: ...

    def search(self, wish: NumberWish) -> Sequence[NumberOffer] | GatewayProblem:
        """Numbers for sale that can text. Nothing is bought."""
        ...

    def order(self, by: Session, action: OrderAction, number: str, at: datetime) -> str | GatewayProblem:
        """A new order's id. Nothing is done yet. It belongs to this person and is gone a day later."""
        ...

    def find(self, order: str, by: Session, at: datetime) -> NumberOrder | None:
        """None: it is gone, or somebody else's."""
        ...

    def carry_out(self, order: str, by: Session, browser: Browser, at: datetime) -> bool:
        """Do it, unless it was begun before. Each step is an entry of the audit log. False: it is gone, or somebody else's."""
        ...
