"""Opt-outs that a person records or takes back, at the command line or in the portal. Both are entries of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from config.model import Configuration
from journal.events.shared import OptOutSource
from parser.phone_number import PhoneNumber
from store import audit, optouts
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.keys import KeyRing
from store.optouts import Optout


def senders_of(configuration: Configuration) -> list[str]:
    """The senders that are configured."""
    return sorted({environment.sms.sender for environment in configuration.environments.values()})


def add(
    conn: Transaction,
    author: Author,
    phone: PhoneNumber,
    names: Sequence[str],
    ring: KeyRing,
    *,
    source: OptOutSource,
    at: datetime,
) -> None:
    """Opt a number out of these senders."""
    key = ring.phone_key(phone)
    for name in names:
        optouts.add(conn, Optout(phone_key=key, sender=name, source=source, since=at))
    for name in names:  # last (`store.lock_order`)
        audit.append(conn, author, AuditAction.OPTOUT_ADD, subject=phone.masked, after=name, at=at)


def remove(
    conn: Transaction,
    author: Author,
    phone: PhoneNumber,
    names: Sequence[str],
    ring: KeyRing,
    *,
    reason: str | None = None,
    at: datetime,
) -> list[str]:
    """Take a number's opt-outs of these senders back; those that there were."""
    key = ring.phone_key(phone)
    removed = [name for name in names if optouts.remove(conn, key, name, at=at)]
    for name in removed:  # last (`store.lock_order`)
        audit.append(conn, author, AuditAction.OPTOUT_REMOVE, subject=phone.masked, before=name, after=reason, at=at)
    return removed
