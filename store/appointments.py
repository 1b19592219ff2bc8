"""Read appointments for people: lists, and the appointment that a reference names. Phones are masked or left out.

Only `appointment_repository` and `claims` write appointments; `forgetting` empties them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from scheduler.appointment import Appointment
from store.appointment_repository import load
from store.outbox import ids_of
from store.tables import appointments
from store.vault import Vault

_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Attributes:
    phone: masked, `***0143`; None: unknown or forgotten.
    """

    id: str
    environment: str
    reference: str
    start: datetime | None
    status: str
    revision: int
    phone: str | None
    purged_at: datetime | None


def named(conn: Connection, vault: Vault, name: str, now: datetime, *, environment: str | None = None) -> list[Summary]:
    """The appointments with this name: Carebell's id, the hospital's reference, or a whole alias."""
    stored = load(conn, vault, ids_of(conn, name, environment=environment), now, lock=False)
    return [_summary(stored[own_id].appointment) for own_id in sorted(stored)]


def listed(conn: Connection, vault: Vault, now: datetime, *, environment: str | None = None) -> Iterator[Summary]:
    """All appointments by Carebell's id, read in pages so that memory use stays constant."""
    after = ""
    while True:
        wanted = select(appointments.c.id).where(appointments.c.id > after)
        if environment is not None:
            wanted = wanted.where(appointments.c.environment == environment)
        ids = list(conn.execute(wanted.order_by(appointments.c.id).limit(_PAGE)).scalars())
        if not ids:
            return
        after = ids[-1]
        stored = load(conn, vault, ids, now, lock=False)
        yield from (_summary(stored[own_id].appointment) for own_id in ids if own_id in stored)


def masked_phones(conn: Connection, vault: Vault, ids: Collection[str], now: datetime) -> dict[str, str]:
    """Carebell's id -> `***0143`, for appointments whose phone is still stored."""
    stored = load(conn, vault, set(ids), now, lock=False)
    return {
        own_id: holder.appointment.phone.masked
        for own_id, holder in stored.items()
        if holder.appointment.phone is not None
    }


def _summary(visit: Appointment) -> Summary:
    return Summary(
        id=visit.id,
        environment=visit.environment,
        reference=visit.reference,
        start=visit.start,
        status=visit.status.value,
        revision=visit.revision,
        phone=None if visit.phone is None else visit.phone.masked,
        purged_at=visit.purged_at,
    )
