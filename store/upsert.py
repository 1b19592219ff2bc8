"""INSERT with ON CONFLICT, which both databases have and SQLAlchemy's core spells once a dialect."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(conn: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The connection's INSERT, with `on_conflict_do_nothing()` and `on_conflict_do_update()`."""
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)
