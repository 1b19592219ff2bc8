"""Holds that a person places and ends, at the command line or in the portal. Both are entries of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from config.model import Environment
from scheduler.sms import HoldScope
from store import audit, holds
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.holds import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Attributes:
    changed: whether anything was held.
    still_held: everything is held, so the environment's texts do not leave yet.
    """

    changed: bool
    still_held: bool

    @property
    def outcome(self) -> Literal["released", "was-not", "still"]:
        if self.still_held:
            return "still"
        return "released" if self.changed else "was-not"


def scope_of(environment: str | None) -> tuple[HoldScope, str]:
    """What a hold of an environment (None: of everything) is stored under."""
    return (HoldScope.ALL, "") if environment is None else (HoldScope.ENVIRONMENT, environment)


def place(conn: Transaction, author: Author, environment: str | None, reason: str, *, by: str, at: datetime) -> bool:
    """Hold an environment's texts, or all; whether they were not held before.

    Args:
        by: who is shown as holding them.
    """
    scope, name = scope_of(environment)
    placed = holds.hold(conn, Hold(scope=scope, name=name, reason=reason, actor=by, since=at))
    audit.append(
        conn, author, AuditAction.HOLD_PLACE, subject=name or "all", environment=environment, after=reason, at=at
    )
    return placed


def release(
    conn: Transaction,
    author: Author,
    environment: str | None,
    configured: Mapping[str, Environment],
    *,
    at: datetime,
) -> Released:
    """End every hold, or one environment's, and close breakers without waiting for their probes. An approval ends otherwise.

    Args:
        configured: the environments; of one that is named, the sender's breaker is closed too.
    """
    scope, name = scope_of(environment)
    standing = holds.held(conn)
    ended = [
        entry
        for entry in standing
        if entry.scope is not HoldScope.APPROVAL and (environment is None or (entry.scope, entry.name) == (scope, name))
    ]
    changed = bool(ended)
    for entry in ended:
        holds.release(conn, entry.scope, entry.name)
    closed = [
        breaker
        for breaker in holds.open_breakers(conn)
        if environment is None or (breaker.scope, breaker.name) in _breakers(environment, configured[environment])
    ]
    for breaker in closed:
        changed = holds.reset(conn, breaker.scope, breaker.name) or changed
    audit.append(
        conn,
        author,
        AuditAction.HOLD_RELEASE,
        subject=name or "all",
        environment=environment,
        before="; ".join(entry.reason for entry in ended) or None,
        at=at,
    )
    for breaker in closed:
        audit.append(
            conn,
            author,
            AuditAction.BREAKER_CLOSE,
            subject=f"{breaker.scope} {breaker.name}",
            environment=breaker.name if breaker.scope is HoldScope.ENVIRONMENT else None,
            before=str(breaker.code),
            at=at,
        )
    still_held = any(entry.scope is HoldScope.ALL for entry in standing if entry not in ended)
    return Released(changed=changed, still_held=still_held)


def _breakers(name: str, environment: Environment) -> set[tuple[HoldScope, str]]:
    """The breakers that stop an environment's texts."""
    return {(HoldScope.ENVIRONMENT, name), (HoldScope.SENDER, environment.sms.sender)}
