"""A person did what a patient's reply asked for: noted by hand, with an entry in the audit log."""

from __future__ import annotations

from datetime import datetime

from store import audit, patient_replies
from store.audit import AuditAction, Author
from store.engine import Transaction


def done(conn: Transaction, author: Author, reply_id: str, *, at: datetime) -> bool:
    """It, and those of its visit that asked for the same before, wait no more; False: it did not wait. The caller commits."""
    reply = patient_replies.by_id(conn, reply_id)
    if reply is None or not patient_replies.close(conn, reply, at):
        return False
    audit.append(
        conn,
        author,
        AuditAction.REPLY_DONE,
        subject=reply.id,
        environment=reply.environment,
        before=reply.kind.value,
        at=at,
    )
    return True
