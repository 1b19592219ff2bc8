"""The portal's sessions: a row each, so that signing out ends one everywhere and at once.

A session begins at a sign-in's first step and gets a new token at each further one; the old one's row is gone in the same
transaction, so a token that somebody planted in a browser never becomes one of a person who signed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from store.sealing import SealedColumn
from store.tables import sessions

FLOW: Final = SealedColumn(table="sessions", column="flow")
"""Of `sessions.flow`; the row is the session's key."""


class SessionStage(StrEnum):
    """How far somebody has come."""

    LEAVING = "leaving"  # to another site, to sign in there
    CODE = "code"  # the password is right; a code of the second factor is needed
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """Attributes:
    key: `tokens.key_of` its token.
    user_id: None: nobody yet.
    seen_at: of the last page, some seconds coarse. ends_at: the absolute end.
    confirmed_at: when the person last proved who it is.
    address, browser: of the peer that signed in.
    flow: sealed: what a sign-in at another site must bring back.
    """

    key: str
    user_id: str | None
    stage: SessionStage
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    confirmed_at: datetime | None = None
    address: str
    browser: str | None = None
    flow: bytes | None = field(default=None, repr=False)


def add(conn: Connection, session: StoredSession) -> None:
    values = {name: getattr(session, name) for name in StoredSession.__dataclass_fields__}
    conn.execute(insert(sessions).values(values | {"stage": session.stage.value}))


def find(conn: Connection, key: str, *, lock: bool = False) -> StoredSession | None:
    """Also one that is over: whoever asks looks at its times."""
    wanted = select(sessions).where(sessions.c.key == key)
    row = conn.execute(wanted.with_for_update() if lock else wanted).mappings().one_or_none()
    return None if row is None else StoredSession(**{**row, "stage": SessionStage(row["stage"])})


def of_user(conn: Connection, user_id: str) -> list[StoredSession]:
    """The open ones, newest first; also those that are over and were not swept yet."""
    of = sessions.c
    wanted = select(sessions).where(of.user_id == user_id, of.stage == SessionStage.OPEN.value)
    rows = conn.execute(wanted.order_by(of.created_at.desc(), of.key)).mappings()
    return [StoredSession(**{**row, "stage": SessionStage(row["stage"])}) for row in rows]


def seen(conn: Connection, key: str, at: datetime) -> None:
    conn.execute(update(sessions).where(sessions.c.key == key).values(seen_at=at))


def confirmed(conn: Connection, key: str, at: datetime) -> bool:
    """False: it was ended meanwhile."""
    return conn.execute(update(sessions).where(sessions.c.key == key).values(confirmed_at=at)).rowcount == 1


def keep_flow(conn: Connection, key: str, flow: bytes | None) -> bool:
    """Store what a sign-in at another site must bring back; None: forget it. False: the session was ended meanwhile."""
    return conn.execute(update(sessions).where(sessions.c.key == key).values(flow=flow)).rowcount == 1


def end(conn: Connection, key: str) -> bool:
    """False: there was none; of two that end the same one, one ended it."""
    return conn.execute(delete(sessions).where(sessions.c.key == key)).rowcount == 1


def end_all(conn: Connection, user_id: str, *, but: str | None = None) -> int:
    """End all of a user's sessions, at whatever stage; how many open ones there were.

    Args:
        but: the key of the one that goes on.
    """
    of = sessions.c
    those = of.user_id == user_id if but is None else (of.user_id == user_id) & (of.key != but)
    return sum(
        stage == SessionStage.OPEN
        for stage in conn.execute(delete(sessions).where(those).returning(of.stage)).scalars()
    )


def expire(conn: Connection, now: datetime) -> int:
    """Delete those that are over; how many."""
    return conn.execute(delete(sessions).where(sessions.c.ends_at <= now)).rowcount
