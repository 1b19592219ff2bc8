"""The configuration in force, as the running service read it, for commands that find a file that cannot be used.

One row for each host and file. If no service has confirmed a row for a month, the next write deletes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, case, delete, select

from store.tables import configurations
from store.upsert import insert_into

KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConfiguration:
    """Attributes:
    host: the machine's name. file: the configuration file's absolute path there.
    version: of the configuration, 12 hexadecimal digits.
    since: when it took effect, UTC. noted_at: when a service last confirmed it.
    content: as `config.snapshot.to_text` writes it.
    """

    host: str
    file: str
    version: str
    since: datetime
    noted_at: datetime
    content: str = field(repr=False)


def note(conn: Connection, stored: StoredConfiguration) -> None:
    """Write the configuration in force, replacing the previous one."""
    values = {name: getattr(stored, name) for name in StoredConfiguration.__dataclass_fields__}
    insert = insert_into(conn, configurations).values(values)
    conn.execute(insert.on_conflict_do_update(index_elements=["host", "file"], set_=values))
    conn.execute(delete(configurations).where(configurations.c.noted_at < stored.noted_at - KEPT))


def version_at(conn: Connection, *, host: str, file: str) -> str | None:
    """The version that was in force last on this very host with this file; None: none was."""
    wanted = select(configurations.c.version).where(configurations.c.host == host, configurations.c.file == file)
    return conn.execute(wanted).scalar_one_or_none()


def in_force(conn: Connection, *, host: str, file: str) -> StoredConfiguration | None:
    """The row of this host and file; otherwise the newest of this file on another host (a container's name changes); otherwise
    None."""
    row = (
        conn.execute(
            select(configurations)
            .where(configurations.c.file == file)
            .order_by(case((configurations.c.host == host, 0), else_=1), configurations.c.noted_at.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )
    return None if row is None else StoredConfiguration(**row)
