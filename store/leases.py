"""Jobs that only one node does at a time, and the list of nodes. A job has a lease instead of a lock, so that another node can
take over the job of a dead node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, or_, select

from store.tables import leases, nodes
from store.upsert import insert_into

ALIVE: Final = timedelta(minutes=1)
"""A node counts as running if its last heartbeat is at most this old. A node writes one every 15 s."""
_CLOCKS_DIFFER: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Attributes:
    roles: comma-separated, as given to `serve --roles`.
    seen_at: its last heartbeat, UTC.
    configuration: the version that is in force there, since `configured_at`; None before 0.2.
    restart_for: its top-level keys that wait for a restart, comma-separated; None: none does.
    """

    name: str
    roles: str
    version: str
    started_at: datetime
    seen_at: datetime
    configuration: str | None = None
    configured_at: datetime | None = None
    restart_for: str | None = None


def is_at(node: str, place: str) -> bool:
    """Whether a place is the node itself or its host: a node's name is HOST-PID-RANDOM, and a host's name may have dashes."""
    return place in (node, node.rsplit("-", 2)[0])


def acquire(conn: Connection, job: str, holder: str, *, now: datetime, lasts: timedelta) -> bool:
    """Take or prolong a job; False: another holder's lease has not expired. The work must take much less than `lasts`."""
    insert = insert_into(conn, leases)
    taken = insert.values(job=job, holder=holder, until=now + lasts).on_conflict_do_update(
        index_elements=["job"],
        set_={"holder": insert.excluded.holder, "until": insert.excluded.until},
        # If a lease ends later than a new one would, it was taken before the clock was set back.
        where=or_(leases.c.holder == holder, leases.c.until <= now, leases.c.until > now + lasts + _CLOCKS_DIFFER),
    )
    return conn.execute(taken.returning(leases.c.job)).first() is not None


def is_known(conn: Connection, job: str) -> bool:
    """Whether somebody took the job and never gave it back, even if that lease is over."""
    return conn.execute(select(leases.c.job).where(leases.c.job == job)).first() is not None


def release(conn: Connection, job: str, holder: str) -> bool:
    """Give the job back early; False: this holder no longer had it."""
    return conn.execute(delete(leases).where(leases.c.job == job, leases.c.holder == holder)).rowcount > 0


def beat(conn: Connection, node: Node) -> None:
    """Record this node's heartbeat."""
    values = {
        "name": node.name, "roles": node.roles, "version": node.version,
        "started_at": node.started_at, "seen_at": node.seen_at,
        "configuration": node.configuration, "configured_at": node.configured_at,
        "restart_for": node.restart_for,
    }  # fmt: skip
    insert = insert_into(conn, nodes).values(values)
    conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_={**values}))


def leave(conn: Connection, name: str) -> None:
    """This node has ended: nothing runs there any more, and its jobs are free at once."""
    conn.execute(delete(nodes).where(nodes.c.name == name))
    conn.execute(delete(leases).where(leases.c.holder == name))


def seen(conn: Connection, *, since: datetime) -> list[Node]:
    """The nodes with a heartbeat since then, by name."""
    alive = select(nodes).where(nodes.c.seen_at >= since).order_by(nodes.c.name)
    return [Node(**row) for row in conn.execute(alive).mappings()]
