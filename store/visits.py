"""Video visits and what happened in them.

    visit = lock(conn, id)                      # or `named`, to look only
    append(conn, visit, what, at=..., source=...)   # one event, the state that follows from it, and what reports say

Visits are made and moved where their appointments are planned (`visit_planning`); how a patient finds one: `visit_links`. On
PostgreSQL a transaction locks appointments first, then visits by id, then links (`lock_order`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Select, func, literal, literal_column, select, update

from scheduler.meeting_times import MeetingSign
from scheduler.visit_life import (
    VisitEventKind,
    VisitEventSource,
    VisitRole,
    VisitState,
    VisitWindow,
    state_after,
)
from scheduler.visit_times import visit_times
from store.instants import UtcDateTime
from store.sealing import SealedColumn
from store.tables import appointments, visit_events, visits
from store.vault import Vault

_INSTANT: Final = timedelta(microseconds=1)
_MEETING: Final = SealedColumn(table="visits", column="meeting_ref")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoVisit:
    """A visit as it is stored, with what its page says of the appointment.

    Attributes:
        id: ours, 32 random hex digits; in no link and on no page.
        appointment: our id of it. reference: the hospital's, for staff.
        code: random; the name of its room in a meeting's address.
        kind: of its meeting: link ...
        state: as stored; `visit_life.state_at` says what holds now.
        started_at, ended_at: of the visit itself, UTC.
        start, zone, date_only: of the appointment; start None: not known.
        status: of the appointment: active, canceled ...
        provider: who it is with, until the appointment is forgotten.
        language: the patient's, as a BCP 47 tag; None: not known.
        conference: our id of its group (`conferences`); None: it takes place by itself.
    """

    id: str
    environment: str
    appointment: str
    reference: str
    code: str
    kind: str
    window: VisitWindow
    state: VisitState
    started_at: datetime | None
    ended_at: datetime | None
    department: str | None
    created_at: datetime
    start: datetime | None
    zone: str
    date_only: bool
    status: str
    provider: str | None
    language: str | None
    conference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEvent:
    """One row of `visit_events`, and the state that it led to.

    Attributes:
        ref: HMAC of who exactly it was; None: nobody in particular.
        state: None where it was read back.
    """

    visit: str
    environment: str
    appointment: str
    reference: str
    seq: int
    at: datetime
    who: VisitRole
    what: VisitEventKind
    source: VisitEventSource
    ref: str | None = None
    state: VisitState | None = None


# Events


def append(
    conn: Connection,
    visit: VideoVisit,
    what: VisitEventKind,
    *,
    at: datetime,
    source: VisitEventSource,
    who: VisitRole = VisitRole.CAREBELL,
    ref: str | None = None,
    others_wait: bool = False,
    state: VisitState | None = None,
) -> VisitEvent:
    """Note an event of a visit that this transaction has locked (`lock`), and store the state that follows from it.

    Args:
        visit: as locked; where one transaction notes several events, `dataclasses.replace(visit, state=event.state)` between them.
        at: when it happened, UTC.
        ref: HMAC of who exactly it was, such as the link's key.
        others_wait: see `visit_life.state_after`. state: the state to store instead of what follows.
    """
    of = visit_events.c
    last = conn.execute(select(func.max(of.seq)).where(of.visit == visit.id)).scalar_one()
    seq = (last or 0) + 1
    after = state or state_after(visit.state, what, who, others_wait=others_wait)
    conn.execute(
        visit_events.insert().values(
            visit=visit.id, seq=seq, at=at, who=who.value, what=what.value, source=source.value, ref=ref
        )
    )
    changed: dict[str, Any] = {"state": after.value}
    if after is VisitState.PLANNED:
        changed |= {"started_at": None, "ended_at": None}
    elif after is VisitState.IN_VISIT and visit.started_at is None:
        changed["started_at"] = func.coalesce(visits.c.started_at, literal(at, UtcDateTime()))
    elif after in (VisitState.ENDED, VisitState.NO_SHOW) and not visit.state.is_over:
        changed["ended_at"] = at
    changed |= _reported(conn, visit, after)
    conn.execute(update(visits).where(visits.c.id == visit.id).values(changed))
    return VisitEvent(
        visit=visit.id,
        environment=visit.environment,
        appointment=visit.appointment,
        reference=visit.reference,
        seq=seq,
        at=at,
        who=who,
        what=what,
        source=source,
        ref=ref,
        state=after,
    )


def sign_of(event: VisitEvent) -> MeetingSign:
    """The event without whose visit it is of."""
    return MeetingSign(at=event.at, who=event.who, what=event.what, source=event.source, person=event.ref)


def _reported(conn: Connection, visit: VideoVisit, state: VisitState) -> dict[str, Any]:
    """What reports say of a visit: columns of `visits`."""
    of = visit_events.c
    rows = conn.execute(select(of.at, of.who, of.what, of.source, of.ref).where(of.visit == visit.id))
    times = visit_times(
        (
            MeetingSign(
                at=row.at,
                who=VisitRole(row.who),
                what=VisitEventKind(row.what),
                source=VisitEventSource(row.source),
                person=row.ref,
            )
            for row in rows
        ),
        state,
        in_group=visit.conference is not None,
    )
    return {
        "report_start": times.start,
        "lobby_wait": None if times.lobby_wait is None else times.lobby_wait // _INSTANT,
        "lasted": None if times.duration is None else times.duration // _INSTANT,
        "outcome": None if times.start is None else times.outcome.value,
    }


def events(conn: Connection, ids: Collection[str]) -> list[VisitEvent]:
    """All that happened in these visits, by visit and in their order."""
    of = visit_events.c
    rows = conn.execute(
        select(visit_events, visits.c.environment, visits.c.appointment, appointments.c.reference)
        .join(visits, visits.c.id == of.visit)
        .join(appointments, appointments.c.id == visits.c.appointment)
        .where(of.visit.in_(list(ids)))
        .order_by(of.visit, of.seq)
    )
    return [
        VisitEvent(
            visit=row.visit,
            environment=row.environment,
            appointment=row.appointment,
            reference=row.reference,
            seq=row.seq,
            at=row.at,
            who=VisitRole(row.who),
            what=VisitEventKind(row.what),
            source=VisitEventSource(row.source),
            ref=row.ref,
        )
        for row in rows
    ]


# Meetings


def meeting_of(conn: Connection, vault: Vault, visit: str) -> str | None:
    """A visit's own meeting: its address or reference as it was stored; None: none is known, or its day is over."""
    sealed = conn.execute(select(visits.c.meeting_ref).where(visits.c.id == visit)).scalar_one_or_none()
    plain = None if sealed is None else _MEETING.unseal(conn, vault, visit, bytes(sealed))
    return None if plain is None else plain.decode()


