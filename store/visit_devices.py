"""Who is in the waiting room: each open page says again and again that it is there, until its row's time is over.

The rows are the present only. That somebody came and went is an event (`visits.append`), which the caller notes with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from scheduler.visit_life import VisitRole, VisitState
from store.tables import visit_devices, visit_links, visits
from store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLink:
    """One person in the waiting room, on however many devices.

    Attributes:
        link: the link's key.
        since: when the first of the devices that are open came.
        admitted_at, put_off_at: what staff answered; None: nothing.
    """

    visit: str
    environment: str
    link: str
    role: VisitRole
    since: datetime
    admitted_at: datetime | None
    put_off_at: datetime | None


def stay(conn: Connection, link: str, device: str, now: datetime, until: datetime, *, limit: int) -> bool | None:
    """A page says that it is there. The link's visit is locked.

    Args:
        device: the page's own random name.
        until: it is gone unless it says so again.
        limit: on so many devices a link may be open.

    Returns:
        True: it is the link's first device, somebody came. False: others are there, or it was itself. None: too many are.
    """
    of = visit_devices.c
    open_devices = set(conn.execute(select(of.device).where(of.link == link, of.until > now)).scalars())
    if device not in open_devices and len(open_devices) >= limit:
        return None
    row = {"link": link, "device": device, "since": now, "until": until}
    new = insert_into(conn, visit_devices).values(row)
    again = {"until": until} if device in open_devices else {"since": now, "until": until}
    conn.execute(new.on_conflict_do_update(index_elements=["link", "device"], set_=again))
    return not open_devices


def leave(conn: Connection, link: str, device: str, now: datetime) -> bool:
    """A page was left. The link's visit is locked. Whether the person is gone: it was there, and no other device is."""
    of = visit_devices.c
    gone = conn.execute(delete(visit_devices).where(of.link == link, of.device == device)).rowcount
    return gone == 1 and not _open(conn, [link], now)


def others_wait(conn: Connection, visit: str, link: str, now: datetime) -> bool:
    """Whether somebody else is in the waiting room of this visit."""
    of = visit_links.c
    others = conn.execute(select(of.key).where(of.visit == visit, of.key != link)).scalars().all()
    return bool(_open(conn, others, now))


def silent(conn: Connection, now: datetime, *, limit: int = 200) -> list[tuple[str, str]]:
    """(visit, link) of people whose every page was heard of no more. `drop_silent` after the visit is locked."""
    of = visit_devices.c
    rows = conn.execute(
        select(visit_links.c.visit, of.link)
        .join(visit_links, visit_links.c.key == of.link)
        .group_by(visit_links.c.visit, of.link)
        .having(func.max(of.until) <= now)
        .order_by(visit_links.c.visit, of.link)
        .limit(limit)
    )
    return [(row.visit, row.link) for row in rows]


def drop_silent(conn: Connection, link: str, now: datetime) -> bool:
    """Delete the pages of a link that were heard of no more. The link's visit is locked. Whether the person is gone with them."""
    of = visit_devices.c
    gone = conn.execute(delete(visit_devices).where(of.link == link, of.until <= now)).rowcount
    return gone > 0 and not _open(conn, [link], now)


def forget(conn: Connection, visit: str) -> None:
    """Nobody waits for a visit that is canceled."""
    of_visit = select(visit_links.c.key).where(visit_links.c.visit == visit)
    conn.execute(delete(visit_devices).where(visit_devices.c.link.in_(of_visit)))


def waiting(conn: Connection, now: datetime, *, environments: Collection[str] | None = None) -> list[WaitingLink]:
    """Who is in a waiting room now, those first who wait longest; None: of every environment."""
    of, link = visit_devices.c, visit_links.c
    wanted = (
        select(
            visits.c.id, visits.c.environment, link.key, link.role, link.admitted_at, link.put_off_at,
            func.min(of.since).label("since"),
        )
        .join(visit_links, link.key == of.link)
        .join(visits, visits.c.id == link.visit)
        .where(of.until > now, link.revoked_at.is_(None), visits.c.state != VisitState.CANCELED.value)
        .group_by(visits.c.id, visits.c.environment, link.key, link.role, link.admitted_at, link.put_off_at)
        .order_by(func.min(of.since), link.key)
    )  # fmt: skip
    if environments is not None:
        wanted = wanted.where(visits.c.environment.in_(list(environments)))
    return [
        WaitingLink(
            visit=row.id,
            environment=row.environment,
            link=row.key,
            role=VisitRole(row.role),
            since=row.since,
            admitted_at=row.admitted_at,
            put_off_at=row.put_off_at,
        )
        for row in conn.execute(wanted)
    ]


def since(conn: Connection, link: str, now: datetime) -> datetime | None:
    """Since when who has the link is in the waiting room; None: they are not."""
    of = visit_devices.c
    asked = select(of.since).where(of.link == link, of.until > now).order_by(of.since).limit(1)
    came: datetime | None = conn.execute(asked).scalar_one_or_none()
    return came


def admit(conn: Connection, visit: str, link: str, now: datetime) -> bool:
    """Let somebody in. The visit is locked. False: let in before, or no such link."""
    of = visit_links.c
    let_in = (
        update(visit_links)
        .where(of.key == link, of.visit == visit, of.admitted_at.is_(None), of.revoked_at.is_(None))
        .values(admitted_at=now, put_off_at=None)
    )
    return conn.execute(let_in).rowcount == 1


def put_off(conn: Connection, visit: str, link: str, now: datetime) -> bool:
    """Ask somebody for more minutes; whoever was let in waits again. The visit is locked. False: no such link."""
    of = visit_links.c
    asked = (
        update(visit_links)
        .where(of.key == link, of.visit == visit, of.revoked_at.is_(None))
        .values(admitted_at=None, put_off_at=now)
    )
    return conn.execute(asked).rowcount == 1


def _open(conn: Connection, links: Collection[str], now: datetime) -> list[str]:
    of = visit_devices.c
    return list(conn.execute(select(of.link).where(of.link.in_(list(links)), of.until > now)).scalars())
