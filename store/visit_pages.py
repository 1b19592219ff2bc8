"""Visits page by page and in sums, for people who look at months of them: each question reads a bounded part of an index.

Only visits in which something happened are here. They are ordered by what the report calls their start, the newest first. A page
begins behind the last visit of the page before it, and looks at `SCAN` visits at most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, literal, select, tuple_

from scheduler.device_test import DeviceTest
from scheduler.meeting_times import MeetingSign
from scheduler.visit_life import VisitState
from scheduler.visit_times import VisitOutcome, VisitTimes, visit_times
from store import device_tests, patient_replies
from store.instants import UtcDateTime
from store.patient_replies import PatientReply
from store.sms_pages import RowKey
from store.tables import appointments, conferences, outbox, visits
from store.visits import events, sign_of

SCAN: Final = 5_000
"""Visits that one page looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFilter:
    """Which visits; None: all."""

    environments: Collection[str] | None = None
    outcomes: Collection[VisitOutcome] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedVisit:
    """One visit of the report. Nothing of a patient.

    Attributes:
        id: ours. code: the meeting's, in a group that of all its visits. reference: the hospital's id of the appointment.
        provider: who it is with, until the appointment is forgotten.
        device_test: the newest one; None: there was none.
        texts: that the gateway took.
        reply: the last one about coming, to the visit at its present time; None: none.
    """

    id: str
    environment: str
    code: str
    reference: str
    department: str | None
    provider: str | None
    times: VisitTimes
    device_test: DeviceTest | None
    texts: int
    reply: PatientReply | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPage:
    """Attributes:
    visits: the newest first.
    after: where the next page begins; None: this is the last one.
    """

    visits: Sequence[ReportedVisit]
    after: RowKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSum:
    """The visits that share environment and outcome.

    Attributes:
        timed: of them, those whose duration is known; their sum is `lasted`.
        waited: of them, those whose wait in the lobby is known; their sum is `lobby_wait`.
    """

    environment: str
    outcome: VisitOutcome
    visits: int
    timed: int
    lasted: timedelta
    waited: int
    lobby_wait: timedelta


def reported(
    conn: Connection, begins: datetime, ends: datetime, only: VisitFilter, *, after: RowKey | None, limit: int
) -> VisitPage:
    """Visits whose start is in `[begins, ends)`, the newest first."""
    of = visits.c
    bounds: list[ColumnElement[bool]] = [
        of.report_start.is_not(None),
        of.report_start >= begins,
        of.report_start < ends,
    ]
    if after is not None:
        place = tuple_(of.report_start, of.id) < tuple_(literal(after.at, UtcDateTime()), literal(after.id or ""))
        bounds += [of.report_start <= after.at, place]
    order = (of.report_start.desc(), of.id.desc())
    matching, end = _matching(only), None
    if matching:
        by_index = select(of.report_start, of.id).where(*bounds).order_by(*order).offset(SCAN - 1).limit(1)
        last = conn.execute(by_index).one_or_none()
        if last is not None:
            end = RowKey(at=last.report_start, id=last.id)
            beyond = tuple_(of.report_start, of.id) >= tuple_(literal(end.at, UtcDateTime()), literal(end.id))
            bounds += [of.report_start >= end.at, beyond]
    asked = select(of.id, of.report_start).where(*bounds, *matching).order_by(*order).limit(limit + 1)
    next_ones = conn.execute(asked).all()
    shown = next_ones[:limit]
    if len(next_ones) > limit:
        end = RowKey(at=shown[-1].report_start, id=shown[-1].id)
    known = _read(conn, [row.id for row in shown])
    return VisitPage(visits=[known[row.id] for row in shown], after=end)


def sums(conn: Connection, begins: datetime, ends: datetime, now: datetime) -> list[VisitSum]:
    """The visits whose start is in `[begins, ends)`, counted; read from the index alone. `now` is not used."""
    of = visits.c
    groups = (of.environment, of.outcome)
    counted = (
        select(
            *groups,
            func.count().label("visits"),
            func.count(of.lasted).label("timed"),
            func.coalesce(func.sum(of.lasted), 0).label("lasted"),
            func.count(of.lobby_wait).label("waited"),
            func.coalesce(func.sum(of.lobby_wait), 0).label("lobby_wait"),
        )
        .where(of.report_start.is_not(None), of.report_start >= begins, of.report_start < ends)
        .group_by(*groups)
        .order_by(*groups)
    )
    return [
        VisitSum(
            environment=row.environment,
            outcome=VisitOutcome(row.outcome),
            visits=row.visits,
            timed=row.timed,
            lasted=timedelta(microseconds=int(row.lasted)),
            waited=row.waited,
            lobby_wait=timedelta(microseconds=int(row.lobby_wait)),
        )
        for row in conn.execute(counted)
    ]


def _read(conn: Connection, ids: Sequence[str]) -> Mapping[str, ReportedVisit]:
    if not ids:
        return {}
    of, booked = visits.c, appointments.c
    rows = conn.execute(
        select(
            of.id, of.environment, of.appointment, of.department, of.state, of.conference, booked.reference,
            booked.provider, booked.planned_revision, func.coalesce(conferences.c.code, of.code).label("code"),
        )
        .join(appointments, booked.id == of.appointment)
        .outerjoin(conferences, conferences.c.id == of.conference)
        .where(of.id.in_(ids))
    ).all()  # fmt: skip
    signs: dict[str, list[MeetingSign]] = {own_id: [] for own_id in ids}
    for event in events(conn, ids):
        signs[event.visit].append(sign_of(event))
    owners = [row.appointment for row in rows]
    tests = device_tests.latest(conn, ids)
    texts, replies = _texts(conn, owners), patient_replies.last_effective(conn, owners)
    return {
        row.id: ReportedVisit(
            id=row.id,
            environment=row.environment,
            code=row.code,
            reference=row.reference,
            department=row.department,
            provider=row.provider,
            times=visit_times(signs[row.id], VisitState(row.state), in_group=row.conference is not None),
            device_test=tests.get(row.id),
            texts=texts.get(row.appointment, 0),
            reply=_of_present_time(replies.get(row.appointment), row.planned_revision),
        )
        for row in rows
    }


def _texts(conn: Connection, owners: Sequence[str]) -> dict[str, int]:
    of = outbox.c
    taken = select(of.appointment, func.count()).where(of.appointment.in_(owners), of.sent_at.is_not(None))
    return {row[0]: row[1] for row in conn.execute(taken.group_by(of.appointment))}


def _of_present_time(reply: PatientReply | None, planned_revision: int) -> PatientReply | None:
    """As `PatientReply.is_about`, without reading the whole appointment."""
    known = reply is not None and reply.revision is not None and reply.revision >= planned_revision
    return reply if known else None


def _matching(only: VisitFilter) -> list[Any]:
    of = visits.c
    conditions: list[ColumnElement[bool]] = []
    if only.environments is not None:
        conditions.append(of.environment.in_(sorted(only.environments)))
    if only.outcomes is not None:
        conditions.append(of.outcome.in_(sorted(outcome.value for outcome in only.outcomes)))
    return conditions