def set_meeting(conn: Connection, vault: Vault, visit: str, meeting: str, window: VisitWindow) -> None:
    """Store where a locked visit takes place, sealed until its link ends. Of a group: `meeting_places`."""
    sealed = sealed_meeting(conn, vault, visit, meeting, window)
    conn.execute(update(visits).where(visits.c.id == visit).values(meeting_ref=sealed))


def sealed_meeting(
    conn: Connection, vault: Vault, own_id: str, meeting: str | None, window: VisitWindow
) -> bytes | None:
    """What `visits.meeting_ref` holds: readable until the day of the link's end is over."""
    return None if meeting is None else _MEETING.seal(conn, vault, own_id, meeting.encode(), until=window.ends_at)


# Reading


def lock(conn: Connection, visit: str) -> VideoVisit | None:
    """A visit by its id; nobody else changes it until the commit."""
    return next(iter(locked(conn, visits.c.id == visit)), None)


def lock_all(conn: Connection, ids: Collection[str]) -> list[VideoVisit]:
    """Visits by their ids, locked in the order of these."""
    return locked(conn, visits.c.id.in_(list(ids)))


def by_id(conn: Connection, ids: Collection[str]) -> list[VideoVisit]:
    """Visits by their ids; not locked."""
    rows = conn.execute(with_appointment().where(visits.c.id.in_(list(ids))).order_by(visits.c.id)).mappings()
    return [read_visit(row) for row in rows]


def over_now(conn: Connection, now: datetime, *, limit: int = 200) -> list[str]:
    """Ids of visits that are not over although their link's time is."""
    of = visits.c
    return list(conn.execute(select(of.id).where(not_over(), of.ends_at <= now).order_by(of.id).limit(limit)).scalars())


def ever_connected(conn: Connection, visit: str) -> list[VisitRole]:
    """The roles that were in the meeting."""
    of = visit_events.c
    asked = select(of.who).where(of.visit == visit, of.what == VisitEventKind.CONNECTED.value).distinct()
    return [VisitRole(who) for who in conn.execute(asked).scalars()]


