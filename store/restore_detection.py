"""Noticing that the database is an old backup (F21): then overdue texts wait for a person instead of being sent again.

A backup knows nothing of the texts that left after it was made, so what it calls due may long be delivered. The database
carries a counter that housekeeping raises (`beat`); each node writes its newest value to a small file of its own beside
the key ring, after the commit. At start (`assess`):

- there is a file and the database never beat: it is new or empty, and the one that was here before is gone, with its texts and
  its opt-outs. Hold.
- the file's counter is ahead of the database's: the database went back in time. Hold.
- the file belongs to another database, and no other node is at work on this one (its last beat is not fresh): it is not the one
  that was here before. Hold.
- there is no file, or it is damaged: this node cannot tell. If the database's last beat is fresh, other nodes are at work on it
  and it is the living one; if nothing is overdue, nothing can go out twice. Otherwise: hold.
- else the database is at least as new as what this node saw. Go on; texts that waited through an outage are the planner's
  business (`max_lateness`).

What this cannot see: a backup younger than the last beat (a minute, if housekeeping runs every minute).
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, select, update

from config.regular_file import read_regular
from store.instants import from_microseconds, to_microseconds
from store.outbox import next_due
from store.tables import meta
from store.upsert import insert_into

_PULSE: Final = "pulse"
FRESH: Final = timedelta(minutes=15)
_LONGEST: Final = 4096
"""Bytes of a marker; it has about 80."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """Attributes:
    database: random, made at the first beat; a copy keeps it.
    count: how many beats there were.
    at: the last one, UTC.
    """

    database: str
    count: int
    at: datetime


Finding = Literal["fine", "restored", "unsure"]


def beat(conn: Connection, now: datetime) -> Pulse:
    """Raise the counter; write the result with `remember` once this has committed."""
    first = Pulse(database=secrets.token_hex(8), count=0, at=now)
    conn.execute(insert_into(conn, meta).values(name=_PULSE, value=_write(first)).on_conflict_do_nothing())
    own_pulse = select(meta.c.value).where(meta.c.name == _PULSE).with_for_update()
    last = _read(conn.execute(own_pulse).scalar_one())
    pulse = Pulse(database=last.database, count=last.count + 1, at=now)
    conn.execute(update(meta).where(meta.c.name == _PULSE).values(value=_write(pulse)))
    return pulse


def pulse(conn: Connection) -> Pulse | None:
    """The database's counter; None: it never beat."""
    value = conn.execute(select(meta.c.value).where(meta.c.name == _PULSE)).scalar_one_or_none()
    return None if value is None else _read(value)


def remember(file: Path, seen: Pulse) -> None:
    """Write the marker; whole or not at all, and on the disk when this returns."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(_write(seen))
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)


def assess(conn: Connection, file: Path, now: datetime) -> Finding:
    """Compare at start, before the dispatcher runs: for `restored` and `unsure` place a hold (`holds.hold`, scope all)."""
    present = pulse(conn)
    if present is None:
        return "restored" if os.path.lexists(file) else "fine"
    seen = _remembered(file)
    if seen is not None and seen.database == present.database:
        return "restored" if seen.count > present.count else "fine"
    if now - present.at <= FRESH:
        return "fine"
    if seen is not None:
        return "restored"
    due = next_due(conn)
    return "unsure" if due is not None and due <= now else "fine"


def _remembered(file: Path) -> Pulse | None:
    """None too for a damaged file: it tells as little as a missing one."""
    try:
        return _read(read_regular(file, _LONGEST).decode("ascii"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(beaten: Pulse) -> str:
    return json.dumps({"database": beaten.database, "count": beaten.count, "at": to_microseconds(beaten.at)})


def _read(text: str) -> Pulse:
    said = json.loads(text)
    return Pulse(database=str(said["database"]), count=int(said["count"]), at=from_microseconds(int(said["at"])))
