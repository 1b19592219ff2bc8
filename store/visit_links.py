"""Join links: each person's own way into one visit.

    find(conn, vault.ring, token, now)          # somebody opened one
    tokens(conn, vault, appointments, now)      # for the texts that are rendered now

A link is found by the HMAC of its token (`KeyRing.link_key`). The token itself is sealed with the key of the day on which the link
ends, because texts are rendered at each attempt; it is deleted when the appointment is forgotten, and the whole link when its time
is over. A link that is made later than that has none.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, null, select, update

from scheduler.appointment import Appointment
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState, VisitWindow
from store.conferences import Conference
from store.crypto import Undecipherable, day_of, sealed_day
from store.join_tokens import is_join_token, new_join_token
from store.keys import KeyRing
from store.sealing import SealedColumn
from store.tables import appointments, visit_devices, visit_links, visits
from store.vault import Vault
from store.visits import VideoVisit, VisitEvent, append, read_visit, with_appointment

_TOKEN: Final = SealedColumn(table="visit_links", column="sealed")
_SHORTER: Final = timedelta(microseconds=1)
"""A link that lasts a time of its own ends so much before its visit at the latest: another one ends with the visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitLink:
    """One person's link of a visit. The token is not here.

    Attributes:
        key: `KeyRing.link_key` of the token; the `ref` of this person's events.
        admitted_at: since when who has it may go on to the meeting; None: not yet.
        put_off_at: when staff last asked for more minutes.
        conference: of a provider who was launched into a group: it is the group's link, whatever becomes of `visit`.
    """

    key: str
    visit: str
    role: VisitRole
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None
    admitted_at: datetime | None
    put_off_at: datetime | None
    conference: str | None = None


def new_link(
    conn: Connection,
    vault: Vault,
    visit: VideoVisit,
    role: VisitRole,
    now: datetime,
    *,
    lasts: timedelta | None = None,
    conference: Conference | None = None,
    random: Callable[[int], int] = secrets.randbelow,
) -> str:
    """A further link of a locked visit; its token, which is told nowhere else. It ends with the visit's window.

    Args:
        lasts: it ends so long after `now`, or right before the window if that is earlier; it is never longer, wherever the visit
            moves, and no text ever names it.
        conference: it is the link of this group, of which the visit is one, and ends with that.
    """
    token = new_join_token(random)
    key = vault.ring.link_key(token)
    until = (visit if conference is None else conference).window.ends_at
    named = lasts is None and not _is_forgotten(conn, visit.appointment)
    sealed = _TOKEN.seal(conn, vault, key, token.encode(), until=until) if named else None
    conn.execute(
        visit_links.insert().values(
            key=key,
            visit=visit.id,
            role=role.value,
            sealed=sealed,
            created_at=now,
            conference=None if conference is None else conference.id,
            ends_at=until if lasts is None else min(until - _SHORTER, now + lasts),
        )
    )
    return token


def find(conn: Connection, ring: KeyRing, token: str, now: datetime) -> tuple[VideoVisit, VisitLink] | None:
    """The visit behind a link that somebody opened; None: unknown, revoked or over, which must look alike.

    Every token of the right form costs the same one statement.
    """
    if not is_join_token(token):
        return None
    of = visit_links.c
    asked = (
        with_appointment(*of)
        .join(visit_links, of.visit == visits.c.id)
        .where(of.key == ring.link_key(token), of.revoked_at.is_(None), of.ends_at > now)
    )
    row = conn.execute(asked).mappings().one_or_none()
    return None if row is None else (read_visit(row), _link(row))


def tokens(
    conn: Connection, vault: Vault, owners: Collection[str], now: datetime, *, unreadable: set[str] | None = None
) -> dict[str, str]:
    """Appointment id -> the token that its texts name; absent: no link, none any more, or the visit is canceled.

    Args:
        unreadable: appointments whose token no existing key can decrypt are added to it; None: the first one raises
            `crypto.Undecipherable`.
    """
    if not owners:
        return {}
    of = visit_links.c
    rows = conn.execute(
        select(visits.c.appointment, of.key, of.sealed)
        .join(visit_links, of.visit == visits.c.id)
        .where(
            visits.c.appointment.in_(list(owners)),
            visits.c.state != VisitState.CANCELED.value,
            of.role == VisitRole.PATIENT.value,
            of.revoked_at.is_(None),
            of.ends_at > now,
            of.sealed.is_not(None),
        )
        .order_by(of.created_at, of.key)
    ).all()
    named: dict[str, str] = {}
    for row in rows:
        try:
            token = _TOKEN.unseal(conn, vault, row.key, bytes(row.sealed))
        except Undecipherable:
            if unreadable is None:
                raise
            unreadable.add(row.appointment)
        else:
            if token is not None:
                named[row.appointment] = token.decode()
    return named


def links(conn: Connection, visit: str) -> list[VisitLink]:
    """The links that a visit still has, oldest first, revoked ones included."""
    of = visit_links.c
    rows = conn.execute(select(visit_links).where(of.visit == visit).order_by(of.created_at, of.key)).mappings()
    return [_link(row) for row in rows]


def revoke(
    conn: Connection, visit: VideoVisit, key: str, now: datetime, *, source: VisitEventSource
) -> VisitEvent | None:
    """End one link of a locked visit from the commit on; None: it has no such link, or it is revoked already."""
    of = visit_links.c
    ended = (
        update(visit_links)
        .where(of.key == key, of.visit == visit.id, of.revoked_at.is_(None))
        .values(revoked_at=now, sealed=null())
    )
    if conn.execute(ended).rowcount == 0:
        return None
    conn.execute(delete(visit_devices).where(visit_devices.c.link == key))
    return append(conn, visit, VisitEventKind.REVOKED, at=now, who=VisitRole.STAFF, source=source, ref=key)


