"""Opt-outs for each sender, by HMAC of the number. They are kept after the phone number itself is deleted.

A STOP to one sender does not apply to another sender; START undoes it. An older event never undoes a newer one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, select

from store.prepared import Prepared, any_of, list_value
from store.tables import optouts
from store.upsert import insert_into

EVERY_SENDER: Final = "*"
"""The sender of an opt-out that a person entered: it also applies to senders that are configured later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optout:
    """Attributes:
    phone_key: `KeyRing.phone_key` of the number.
    sender: E.164 number, short code or another name that the gateway knows.
    source: webhook, words (a STOP found among other words), refusal (by the gateway), cli or portal.
    since: UTC.
    """

    phone_key: str
    sender: str
    source: str
    since: datetime


def add(conn: Connection, optout: Optout) -> bool:
    """Record an opt-out; False: there is one already, and its source and time stay."""
    values = {"phone_key": optout.phone_key, "sender": optout.sender, "source": optout.source, "since": optout.since}
    made = insert_into(conn, optouts).values(values).on_conflict_do_nothing().returning(optouts.c.sender)
    return conn.execute(made).first() is not None


def remove(conn: Connection, phone_key: str, sender: str, *, at: datetime) -> bool:
    """Delete an opt-out after START or by a person; False: there was none, or it is newer than `at` (a START delivered late)."""
    gone = delete(optouts).where(optouts.c.phone_key == phone_key, optouts.c.sender == sender, optouts.c.since <= at)
    return conn.execute(gone).rowcount > 0


def listed(conn: Connection, *, sender: str | None = None, phone_keys: Collection[str] | None = None) -> list[Optout]:
    """All opt-outs, one sender's, or those of some numbers, oldest first."""
    wanted = select(optouts).order_by(optouts.c.since, optouts.c.phone_key)
    if sender is not None:
        wanted = wanted.where(optouts.c.sender == sender)
    if phone_keys is None:
        return [Optout(**row) for row in conn.execute(wanted).mappings()]
    own = wanted.where(any_of(conn.dialect.name, optouts.c.phone_key, "keys"))
    return [Optout(**row) for row in conn.execute(own, {"keys": list_value(conn, sorted(phone_keys))}).mappings()]


def counted(conn: Connection) -> list[tuple[str, int]]:
    """(sender, how many numbers have opted out of it), by sender."""
    of = optouts.c
    wanted = select(of.sender, func.count()).group_by(of.sender).order_by(of.sender)
    return [(sender, count) for sender, count in conn.execute(wanted)]


def opted_out(conn: Connection, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these (phone key, sender) have opted out."""
    if not pairs:
        return set()
    keys = list_value(conn, sorted({key for key, _ in pairs}))
    present = set(_FOR.fetch(conn, (keys,)))
    return {(key, sender) for key, sender in pairs if (key, sender) in present or (key, EVERY_SENDER) in present}


def since_when(conn: Connection, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """Which of these (phone key, sender) are out -> since when, UTC; of an opt-out from every sender too, the earlier."""
    keys = {key for key, _ in pairs}
    since = {(optout.phone_key, optout.sender): optout.since for optout in listed(conn, phone_keys=keys)}
    earliest = {}
    for key, sender in pairs:
        instants = [since[key, name] for name in (sender, EVERY_SENDER) if (key, name) in since]
        if instants:
            earliest[key, sender] = min(instants)
    return earliest


_FOR = Prepared(
    lambda dialect: select(optouts.c.phone_key, optouts.c.sender).where(any_of(dialect, optouts.c.phone_key, "keys")),
    ("keys",),
)
