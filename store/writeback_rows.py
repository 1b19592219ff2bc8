"""Read what goes back to the EHR: single rows, pages of them, what waits, and how the EHR calls the visits. Nothing is written here
(`store.writebacks` does that)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select

from scheduler.writeback import Fact, WritebackChannel, WritebackEvent, WritebackState
from store.patient_ids import KeptPatientId
from store.tables import appointments, writebacks

IS_DUE: Final = writebacks.c.state == literal_column("'due'")
IS_OPEN: Final = writebacks.c.state.in_([literal_column("'due'"), literal_column("'sending'")])
"""Both as in the partial indexes; with a parameter they would not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackRow:
    """A row in any state.

    Attributes:
        id: MSH-10 of every attempt.
        appointment: `Appointment.id`.
        facts: `scheduler.writeback.FACTS`.
        attempts: including the present one.
        next_attempt_at: it is not tried before; None: not waiting.
        answer: MSA-1 of the last answer, or an HTTP status. code: why it failed or waits, in Carebell's terms.
        err3: the EHR's own code.
        sent_at: the last attempt. final_at: when it became what it is now.
    """

    id: str
    environment: str
    appointment: str
    event: WritebackEvent
    event_seq: int
    channel: WritebackChannel
    facts: Mapping[str, Fact]
    state: WritebackState
    attempts: int
    next_attempt_at: datetime | None
    expires_at: datetime
    lease_until: datetime | None
    node: str | None
    answer: str | None
    code: str | None
    err3: str | None
    sent_at: datetime | None
    final_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackQueue:
    """What waits for one target.

    Attributes:
        waiting: due or being sent. oldest: when the one that waits longest was recorded; None: none waits.
    """

    environment: str
    channel: WritebackChannel
    waiting: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitNames:
    """Attributes:
    reference: the id that people use. aliases: as the feed gave them. start: UTC; None: unknown.
    patient_id: PID-3, where the sender needs it (`store.patient_ids`); None: not kept, or not asked for.
    """

    reference: str
    aliases: tuple[str, ...]
    start: datetime | None
    patient_id: KeptPatientId | None = field(default=None, repr=False)


COLUMNS: Final = tuple(writebacks.c[name] for name in WritebackRow.__dataclass_fields__)


def by_id(conn: Connection, writeback_id: str) -> WritebackRow | None:
    """One row."""
    row = conn.execute(select(*COLUMNS).where(writebacks.c.id == writeback_id)).mappings().one_or_none()
    return None if row is None else read_row(row)


def rows(
    conn: Connection,
    *,
    environment: str | None = None,
    environments: Collection[str] | None = None,
    of_appointments: Collection[str] | None = None,
    state: WritebackState | None = None,
    event: WritebackEvent | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[WritebackRow]:
    """The newest rows first.

    Args:
        environments: only theirs; None: all.
        of_appointments: `Appointment.id`s; None: of all.
        before: the id of the last row of the page before.
    """
    of = writebacks.c
    wanted = select(*COLUMNS).order_by(of.id.desc()).limit(limit)
    conditions: list[ColumnElement[bool]] = []
    if environment is not None:
        conditions.append(of.environment == environment)
    if environments is not None:
        conditions.append(of.environment.in_(list(environments)))
    if of_appointments is not None:
        conditions.append(of.appointment.in_(list(of_appointments)))
    if state is not None:
        conditions.append(of.state == state.value)
    if event is not None:
        conditions.append(of.event == event.value)
    if before is not None:
        conditions.append(of.id < before)
    return [read_row(row) for row in conn.execute(wanted.where(*conditions)).mappings()]


def queue(conn: Connection) -> list[WritebackQueue]:
    """What waits, by target."""
    of = writebacks.c
    waiting = select(of.environment, of.channel, func.count(), func.min(of.created_at)).where(IS_OPEN)
    return [
        WritebackQueue(environment=name, channel=WritebackChannel(channel), waiting=count, oldest=oldest)
        for name, channel, count, oldest in conn.execute(
            waiting.group_by(of.environment, of.channel).order_by(of.environment, of.channel)
        )
    ]


def head(conn: Connection, environment: str, channel: WritebackChannel, now: datetime) -> WritebackRow | None:
    """The row that comes first where the order is strict: the first that is open, or refused and not yet past its time."""
    of = writebacks.c
    of_target = (of.environment == environment) & (of.channel == channel.value)
    refused = (of.state == literal_column("'refused'")) & (of.expires_at > now)
    firsts = [
        conn.execute(select(*COLUMNS).where(of_target, condition).order_by(of.id).limit(1)).mappings().one_or_none()
        for condition in (IS_OPEN, refused)
    ]
    return min((read_row(row) for row in firsts if row is not None), key=lambda row: row.id, default=None)


def visits_of(conn: Connection, ids: Collection[str]) -> dict[str, VisitNames]:
    """By `Appointment.id`: how the EHR calls these visits. Nothing of the patient."""
    of = appointments.c
    wanted = select(of.id, of.reference, of.aliases, of.start).where(of.id.in_(list(ids)))
    return {
        own_id: VisitNames(reference=reference, aliases=tuple(json.loads(aliases)), start=start)
        for own_id, reference, aliases, start in conn.execute(wanted)
    }


def needs_care(conn: Connection, now: datetime) -> bool:
    """Whether a row's time or a lease is over, so that `expire` or `expire_leases` has something to do."""
    of = writebacks.c
    lost = (of.state == literal_column("'sending'")) & (of.lease_until <= now)
    return (
        conn.execute(select(of.id).where(IS_OPEN, or_(IS_DUE & (of.expires_at <= now), lost)).limit(1)).first()
        is not None
    )


def read_row(row: Mapping[Any, Any]) -> WritebackRow:
    """From a mapping with `COLUMNS`."""
    typed = {
        "event": WritebackEvent(row["event"]),
        "channel": WritebackChannel(row["channel"]),
        "state": WritebackState(row["state"]),
        "facts": MappingProxyType(json.loads(row["facts"])),
    }
    return WritebackRow(**{name: row[name] for name in WritebackRow.__dataclass_fields__} | typed)
