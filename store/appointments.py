"""Read appointments for people: lists, and the appointment that a reference names. Phones are masked or left out.

Only `appointment_repository` and `claims` write appointments; `forgetting` empties them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from scheduler.appointment import Appointment
from store.appointment_repository import load
from store.outbox import ids_of
from store.tables import appointments, messages
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentFacts:
    """What stands in the clear, also after the number was forgotten and where no key opens it.

    Attributes:
        references: the id that people use, and all others it has.
        zone: IANA.
        changed_at: when its newest message was received.
        forgotten_at: when its number was forgotten; None: it is kept, or there never was one.
    """

    id: str
    environment: str
    reference: str
    references: tuple[str, ...]
    start: datetime | None
    zone: str
    status: str
    revision: int
    changed_at: datetime
    phone_fault: str | None
    forgotten_at: datetime | None


def facts(conn: Connection, ids: Collection[str]) -> list[AppointmentFacts]:
    """The appointments with these ids of Carebell's, by start."""
    of = appointments.c
    columns = (
        of.id, of.environment, of.reference, of.aliases, of.start, of.zone, of.life, of.revision, of.changed_at,
        of.phone_fault, of.purged_at,
    )  # fmt: skip
    rows = conn.execute(select(*columns).where(of.id.in_(list(ids))).order_by(of.start, of.id)).all()
    return [
        AppointmentFacts(
            id=row.id,
            environment=row.environment,
            reference=row.reference,
            references=tuple(dict.fromkeys((row.reference, *json.loads(row.aliases)))),
            start=row.start,
            zone=row.zone,
            status=row.life,
            revision=row.revision,
            changed_at=row.changed_at,
            phone_fault=row.phone_fault,
            forgotten_at=row.purged_at,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredMessage:
    """A message of the last days, as the replay memory has it: who sent it when, and what it was answered.

    Attributes:
        code: our failure code; None: accepted.
        event: S12 ...; reference: of the appointment that it is about. None: it is about none, or it was stored before 0.2.
    """

    environment: str
    answer: str
    code: str | None
    text: str
    received_at: datetime
    control_id: str
    event: str | None
    reference: str | None


def answered(
    conn: Connection,
    *,
    control_id: str | None = None,
    references: Collection[str] | None = None,
    environment: str | None = None,
) -> list[AnsweredMessage]:
    """The messages that were verified and answered within the freshness window, oldest first. Reads the whole replay memory: there
    is no index for this, because it would cost every message something.

    Args:
        control_id: those with this MSH-10. references: those about these appointments.
    """
    of = messages.c
    wanted = select(
        of.environment,
        of.answer,
        of.code,
        of.text,
        of.received_at,
        of.msh10.label("control_id"),
        of.event,
        of.reference,
    )
    if control_id is not None:
        wanted = wanted.where(of.msh10 == control_id)
    if references is not None:
        wanted = wanted.where(of.reference.in_(list(references)))
    if environment is not None:
        wanted = wanted.where(of.environment == environment)
    return [AnsweredMessage(**row) for row in conn.execute(wanted.order_by(of.received_at)).mappings()]


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
