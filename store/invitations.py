"""Set-up links: for whom, until when, and that each is used once. Of a link's token there is only the hash (`tokens`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from store.tables import invitations

KEEP: Final = timedelta(days=30)
"""How long a link is remembered after its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInvitation:
    """Attributes:
    key: `tokens.key_of` its token.
    author: who invited, as `store.audit.Author.who`.
    used_at: None: not yet.
    totp: sealed: the second factor that the page offers (`users.TOTP`); None: none.
    """

    key: str
    user_id: str
    author: str
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None = None
    totp: bytes | None = field(default=None, repr=False)


def add(conn: Connection, invitation: StoredInvitation) -> None:
    """The user's older links are void from now on: somebody may have asked for a new one because the old one went astray."""
    conn.execute(delete(invitations).where(invitations.c.user_id == invitation.user_id))
    conn.execute(
        insert(invitations).values({name: getattr(invitation, name) for name in StoredInvitation.__dataclass_fields__})
    )


def find(conn: Connection, key: str, now: datetime) -> StoredInvitation | None:
    """The link, if it can still be used."""
    of = invitations.c
    wanted = select(invitations).where(of.key == key, of.used_at.is_(None), of.ends_at > now)
    row = conn.execute(wanted).mappings().one_or_none()
    return None if row is None else StoredInvitation(**row)


def use(conn: Connection, key: str, now: datetime) -> bool:
    """Use the link up; False: it was used, replaced or is too old. Of two that try at once, one gets True."""
    of = invitations.c
    unused = update(invitations).where(of.key == key, of.used_at.is_(None), of.ends_at > now)
    return conn.execute(unused.values(used_at=now, totp=None)).rowcount == 1


def void(conn: Connection, user_id: str) -> int:
    """Delete the user's links; how many could still be used."""
    of = invitations.c
    return sum(
        used is None
        for used in conn.execute(delete(invitations).where(of.user_id == user_id).returning(of.used_at)).scalars()
    )


def open_until(conn: Connection, now: datetime) -> dict[str, datetime]:
    """User's id -> until when a link of theirs can be used."""
    of = invitations.c
    wanted = (
        select(of.user_id, func.max(of.ends_at).label("ends_at"))
        .where(of.used_at.is_(None), of.ends_at > now)
        .group_by(of.user_id)
    )
    return {row.user_id: row.ends_at for row in conn.execute(wanted)}


def expire(conn: Connection, now: datetime) -> int:
    """Delete those that ended long ago; how many."""
    return conn.execute(delete(invitations).where(invitations.c.ends_at <= now - KEEP)).rowcount
