"""PID-3 of visits, for what goes back to the EHR that sent it: kept sealed until 24 hours after the visit's end.

    keep(conn, vault, plans, now)          # where the appointments are saved, which are locked
    read(conn, vault, appointments, now)   # for the messages that are rendered now

Only environments with `writeback.patient_id: keep` make plans. The key is that of the day on which it ends, so that a visit that is
moved is sealed anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select

from parser.event import FORGET, GivenPatientId
from store.crypto import Undecipherable, day_of
from store.sealing import SealedColumn
from store.tables import patient_ids
from store.upsert import insert_into
from store.vault import Vault

_SEALED: Final = SealedColumn(table="patient_ids", column="sealed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdPlan:
    """What a saved appointment asks for.

    Attributes:
        appointment: our id.
        ends_at: `scheduler.patient_id_end`; None: nothing is kept.
        canceled: what is known already is not kept longer than it was.
        given: by its newest message that was not silent, sent at `sent_at`; None: by none.
        others: appointments that proved to be the same visit, or that go on as it.
    """

    appointment: str
    ends_at: datetime | None
    canceled: bool = False
    given: GivenPatientId = field(default=None, repr=False)
    sent_at: datetime | None = None
    others: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPatientId:
    """Attributes:
    repetitions: HL7 text, as `parser.patient_id` gives it.
    ends_at: it must be gone then, UTC.
    """

    repetitions: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPatientIds:
    """Attributes:
    visits: how many keep one. until: when the last of them ends, UTC; None: none is kept.
    """

    visits: int
    until: datetime | None


def keep(conn: Connection, vault: Vault, plans: Iterable[PatientIdPlan], now: datetime) -> None:
    """Keep, move and delete as planned. The newest message counts, whichever of its appointments it was about."""
    wanted = {plan.appointment: plan for plan in plans}
    if not wanted:
        return
    of = patient_ids.c
    concerned = {*wanted, *(other for plan in wanted.values() for other in plan.others)}
    known = {row.appointment: row for row in conn.execute(select(patient_ids).where(of.appointment.in_(concerned)))}
    rows: list[tuple[str, str, datetime, datetime]] = []
    gone: set[str] = set()
    for own_id, plan in sorted(wanted.items()):
        own = known.get(own_id)
        gone |= known.keys() & set(plan.others)
        ends_at = plan.ends_at
        if plan.canceled and ends_at is not None and own is not None:
            ends_at = min(ends_at, own.ends_at)
        newest = _newest(plan, known)
        if newest is None:
            continue
        if ends_at is None or ends_at <= now or (newest is plan and plan.given is FORGET):
            gone.add(own_id)
        elif isinstance(newest, PatientIdPlan):
            assert isinstance(plan.given, str)
            assert plan.sent_at is not None
            rows.append((own_id, plan.given, plan.sent_at, ends_at))
        elif newest.appointment != own_id or newest.ends_at != ends_at:
            repetitions = _opened(conn, vault, newest)
            if repetitions is None:
                gone.add(own_id)
            else:
                rows.append((own_id, repetitions, newest.sent_at, ends_at))
    if gone & known.keys():
        conn.execute(delete(patient_ids).where(of.appointment.in_(gone)))
    _write(conn, vault, rows)


def read(conn: Connection, vault: Vault, owners: Collection[str], now: datetime) -> dict[str, KeptPatientId]:
    """Appointment id -> what is kept; absent: nothing, nothing any more, or no key opens it."""
    of = patient_ids.c
    rows = conn.execute(select(patient_ids).where(of.appointment.in_(list(owners)), of.ends_at > now)).all()
    opened = ((row, _opened(conn, vault, row)) for row in rows)
    return {
        row.appointment: KeptPatientId(repetitions=repetitions, ends_at=row.ends_at)
        for row, repetitions in opened
        if repetitions is not None
    }


def kept(conn: Connection) -> KeptPatientIds:
    """How many are kept, and until when; for people."""
    visits, until = conn.execute(select(func.count(), func.max(patient_ids.c.ends_at))).one()
    return KeptPatientIds(visits=visits, until=until)


def expire(conn: Connection, now: datetime) -> int:
    """Delete those whose time is over; how many."""
    return conn.execute(delete(patient_ids).where(patient_ids.c.ends_at <= now)).rowcount


def forget_unreadable(conn: Connection, begins: datetime, ends: datetime) -> None:
    """Delete those that end in `[begins, ends)`: no key opens them. The visit's next message gives it again."""
    of = patient_ids.c
    conn.execute(delete(patient_ids).where(of.ends_at >= begins, of.ends_at < ends))


def _newest(plan: PatientIdPlan, known: dict[str, Row[Any]]) -> PatientIdPlan | Row[Any] | None:
    """Who says it last: the plan itself, or a row. At the same time the plan."""
    rows = [known[own_id] for own_id in (plan.appointment, *plan.others) if own_id in known]
    row = max(rows, key=lambda row: row.sent_at, default=None)
    if plan.given is None or plan.sent_at is None:
        return row
    return plan if row is None or row.sent_at <= plan.sent_at else row


def _opened(conn: Connection, vault: Vault, row: Row[Any]) -> str | None:
    with suppress(Undecipherable):
        plain = _SEALED.unseal(conn, vault, row.appointment, bytes(row.sealed))
        return None if plain is None else plain.decode()
    return None


def _write(conn: Connection, vault: Vault, rows: Sequence[tuple[str, str, datetime, datetime]]) -> None:
    if not rows:
        return
    keys = vault.keys_for(conn, {day_of(ends_at) for *_, ends_at in rows}, create=True)
    values = [
        {
            "appointment": own_id,
            "sealed": _SEALED.seal_with(keys, own_id, repetitions.encode(), until=ends_at),
            "sent_at": sent_at,
            "ends_at": ends_at,
        }
        for own_id, repetitions, sent_at, ends_at in rows
    ]
    new = insert_into(conn, patient_ids)
    changed = {name: new.excluded[name] for name in ("sealed", "sent_at", "ends_at")}
    conn.execute(new.on_conflict_do_update(index_elements=["appointment"], set_=changed), values)
