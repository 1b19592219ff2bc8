"""A copy of the database while the service runs, and when the last one was made."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, select

from store.engine import Store
from store.faults import StoreFault
from store.instants import from_microseconds, to_microseconds
from store.tables import meta
from store.upsert import insert_into

_BACKUP: Final = "backup"
_PAGES: Final = 4096
"""Copied at a time; between two of them others may write."""


def copy(store: Store, target: Path) -> int:
    """Write a whole copy of an SQLite database, mode 0600, that is on the disk when this returns; its bytes.

    StoreFault STORE_UNREADABLE where `target` exists or cannot be written; nothing is left half written.
    """
    if store.file is None:
        raise ValueError("PostgreSQL has pg_dump")
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with closing(sqlite3.connect(store.file)) as source, closing(sqlite3.connect(beside)) as destination:
                source.backup(destination, pages=_PAGES)
            os.fsync(handle)
            os.link(beside, target)  # unlike a rename it never replaces a file
            return os.fstat(handle).st_size
        finally:
            os.close(handle)
            with suppress(FileNotFoundError):
                beside.unlink()
    except FileExistsError:
        raise StoreFault("STORE_UNREADABLE", f"{target} exists already and was not overwritten.") from None
    except (OSError, sqlite3.Error) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise StoreFault("STORE_UNREADABLE", f"The copy {target} could not be written: {why}.") from None


def note(conn: Connection, now: datetime) -> None:
    """A backup was made."""
    conn.execute(delete(meta).where(meta.c.name == _BACKUP))
    conn.execute(insert_into(conn, meta).values(name=_BACKUP, value=str(to_microseconds(now))))


def last(conn: Connection) -> datetime | None:
    """When the last backup was made that Carebell knows of; None: none is known."""
    value = conn.execute(select(meta.c.value).where(meta.c.name == _BACKUP)).scalar_one_or_none()
    return None if value is None else from_microseconds(int(value))
