"""Visits of appointments: made, moved, canceled and taken over in the transaction that plans the appointment.

One visit has one patient's link for all its life: a reschedule moves the window and keeps the token, so that the link in an old
text stays right.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, case, update

from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState, VisitWindow
from scheduler.visit_times import VisitOutcome
from store import visit_devices, visit_links
from store.crypto import Undecipherable
from store.join_tokens import new_visit_code
from store.tables import visits
from store.vault import Vault
from store.visits import VideoVisit, VisitEvent, append, lock, locked, meeting_of, sealed_meeting, set_meeting


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPlan:
    """What an appointment's present state asks for.

    Attributes:
        appointment: our id.
        window: when its link is open; None: no link (any more), because the visit is canceled or is no video visit.
        kind: of its meeting. meeting: its address, if the message gave one.
    """

    environment: str
    appointment: str
    window: VisitWindow | None
    kind: str
    meeting: str | None = field(default=None, repr=False)


def keep(
    conn: Connection,
    vault: Vault,
    plans: Iterable[VisitPlan],
    now: datetime,
    *,
    random: Callable[[int], int] = secrets.randbelow,
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
) -> list[VisitEvent]:
    """Make, move and cancel visits as planned, in the transaction that saves their appointments, after these.

    A canceled visit that is booked again under the same id keeps its link. A visit whose link ended and that was moved to a later
    day gets a new one if its token is forgotten.

    Args:
        plans: one for each appointment that changed. random: n -> a number from 0 to n - 1.

    Returns:
        What changed, to be logged after the commit.
    """
    wanted = {plan.appointment: plan for plan in plans}
    known = (
        {visit.appointment: visit for visit in locked(conn, visits.c.appointment.in_(list(wanted)))} if wanted else {}
    )
    events = []
    for own_id, plan in sorted(wanted.items()):
        visit = known.get(own_id)
        if visit is None:
            if plan.window is not None and plan.window.ends_at > now:
                events.append(_made(conn, vault, plan, plan.window, now, random, new_id()))
        elif plan.window is None:
            if not visit.state.is_over:
                visit_devices.forget(conn, visit.id)
                events.append(append(conn, visit, VisitEventKind.CANCELED, at=now, source=VisitEventSource.FEED))
        else:
            events += _kept(conn, vault, visit, plan, plan.window, now, random)
    return events


def adopt(conn: Connection, kept: str, others: Collection[str]) -> None:
    """Several appointments proved to be one visit, or one goes on as another: `kept` takes over their visits, and their links stay.

    Args:
        kept, others: our ids of the appointments; both exist. Call it before `keep`.
    """
    known = {visit.appointment: visit for visit in locked(conn, visits.c.appointment.in_([kept, *others]))}
    for other in sorted(set(others) & known.keys()):
        visit = known[other]
        if kept in known:
            visit_links.take_over(conn, known[kept], visit)
            canceled = case((visits.c.report_start.is_not(None), VisitOutcome.CANCELED.value))
            state = VisitState.CANCELED.value
            conn.execute(update(visits).where(visits.c.id == visit.id).values(state=state, outcome=canceled))
        else:
            conn.execute(update(visits).where(visits.c.id == visit.id).values(appointment=kept))
            known[kept] = replace(visit, appointment=kept)


def _made(
    conn: Connection,
    vault: Vault,
    plan: VisitPlan,
    window: VisitWindow,
    now: datetime,
    random: Callable[[int], int],
    own_id: str,
) -> VisitEvent:
    conn.execute(
        visits.insert().values(
            id=own_id,
            environment=plan.environment,
            appointment=plan.appointment,
            code=new_visit_code(random),
            meeting_ref=sealed_meeting(conn, vault, own_id, plan.meeting, window),
            kind=plan.kind,
            opens_at=window.opens_at,
            ends_at=window.ends_at,
            state=VisitState.PLANNED.value,
            created_at=now,
        )
    )
    visit = lock(conn, own_id)
    assert visit is not None
    visit_links.new_link(conn, vault, visit, VisitRole.PATIENT, now, random=random)
    return append(conn, visit, VisitEventKind.PLANNED, at=now, source=VisitEventSource.FEED)


def _kept(
    conn: Connection,
    vault: Vault,
    visit: VideoVisit,
    plan: VisitPlan,
    window: VisitWindow,
    now: datetime,
    random: Callable[[int], int],
) -> list[VisitEvent]:
    """Of a visit that took place only another start is news: many an EHR corrects the duration when it is over."""
    if visit.state in (VisitState.ENDED, VisitState.NO_SHOW) and (
        window.opens_at == visit.window.opens_at or window.ends_at <= now
    ):
        return []
    events = []
    if visit.state is VisitState.CANCELED:
        events.append(append(conn, visit, VisitEventKind.REBOOKED, at=now, source=VisitEventSource.FEED))
        visit = replace(visit, state=VisitState.PLANNED)
    if window != visit.window:
        _move(conn, vault, visit, window)
        visit = replace(visit, window=window)
        events.append(append(conn, visit, VisitEventKind.MOVED, at=now, source=VisitEventSource.FEED))
    if plan.meeting is not None and not _is_meeting(conn, vault, visit, plan.meeting):
        set_meeting(conn, vault, visit, plan.meeting)
    if plan.kind != visit.kind:
        conn.execute(update(visits).where(visits.c.id == visit.id).values(kind=plan.kind))
    if window.ends_at > now and visit_links.needs_another(conn, visit):
        visit_links.new_link(conn, vault, visit, VisitRole.PATIENT, now, random=random)
    return events


def _move(conn: Connection, vault: Vault, visit: VideoVisit, window: VisitWindow) -> None:
    meeting = None
    with suppress(Undecipherable):  # the next message gives it again
        meeting = meeting_of(conn, vault, visit)
    sealed = None if meeting is None else sealed_meeting(conn, vault, visit.id, meeting, window)
    conn.execute(
        update(visits)
        .where(visits.c.id == visit.id)
        .values(opens_at=window.opens_at, ends_at=window.ends_at, meeting_ref=sealed)
    )
    visit_links.move(conn, vault, visit.id, window, from_end=visit.window.ends_at)


def _is_meeting(conn: Connection, vault: Vault, visit: VideoVisit, meeting: str) -> bool:
    try:
        return meeting_of(conn, vault, visit) == meeting
    except Undecipherable:
        return False
