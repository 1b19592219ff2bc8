"""Texts of an environment wait until what it is connected to was approved.

Each claim asks anew which environments of its own configuration are not approved, so that no text ever leaves under facts that
nobody approved, whatever other nodes run. The hold in the database tells people: `outbox`, `status`, alarms and the portal show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.approval_steps import Question, ask
from ehr.fingerprint import fingerprint
from scheduler.sms import HoldScope
from store import approvals, holds
from store.audit import Author
from store.engine import Transaction
from store.holds import NOT_APPROVED, Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledHolds:
    """Attributes: placed, ended: environments whose texts wait from now on, or no longer."""

    placed: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


def unapproved(conn: Transaction, runtime_config: RuntimeConfig) -> frozenset[str]:
    """The environments whose texts must wait. No read where no environment needs an approval."""
    needed = {
        name: fingerprint(policy.facts) for name, policy in runtime_config.policies.items() if policy.facts is not None
    }
    if not needed:
        return frozenset()
    approved = approvals.approved(conn)
    return frozenset(name for name, wanted in needed.items() if wanted not in approved.get(name, ()))


def settle(conn: Transaction, runtime_config: RuntimeConfig, author: Author, *, at: datetime) -> SettledHolds:
    """Ask for the approvals that are missing, place their holds, and end those that are no longer needed.

    Called with each heartbeat, so also when a configuration was put in force, and after an approval.
    """
    missing = unapproved(conn, runtime_config)
    standing = {hold.name for hold in holds.held(conn) if hold.scope is HoldScope.APPROVAL}
    placed, ended = tuple(sorted(missing - standing)), tuple(sorted(standing - missing))
    for name in ended:
        holds.release(conn, HoldScope.APPROVAL, name)
    for name in placed:
        holds.hold(conn, Hold(scope=HoldScope.APPROVAL, name=name, reason=NOT_APPROVED, actor=author.who, since=at))
    for name in sorted(missing):
        _ask(conn, runtime_config, name, author, at)
    return SettledHolds(placed=placed, ended=ended)


def _ask(conn: Transaction, runtime_config: RuntimeConfig, name: str, author: Author, at: datetime) -> None:
    facts = runtime_config.policies[name].facts
    assert facts is not None, "only such an environment is unapproved"
    wanted = fingerprint(facts)
    if approvals.latest(conn, name, wanted) is None:
        ask(conn, Question(environment=name, fingerprint=wanted, facts=facts.to_json()), author, at=at)
