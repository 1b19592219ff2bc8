"""When each sender's certificate last signed a message that was stored: an active one that goes unused is warned of."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from store.instants import from_microseconds, to_microseconds
from store.tables import meta
from store.upsert import insert_into

_PREFIX: Final = "signed"


def note(conn: Connection, environment: str, thumbprint: str, at: datetime) -> None:
    """It signed a message received at `at`. Callers need not note each one: some seconds' precision is plenty."""
    value = str(to_microseconds(at))
    insert = insert_into(conn, meta)
    said = insert.values(name=_name(environment, thumbprint), value=value)
    conn.execute(said.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def last_used(conn: Connection, environment: str, thumbprint: str) -> datetime | None:
    """None: it never signed one here."""
    wanted = select(meta.c.value).where(meta.c.name == _name(environment, thumbprint))
    value = conn.execute(wanted).scalar_one_or_none()
    return None if value is None else from_microseconds(int(value))


def active_since(conn: Connection, environment: str, thumbprint: str, now: datetime) -> datetime:
    """When it was first seen as active; noted as `now` at the first time of asking."""
    name = f"active:{environment}:{thumbprint}"
    insert = insert_into(conn, meta)
    conn.execute(insert.values(name=name, value=str(to_microseconds(now))).on_conflict_do_nothing())
    return from_microseconds(int(conn.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one()))


def known_since(conn: Connection, environment: str, thumbprint: str) -> datetime | None:
    """As `active_since`, without noting anything; None: nobody asked yet."""
    wanted = select(meta.c.value).where(meta.c.name == f"active:{environment}:{thumbprint}")
    value = conn.execute(wanted).scalar_one_or_none()
    return None if value is None else from_microseconds(int(value))


def asked_at(conn: Connection, environment: str, thumbprint: str, now: datetime) -> datetime | None:
    """When its expiry was last looked at, so that each warning is given once whatever the restarts; notes `now` for next time."""
    name = f"asked:{environment}:{thumbprint}"
    before = conn.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()
    insert = insert_into(conn, meta)
    value = str(to_microseconds(now))
    said = insert.values(name=name, value=value)
    conn.execute(said.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
    return None if before is None else from_microseconds(int(before))


def _name(environment: str, thumbprint: str) -> str:
    return f"{_PREFIX}:{environment}:{thumbprint}"
