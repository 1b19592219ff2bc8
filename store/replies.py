"""Which patients' STOP and START were heard already: a signature may carry no time, and then a captured call stays good.

A reply is known by the HMAC of its message id, written in the transaction of what it changes: it counts once, on whichever node
it comes in, and not at all where that transaction fails. Why it is kept so long: docs/decisions/0010.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete

from store.tables import replies
from store.upsert import insert_into

REMEMBERED: Final = timedelta(days=400)
"""Longer than a token may be used (a year): what was captured earlier is signed with a token that is gone."""


def first_time(conn: Connection, key: str, now: datetime) -> bool:
    """Whether this reply was not heard before; it is remembered from the commit on.

    Args:
        key: `KeyRing.reply_key` of its message id. A node that handles the same one at this moment waits for our commit.
    """
    new = insert_into(conn, replies).values(key=key, forget_after=now + REMEMBERED).on_conflict_do_nothing()
    return conn.execute(new.returning(replies.c.key)).first() is not None


def expire(conn: Connection, now: datetime) -> int:
    """Forget those whose time is over; how many."""
    return conn.execute(delete(replies).where(replies.c.forget_after <= now)).rowcount