def in_meetings(conn: Connection, environments: Collection[str], *, limit: int = 500) -> list[str]:
    """Ids of visits of these environments that somebody is, or was, in the meeting of, and that are not over."""
    of = visits.c
    wanted = select(of.id).where(not_over(), of.state == VisitState.IN_VISIT.value)
    return list(conn.execute(wanted.where(of.environment.in_(list(environments))).limit(limit)).scalars())


def set_times(conn: Connection, visit: VideoVisit, *, started_at: datetime | None, ended_at: datetime | None) -> None:
    """Correct when a locked visit began, and, if it is over, when it ended; None: it stays as it is stored."""
    known = {"started_at": started_at, "ended_at": ended_at if visit.state.is_over else None}
    changed = {name: at for name, at in known.items() if at is not None and at != getattr(visit, name)}
    if changed:
        conn.execute(update(visits).where(visits.c.id == visit.id).values(changed))


def last_left(conn: Connection, visit: str) -> datetime | None:
    """When somebody left its meeting last; None: nobody did, as far as the meeting says."""
    of = visit_events.c
    asked = select(of.at).where(of.visit == visit, of.what == VisitEventKind.DISCONNECTED.value)
    left: datetime | None = conn.execute(asked.order_by(of.at.desc()).limit(1)).scalar_one_or_none()
    return left


def set_department(conn: Connection, visit: VideoVisit, department: str) -> None:
    """Store where a locked visit takes place, as the EHR calls it."""
    conn.execute(update(visits).where(visits.c.id == visit.id).values(department=department))


def of_appointments(conn: Connection, owners: Collection[str]) -> list[VideoVisit]:
    """The visits of appointments, by our ids of these; not locked."""
    wanted = with_appointment().where(visits.c.appointment.in_(list(owners))).order_by(visits.c.id)
    return [read_visit(row) for row in conn.execute(wanted).mappings()]


def named(conn: Connection, owner: str) -> VideoVisit | None:
    """The visit of an appointment, by our id of that; not locked."""
    row = conn.execute(with_appointment().where(visits.c.appointment == owner)).mappings().one_or_none()
    return None if row is None else read_visit(row)


def between(
    conn: Connection, begins: datetime, ends: datetime, *, environments: Sequence[str] | None = None
) -> list[VideoVisit]:
    """Visits whose appointment starts in `[begins, ends)`, by start; None: of every environment."""
    wanted = with_appointment().where(appointments.c.start >= begins, appointments.c.start < ends)
    if environments is not None:
        wanted = wanted.where(visits.c.environment.in_(list(environments)))
    return [read_visit(row) for row in conn.execute(wanted.order_by(appointments.c.start, visits.c.id)).mappings()]


def not_over() -> ColumnElement[bool]:
    """As in the partial index; with a parameter it would not be used."""
    return visits.c.state.not_in([literal_column(f"'{state.value}'") for state in VisitState if state.is_over])


def with_appointment(*more: Column[Any]) -> Select[Any]:
    of = appointments.c
    shown = (of.reference, of.start, of.zone, of.date_only, of.life, of.provider, of.language)
    left_out = ("meeting_ref", "report_start", "lobby_wait", "lasted", "outcome")
    columns = (*(column for column in visits.c if column.name not in left_out), *shown)
    named_apart = (column.label(f"link_{column.name}") for column in more)
    return select(*columns, *named_apart).select_from(visits).join(appointments, of.id == visits.c.appointment)


def locked(conn: Connection, wanted: Any, *, limit: int | None = None, skip: bool = False) -> list[VideoVisit]:
    locked = (
        with_appointment().where(wanted).order_by(visits.c.id).limit(limit).with_for_update(of=visits, skip_locked=skip)
    )
    return [read_visit(row) for row in conn.execute(locked).mappings()]


def read_visit(row: Mapping[Any, Any]) -> VideoVisit:
    return VideoVisit(
        id=row["id"],
        environment=row["environment"],
        appointment=row["appointment"],
        reference=row["reference"],
        code=row["code"],
        kind=row["kind"],
        window=VisitWindow(opens_at=row["opens_at"], ends_at=row["ends_at"]),
        state=VisitState(row["state"]),
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        department=row["department"],
        created_at=row["created_at"],
        start=row["start"],
        zone=row["zone"],
        date_only=row["date_only"],
        status=row["life"],
        provider=row["provider"],
        language=row["language"],
        conference=row["conference"],
    )
