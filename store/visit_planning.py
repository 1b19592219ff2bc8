"""Visits of appointments: made, moved, canceled and taken over in the transaction that plans the appointment.

One visit has one patient's link for all its life: a reschedule moves the window and keeps the token, so that the link in an old
text stays right. A visit that a message puts into a group takes place there (`conferences`) with a link of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, case, update

from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState, VisitWindow
from scheduler.visit_times import VisitOutcome
from store import conferences, visit_devices, visit_links
from store.conferences import Conference, ConferenceKey
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
        conference: the hospital's id of the visit's group; "": it is in none; None: it stays as it is.
        day: of the visit at the clinic, as in `ConferenceKey`; None: no message is read for groups.
    """

    environment: str
    appointment: str
    window: VisitWindow | None
    kind: str
    meeting: str | None = field(default=None, repr=False)
    conference: str | None = None
    day: str | None = None


def keep(
    conn: Connection,
    vault: Vault,
    plans: Iterable[VisitPlan],
    now: datetime,
    *,
    left: Collection[str] = (),
    random: Callable[[int], int] = secrets.randbelow,
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
) -> list[VisitEvent]:
    """Make, move and cancel visits as planned, in the transaction that saves their appointments, after these.

    A canceled visit that is booked again under the same id keeps its link. A visit whose link ended and that was moved to a later
    day gets a new one if its token is forgotten.

    Args:
        plans: one for each appointment that changed. left: our ids of the groups that `adopt` took a visit from.
        random: n -> a number from 0 to n - 1.

    Returns:
        What changed, to be logged after the commit.
    """
    wanted = {plan.appointment: plan for plan in plans}
    known = (
        {visit.appointment: visit for visit in locked(conn, visits.c.appointment.in_(list(wanted)))} if wanted else {}
    )
    groups = _Groups.of(conn, wanted, known, left, now, random)
    events = []
    for own_id, plan in sorted(wanted.items()):
        visit = known.get(own_id)
        if visit is None:
            if plan.window is not None and plan.window.ends_at > now:
                events.append(_made(conn, vault, plan, plan.window, now, random, new_id(), groups.wanted_by(plan)))
        elif plan.window is None:
            if not visit.state.is_over:
                visit_devices.forget(conn, visit.id)
                events.append(append(conn, visit, VisitEventKind.CANCELED, at=now, source=VisitEventSource.FEED))
        else:
            events += _kept(conn, vault, visit, plan, plan.window, now, random, groups)
    conferences.fit(conn, vault, groups.locked.values())
    return events


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    """The groups that the plans of one transaction are about.

    Attributes:
        present: those that their visits are in now, or were until they proved to be others, by our ids.
        locked: those, as far as they are not over, and the ones to which their visits belong from now on.
    """

    present: Mapping[str, Conference]
    locked: Mapping[ConferenceKey, Conference]

    @classmethod
    def of(
        cls,
        conn: Connection,
        plans: Mapping[str, VisitPlan],
        known: Mapping[str, VideoVisit],
        left: Collection[str],
        now: datetime,
        random: Callable[[int], int],
    ) -> _Groups:
        present = conferences.by_id(
            conn, {*left, *(visit.conference for visit in known.values() if visit.conference is not None)}
        )
        wanted: dict[ConferenceKey, VisitWindow | None] = {
            group.key: None for group in present.values() if group.key is not None
        }
        for own_id, plan in plans.items():
            key = _key(plan, _group(known.get(own_id), present))
            if key is not None and plan.window is not None and plan.window.ends_at > now:
                wanted.setdefault(key, plan.window)
        locked = conferences.settle_into(conn, wanted, now, random=random) if wanted else {}
        return cls(present=present, locked=locked)

    def wanted_by(self, plan: VisitPlan, visit: VideoVisit | None = None) -> str | None:
        """Our id of the group that a visit belongs to from now on; None: it takes place by itself."""
        group = _group(visit, self.present)
        key = _key(plan, group)
        if key is not None:
            return self.locked[key].id if key in self.locked else None if group is None else group.id
        if plan.conference is not None or group is None or plan.window is None:
            return None
        # The group's time is over, and with it what it was called: a visit that was moved away from it is by itself.
        return group.id if plan.window.opens_at < group.window.ends_at else None