def move(conn: Connection, vault: Vault, visit: str, window: VisitWindow, *, from_end: datetime) -> None:
    """A locked visit's links, without those of its group, end with its new window, and their tokens are sealed with the key of that
    day.

    Args:
        from_end: when its window ended before; links that end earlier than that are no longer than they were.
    """
    of = visit_links.c
    for key, sealed in conn.execute(select(of.key, of.sealed).where(of.visit == visit)).all():
        if sealed is not None and sealed_day(sealed) != day_of(window.ends_at):
            token = None
            with suppress(Undecipherable):  # with the key file of another day: the visit gets a new link
                token = _TOKEN.unseal(conn, vault, key, bytes(sealed))
            again = None if token is None else _TOKEN.seal(conn, vault, key, token, until=window.ends_at)
            conn.execute(update(visit_links).where(of.key == key).values(sealed=again))
    _end_with(conn, visit, window.ends_at, from_end=from_end)


def take_over(conn: Connection, visit: VideoVisit, other: VideoVisit) -> None:
    """The links of another visit lead to this one from now on; texts name this one's own. Both are locked. A link that was shorter
    than its visit stays so."""
    _end_with(conn, other.id, visit.window.ends_at, from_end=other.window.ends_at)
    conn.execute(update(visit_links).where(visit_links.c.visit == other.id).values(visit=visit.id, sealed=null()))


def _end_with(conn: Connection, visit: str, ends_at: datetime, *, from_end: datetime) -> None:
    """A visit's links end at `ends_at` if they ended at `from_end`; those that ended earlier end before it, and never later than
    before."""
    of = visit_links.c
    own = update(visit_links).where(of.visit == visit, of.conference.is_(None))
    conn.execute(own.where(of.ends_at < from_end, of.ends_at >= ends_at).values(ends_at=ends_at - _SHORTER))
    conn.execute(own.where(of.ends_at >= from_end).values(ends_at=ends_at))


def needs_another(conn: Connection, visit: VideoVisit) -> bool:
    """Whether a text may leave and could name no link of this visit although none was revoked: all are forgotten, or their time was
    over."""
    of = visit_links.c
    rows = conn.execute(
        select(of.sealed.is_not(None).label("sealed"), of.revoked_at).where(
            of.visit == visit.id, of.role == VisitRole.PATIENT.value
        )
    ).all()
    if any(row.sealed or row.revoked_at is not None for row in rows):
        return False
    return not (rows and _is_forgotten(conn, visit.appointment))


def wait_again(conn: Connection, visit: str) -> None:
    """Whoever was let in to a locked visit waits again, because it takes place elsewhere."""
    of = visit_links.c
    conn.execute(
        update(visit_links)
        .where(of.visit == visit, of.conference.is_(None))
        .values(admitted_at=null(), put_off_at=null())
    )


def forget_tokens(conn: Connection, owners: Collection[str]) -> None:
    """Delete the tokens of these appointments' links, in the transaction that forgets them: no text leaves any more. Until its end
    a link is still recognised by its HMAC."""
    ids = select(visits.c.id).where(visits.c.appointment.in_(list(owners)))
    conn.execute(
        update(visit_links).where(visit_links.c.visit.in_(ids), visit_links.c.sealed.is_not(None)).values(sealed=null())
    )


def _is_forgotten(conn: Connection, owner: str) -> bool:
    """Whether no text about this appointment leaves any more, unless a message brings a new start."""
    of = appointments.c
    return conn.execute(select(of.id).where(of.id == owner, of.forget_at.is_(None))).first() is not None


def forget_late(conn: Connection, saved: Iterable[Appointment], now: datetime) -> None:
    """As `forget_tokens`, for those appointments that were saved at or after their deadline: no round finds them.

    Call it after `visit_planning.keep`, which locks visits before links.
    """
    owners = [visit.id for visit in saved if (at := visit.deadline) is None or at <= now]
    if owners:
        forget_tokens(conn, owners)


def forget_unreadable(conn: Connection, begins: datetime, ends: datetime) -> None:
    """Delete what was sealed for links that end in `[begins, ends)`: no key opens it. Planning gives these visits new links."""
    of = visit_links.c
    conn.execute(update(visit_links).where(of.ends_at >= begins, of.ends_at < ends).values(sealed=null()))
    conn.execute(update(visits).where(visits.c.ends_at >= begins, visits.c.ends_at < ends).values(meeting_ref=null()))


def expire(conn: Connection, now: datetime) -> int:
    """Delete the links whose time is over; how many. Events and visits stay: nothing of a patient is in them."""
    conn.execute(
        update(visits).where(visits.c.ends_at <= now, visits.c.meeting_ref.is_not(None)).values(meeting_ref=null())
    )
    return conn.execute(delete(visit_links).where(visit_links.c.ends_at <= now)).rowcount


def _link(row: Mapping[Any, Any]) -> VisitLink:
    mark = "link_" if "link_key" in row else ""
    return VisitLink(
        key=row[f"{mark}key"],
        visit=row[f"{mark}visit"],
        role=VisitRole(row[f"{mark}role"]),
        created_at=row[f"{mark}created_at"],
        ends_at=row[f"{mark}ends_at"],
        revoked_at=row[f"{mark}revoked_at"],
        admitted_at=row[f"{mark}admitted_at"],
        put_off_at=row[f"{mark}put_off_at"],
        conference=row[f"{mark}conference"],
    )
