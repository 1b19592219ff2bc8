"""A person wants something to go back after all: opened again, with an entry in the audit log."""

from __future__ import annotations

from datetime import datetime

from carebell.environment_policy import writeback_policy
from config.load import Loaded
from store import audit, writeback_rows, writebacks
from store.audit import AuditAction, Author
from store.engine import Transaction
from store.writeback_rows import WritebackRow


def retry(conn: Transaction, loaded: Loaded, author: Author, row: WritebackRow, *, at: datetime) -> bool:
    """Make it due again, for as long as its event is tried; False: it is open already, or acknowledged.

    The caller commits. A service takes it within a second.
    """
    environment = loaded.configuration.environments.get(row.environment)
    if environment is None:
        return False
    visit = writeback_rows.visits_of(conn, {row.appointment}).get(row.appointment)
    start = None if visit is None else visit.start
    expires_at = writeback_policy(environment.writeback).expiry(row.event, start, at)
    if not writebacks.reopen(conn, row.id, now=at, expires_at=expires_at):
        return False
    audit.append(
        conn,
        author,
        AuditAction.WRITEBACK_RETRY,
        subject=row.id,
        environment=row.environment,
        before=row.state.value,
        at=at,
    )
    return True