def _group(visit: VideoVisit | None, present: Mapping[str, Conference]) -> Conference | None:
    return None if visit is None or visit.conference is None else present.get(visit.conference)


def _key(plan: VisitPlan, group: Conference | None) -> ConferenceKey | None:
    """The group that a plan asks for; one that says nothing of it keeps the visit in its own, on the day to which it is moved."""
    reference = plan.conference if plan.conference is not None else None if group is None else group.reference
    day = plan.day or (None if group is None else group.day)
    return ConferenceKey(plan.environment, reference, day) if reference and day is not None else None


def adopt(conn: Connection, kept: str, others: Collection[str]) -> set[str]:
    """Several appointments proved to be one visit, or one goes on as another: `kept` takes over their visits, and their links stay.

    Args:
        kept, others: our ids of the appointments; both exist. Call it before `keep`.

    Returns:
        The groups that had a visit which is canceled now: `keep` locks them after all visits, and fits them.
    """
    left = set[str]()
    known = {visit.appointment: visit for visit in locked(conn, visits.c.appointment.in_([kept, *others]))}
    for other in sorted(set(others) & known.keys()):
        visit = known[other]
        if kept in known:
            visit_links.take_over(conn, known[kept], visit)
            canceled = case((visits.c.report_start.is_not(None), VisitOutcome.CANCELED.value))
            state = VisitState.CANCELED.value
            conn.execute(update(visits).where(visits.c.id == visit.id).values(state=state, outcome=canceled))
            if visit.conference is not None:
                left.add(visit.conference)
        else:
            conn.execute(update(visits).where(visits.c.id == visit.id).values(appointment=kept))
            known[kept] = replace(visit, appointment=kept)
    return left


def _made(
    conn: Connection,
    vault: Vault,
    plan: VisitPlan,
    window: VisitWindow,
    now: datetime,
    random: Callable[[int], int],
    own_id: str,
    conference: str | None,
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
            conference=conference,
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
    groups: _Groups,
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
    conference = groups.wanted_by(plan, visit)
    if conference != visit.conference:
        conn.execute(update(visits).where(visits.c.id == visit.id).values(conference=conference))
        visit_links.wait_again(conn, visit.id)  # they were let in elsewhere
        visit = replace(visit, conference=conference)
        events.append(append(conn, visit, VisitEventKind.REGROUPED, at=now, source=VisitEventSource.FEED))
    if plan.meeting is not None and not _is_meeting(conn, vault, visit, plan.meeting):
        set_meeting(conn, vault, visit.id, plan.meeting, window)
    if plan.kind != visit.kind:
        conn.execute(update(visits).where(visits.c.id == visit.id).values(kind=plan.kind))
    if window.ends_at > now and visit_links.needs_another(conn, visit):
        visit_links.new_link(conn, vault, visit, VisitRole.PATIENT, now, random=random)
    return events


def _move(conn: Connection, vault: Vault, visit: VideoVisit, window: VisitWindow) -> None:
    meeting = None
    with suppress(Undecipherable):  # the next message gives it again
        meeting = meeting_of(conn, vault, visit.id)
    sealed = None if meeting is None else sealed_meeting(conn, vault, visit.id, meeting, window)
    conn.execute(
        update(visits)
        .where(visits.c.id == visit.id)
        .values(opens_at=window.opens_at, ends_at=window.ends_at, meeting_ref=sealed)
    )
    visit_links.move(conn, vault, visit.id, window, from_end=visit.window.ends_at)


def _is_meeting(conn: Connection, vault: Vault, visit: VideoVisit, meeting: str) -> bool:
    try:
        return meeting_of(conn, vault, visit.id) == meeting
    except Undecipherable:
        return False
