"""Where visits take place: each visit in a meeting of its own, those of one group in one.

    place = meeting_places.place_of(conn, visit)
    meeting_places.meeting_of(conn, vault, place)

What is asked of a meeting, made for it and told by it concerns a place; its code is that of the visit, or of the group.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select

from scheduler.visit_life import VisitEventSource, VisitState, VisitWindow
from store import conferences, visits
from store.conferences import Conference
from store.tables import conferences as conference_rows
from store.tables import visit_events
from store.tables import visits as visit_rows
from store.vault import Vault
from store.visits import VideoVisit, not_over


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPlace:
    """A visit by itself, or a group of visits.

    Attributes:
        id: ours, of the visit or of the group.
        code: random; the name of the meeting's room.
        start: of the visit, or of the first one of the group; None: not known.
        reference: an appointment that takes place there, for the log.
        visits: our ids of those that take place there.
        conference: the group; None: a visit by itself.
    """

    id: str
    environment: str
    code: str
    window: VisitWindow
    start: datetime | None
    reference: str
    visits: tuple[str, ...]
    conference: Conference | None = None


def place_of(conn: Connection, visit: VideoVisit) -> MeetingPlace:
    """Where a visit takes place."""
    known = {} if visit.conference is None else conferences.by_id(conn, [visit.conference])
    if visit.conference is None or visit.conference not in known:
        return place_alone(visit)
    return _of_group(conn, known[visit.conference])


def place_alone(visit: VideoVisit) -> MeetingPlace:
    """The place of a visit that goes where its own message says, in a group or not."""
    return MeetingPlace(
        id=visit.id,
        environment=visit.environment,
        code=visit.code,
        window=visit.window,
        start=visit.start,
        reference=visit.reference,
        visits=(visit.id,),
    )


def places_of(conn: Connection, of: Iterable[VideoVisit]) -> list[MeetingPlace]:
    """The places of visits, each once."""
    places: dict[str, MeetingPlace] = {}
    for visit in of:
        if visit.conference is None or visit.conference not in places:
            place = place_of(conn, visit)
            places[place.id] = place
    return list(places.values())


def by_id(conn: Connection, own_id: str) -> MeetingPlace | None:
    """A place by its id."""
    visit = next(iter(visits.by_id(conn, [own_id])), None)
    if visit is not None:
        return place_alone(visit)
    known = conferences.by_id(conn, [own_id])
    return _of_group(conn, known[own_id]) if known else None


def locked(conn: Connection, own_id: str) -> MeetingPlace | None:
    """As `by_id`; nobody else changes its meeting until the commit."""
    if visits.lock(conn, own_id) is None:
        conferences.lock(conn, own_id)
    return by_id(conn, own_id)


def by_code(conn: Connection, environment: str, code: str) -> MeetingPlace | None:
    """The place of an environment with this code; None: the meeting is somebody else's."""
    of, group = visit_rows.c, conference_rows.c
    alone = select(of.id).where(of.code == code, of.environment == environment)
    grouped = select(group.id).where(group.code == code, group.environment == environment)
    own_id: str | None = conn.execute(alone.union_all(grouped)).scalar_one_or_none()
    return None if own_id is None else by_id(conn, own_id)


# Meetings


def meeting_of(conn: Connection, vault: Vault, place: MeetingPlace) -> str | None:
    """The meeting's address or reference as it was stored; None: none is known, or its day is over."""
    if place.conference is not None:
        return conferences.meeting_of(conn, vault, place.id)
    return visits.meeting_of(conn, vault, place.id)


def set_meeting(conn: Connection, vault: Vault, place: MeetingPlace, meeting: str) -> None:
    """Store where it takes place, sealed until its link, or the last link of the group, ends. A visit by itself is locked."""
    if place.conference is not None:
        conferences.set_meeting(conn, vault, place.conference, meeting)
    else:
        visits.set_meeting(conn, vault, place.id, meeting, place.window)


def without_meeting(
    conn: Connection, environment: str, now: datetime, before: datetime, *, limit: int = 20
) -> list[MeetingPlace]:
    """An environment's places to come in before `before` whose meeting nobody made yet, the next first."""
    of, group = visit_rows.c, conference_rows.c
    alone = select(of.id).where(
        not_over(), of.environment == environment, of.conference.is_(None), of.meeting_ref.is_(None),
        of.ends_at > now, of.opens_at <= before,
    )  # fmt: skip
    grouped = select(group.id).where(
        group.environment == environment, group.reference.is_not(None), group.meeting_ref.is_(None),
        group.ends_at > now, group.opens_at <= before, _goes_on(),
    )  # fmt: skip
    ids = [
        *conn.execute(alone.order_by(of.opens_at, of.id).limit(limit)).scalars(),
        *conn.execute(grouped.order_by(group.opens_at, group.id).limit(limit)).scalars(),
    ]
    known = [place for own_id in ids if (place := by_id(conn, own_id)) is not None]
    return sorted(known, key=lambda place: (place.window.opens_at, place.id))[:limit]


def unreported(
    conn: Connection, environment: str, now: datetime, before: datetime, *, limit: int = 20
) -> list[MeetingPlace]:
    """An environment's places whose meeting is known and gave no report, and that are over or end before `before`."""
    of, group = visit_rows.c, conference_rows.c
    events = visit_events.c
    by_report = select(events.visit).where(events.source == VisitEventSource.REPORT.value)
    over = of.state.in_([VisitState.ENDED.value, VisitState.NO_SHOW.value]) | (of.ends_at <= before)
    alone = select(of.id).where(
        of.environment == environment, of.conference.is_(None), of.meeting_ref.is_not(None), of.ends_at > now, over,
        ~by_report.where(events.visit == of.id).exists(),
    )  # fmt: skip
    of_group = by_report.join(visit_rows, of.id == events.visit).where(of.conference == group.id)
    grouped = select(group.id).where(
        group.environment == environment, group.meeting_ref.is_not(None), group.ends_at > now,
        (group.ends_at <= before) | ~_goes_on(), ~of_group.exists(),
    )  # fmt: skip
    ids = [
        *conn.execute(alone.order_by(of.ends_at, of.id).limit(limit)).scalars(),
        *conn.execute(grouped.order_by(group.ends_at, group.id).limit(limit)).scalars(),
    ]
    known = [place for own_id in ids if (place := by_id(conn, own_id)) is not None]
    return sorted(known, key=lambda place: (place.window.ends_at, place.id))[:limit]


def _goes_on() -> ColumnElement[bool]:
    """A visit of the group is not over."""
    return select(visit_rows.c.id).where(visit_rows.c.conference == conference_rows.c.id, not_over()).exists()


def _of_group(conn: Connection, conference: Conference) -> MeetingPlace:
    together = [visit for visit in conferences.members(conn, conference.id) if visit.state is not VisitState.CANCELED]
    starts = [visit.start for visit in together if visit.start is not None]
    return MeetingPlace(
        id=conference.id,
        environment=conference.environment,
        code=conference.code,
        window=conference.window,
        start=min(starts, default=None),
        reference=together[0].reference if together else "",
        visits=tuple(visit.id for visit in together),
        conference=conference,
    )
