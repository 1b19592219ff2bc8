"""Drops a number that the gateway calls unusable: the texts that wait for it are recorded as `invalid_phone`.

When a later message of the hospital gives a number, the same or another, that number is used again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.replan import replan
from carebell.outbound.silences import Silence, silences_of
from store.appointment_repository import load, save
from store.engine import Transaction
from store.outbox_row import OutboxRow
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidNumbers:
    """Called within the transaction that settles the text. Gives the texts that will not leave, to be logged after the commit."""

    vault: Vault
    runtime_config: Callable[[], RuntimeConfig]

    def __call__(self, conn: Transaction, row: OutboxRow, now: datetime) -> list[Silence]:
        policy = self.runtime_config().policies.get(row.environment)
        stored = load(conn, self.vault, {row.appointment}, now, lock=True).get(row.appointment)
        phone = stored.appointment.phone if stored is not None else None
        if policy is None or stored is None or phone is None:
            return []
        if self.vault.ring.phone_key(phone) != row.phone_key:
            return []  # the hospital has corrected it since, or the text went to the number of `sms.force_to`
        appointment = replace(stored.appointment, phone=None, phone_fault="invalid_phone")
        planned_anew = replan(replace(stored, appointment=appointment), policy, now)
        save(conn, self.vault, [planned_anew], [], now)
        return silences_of(planned_anew.appointment, stored.history, planned_anew.changes)
