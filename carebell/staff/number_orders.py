"""Orders at the gateway, as they are kept: a sealed row for a day, which says how far one came and lets nobody begin it twice."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from notifier.twilio.numbers import Plan, Step
from portal.pages.numbers_desk import GatewayProblem, OrderAction, OrderState
from portal.people import Session
from store import proposals
from store.engine import Store, Transaction
from store.proposals import ProposalState, StoredProposal
from store.vault import Vault

LASTS: Final = timedelta(days=1)
_BASE: Final = "number order"
"""Stands for the digest of a file: an order changes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOrder:
    """Attributes:
    done: how many of the plan's steps are done.
    begun_at: when it was begun; None: not yet.
    """

    id: str
    action: OrderAction
    plan: Plan
    done: int = 0
    state: OrderState = "ready"
    begun_at: datetime | None = None
    problem: GatewayProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOrders:
    """The rows."""

    store: Store
    vault: Vault

    def add(self, by: Session, action: OrderAction, plan: Plan, at: datetime) -> str:
        """A new order's id."""
        order = KeptOrder(id=secrets.token_hex(8), action=action, plan=plan)
        row = StoredProposal(
            id=order.id,
            base=_BASE,
            text=_written(order),
            author=by.person.login,
            created_at=at,
            ends_at=at + LASTS,
            state=ProposalState.DRAFT,
        )
        with self.store.write() as conn:
            proposals.add(conn, self.vault, row)
        return order.id

    def find(self, order: str, by: Session, at: datetime) -> KeptOrder | None:
        """None: it is gone, or somebody else's."""
        with self.store.read() as conn:
            row = proposals.find(conn, self.vault, order, at)
        return _read(row, by)

    def begin(self, order: str, by: Session, at: datetime) -> KeptOrder | None:
        """The order, now under way; None: it was begun before."""
        with self.store.write() as conn:
            row = proposals.find(conn, self.vault, order, at, lock=True)
            kept = _read(row, by)
            if row is None or kept is None or kept.state != "ready":
                return None
            begun = replace(kept, state="under_way", begun_at=at)
            return begun if proposals.redraft(conn, self.vault, row, _written(begun)) else None

    def keep(self, conn: Transaction, order: KeptOrder, at: datetime) -> None:
        """Note how far it is. It is noted in vain if its row is gone, which is a day after it was made."""
        row = proposals.find(conn, self.vault, order.id, at, lock=True)
        if row is not None:
            proposals.redraft(conn, self.vault, row, _written(order))


def _read(row: StoredProposal | None, by: Session) -> KeptOrder | None:
    if row is None or row.text is None or row.base != _BASE or row.author != by.person.login:
        return None
    values = json.loads(row.text)
    return KeptOrder(
        id=row.id,
        action=values["action"],
        plan=Plan(tuple(Step(**step) for step in values["steps"])),
        done=values["done"],
        state=values["state"],
        begun_at=None if values["begun_at"] is None else datetime.fromisoformat(values["begun_at"]),
        problem=None if values["problem"] is None else GatewayProblem(**values["problem"]),
    )


def _written(order: KeptOrder) -> str:
    return json.dumps(
        {
            "action": order.action,
            "steps": [asdict(step) for step in order.plan.steps],
            "done": order.done,
            "state": order.state,
            "begun_at": None if order.begun_at is None else order.begun_at.isoformat(),
            "problem": None if order.problem is None else asdict(order.problem),
        }
    )
