"""The alarms that are raised now, for all nodes and across restarts: each is said once, by one node."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from store.instants import from_microseconds, to_microseconds
from store.tables import meta
from store.upsert import insert_into

_PREFIX: Final = "alarm:"
_WATCHED: Final = "watched:"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedAlarm:
    """One alarm that is raised.

    Attributes:
        alarm: its stable name.
        node: the node or host that it is about; empty: the whole service.
        subject: what it is about; empty: nothing in particular.
        environment: empty: none.
        said_at: when it was last logged.
        value: measured when it was last logged.
        problem: the sentence of that line.
    """

    alarm: str
    node: str
    subject: str
    environment: str
    severity: str
    since: datetime
    said_at: datetime
    value: float | None
    problem: str


def raised(conn: Connection) -> list[RaisedAlarm]:
    """Every raised alarm, oldest first."""
    rows = conn.execute(select(meta.c.name, meta.c.value).where(meta.c.name.startswith(_PREFIX, autoescape=True)))
    return sorted((_read(name, value) for name, value in rows), key=lambda alarm: (alarm.since, alarm.alarm))


def raise_alarm(conn: Connection, alarm: RaisedAlarm) -> bool:
    """Store it; False: it is raised already."""
    insert = insert_into(conn, meta).values(name=_name(alarm), value=_value(alarm))
    return conn.execute(insert.on_conflict_do_nothing().returning(meta.c.name)).first() is not None


def say_again(
    conn: Connection, before: RaisedAlarm, *, at: datetime, severity: str, value: float | None, problem: str
) -> bool:
    """Note that it is logged once more; False: another node did, or it was cleared."""
    after = replace(before, said_at=at, severity=severity, value=value, problem=problem)
    same = (meta.c.name == _name(before)) & (meta.c.value == _value(before))
    return conn.execute(update(meta).where(same).values(value=_value(after))).rowcount > 0


def clear(conn: Connection, alarm: RaisedAlarm) -> bool:
    """Remove it; False: another node did."""
    return conn.execute(delete(meta).where(meta.c.name == _name(alarm))).rowcount > 0


def watch(conn: Connection, subject: str, now: datetime) -> None:
    """Note that something (a feed that is expected) is watched from now on; it stays as first noted."""
    insert = insert_into(conn, meta).values(name=_WATCHED + subject, value=str(to_microseconds(now)))
    conn.execute(insert.on_conflict_do_nothing())


def watch_only(conn: Connection, subjects: Collection[str], now: datetime) -> None:
    """Watch these, and forget since when any other was: what is watched again after a pause was not silent during it."""
    names = [_WATCHED + subject for subject in subjects]
    of = meta.c.name
    conn.execute(delete(meta).where(of.startswith(_WATCHED, autoescape=True), of.not_in(names)))
    for subject in subjects:
        watch(conn, subject, now)


def watched_since(conn: Connection, subject: str) -> datetime | None:
    """Since when it is watched; None: not yet."""
    value = conn.execute(select(meta.c.value).where(meta.c.name == _WATCHED + subject)).scalar_one_or_none()
    return None if value is None else from_microseconds(int(value))


def _name(alarm: RaisedAlarm) -> str:
    return _PREFIX + json.dumps([alarm.alarm, alarm.node, alarm.subject])


def _value(alarm: RaisedAlarm) -> str:
    return json.dumps(
        {
            "environment": alarm.environment,
            "severity": alarm.severity,
            "since": to_microseconds(alarm.since),
            "said_at": to_microseconds(alarm.said_at),
            "value": alarm.value,
            "problem": alarm.problem,
        }
    )


def _read(name: str, value: str) -> RaisedAlarm:
    alarm, node, subject = json.loads(name.removeprefix(_PREFIX))
    values = json.loads(value)
    since, said_at = from_microseconds(values.pop("since")), from_microseconds(values.pop("said_at"))
    return RaisedAlarm(alarm=alarm, node=node, subject=subject, since=since, said_at=said_at, **values)
