"""A number that the gateway calls unusable is dropped: what still waits for it is recorded as such.

A later message of the hospital that gives a number, the same or another, is believed again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from carebell.desk import Offices
from scheduler.plan import diff, plan
from store.engine import Transaction
from store.inbound import Save, load, save
from store.outbox_row import OutboxRow
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class BadNumbers:
    """Called within the transaction that settles the text."""

    vault: Vault
    offices: Callable[[], Offices]

    def __call__(self, conn: Transaction, row: OutboxRow, now: datetime) -> None:
        desk = self.offices().desks.get(row.environment)
        found = load(conn, self.vault, {row.appointment}, now, lock=True).get(row.appointment)
        phone = found.appointment.phone if found is not None else None
        if desk is None or found is None or phone is None:
            return
        if self.vault.ring.phone_key(phone) != row.phone_key:
            return  # corrected since, or the text was forced to another number
        appointment = replace(found.appointment, phone=None, phone_fault="invalid_phone")
        made = plan(appointment, desk.policy, found.history, now, desk.blocked(appointment))
        changed = Save(
            appointment=made.appointment,
            changes=diff(made.desired, found.history),
            new_aliases=(),
            first_sight=False,
            config_version=desk.config_version,
        )
        save(conn, self.vault, [changed], [], now)
