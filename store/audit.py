"""The audit log: who changed what, and when. Append-only; each entry's hash covers its content and the previous hash. It never
holds patient data.

`verify` finds an altered, removed or inserted entry. With the head in `meta` it also finds entries missing at the end. Somebody who
can write both can forge both; a copy of the head (`head`) kept elsewhere shows even that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from store.instants import to_microseconds
from store.tables import audit, meta
from store.upsert import insert_into

_HEAD: Final = "audit_head"
_BEGINNING: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Attributes:
    seq: 1, 2, 3 ...
    actor: who did it: a person's login, `cli:<user>`, `gateway`, `housekeeping`.
    action: what was done: `optout.add`, `hold.place`, `keys.rotate` ...
    subject: what it was done to: an environment, a sender, a masked number.
    before, after: the change in short; None if it has no such value.
    """

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: str | None
    after: str | None
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """Attributes:
    entries: how many were read.
    broken_at: `seq` of the first entry whose hash is wrong; entries + 1 if the end is missing; None: the chain is intact.
    """

    entries: int
    broken_at: int | None


def append(
    conn: Connection,
    *,
    actor: str,
    action: str,
    subject: str,
    before: str | None = None,
    after: str | None = None,
    at: datetime,
) -> AuditEntry:
    """Add an entry in the transaction of the change that it records. Writers wait for each other at the head."""
    conn.execute(insert_into(conn, meta).values(name=_HEAD, value=f"0:{_BEGINNING}").on_conflict_do_nothing())
    seq, previous = _head(conn, lock=True)
    digest = _digest(previous, seq + 1, at, actor, action, subject, before, after)
    entry = AuditEntry(
        seq=seq + 1, at=at, actor=actor, action=action, subject=subject, before=before, after=after, hash=digest
    )
    conn.execute(
        audit.insert().values(
            seq=entry.seq, at=at, actor=actor, action=action, subject=subject, before=before, after=after, hash=digest
        )
    )
    conn.execute(update(meta).where(meta.c.name == _HEAD).values(value=f"{entry.seq}:{digest}"))
    return entry


def entries(conn: Connection, *, subject: str | None = None) -> Generator[AuditEntry, None, None]:
    """The entries in order."""
    wanted = select(audit).order_by(audit.c.seq)
    if subject is not None:
        wanted = wanted.where(audit.c.subject == subject)
    with conn.execute(wanted, execution_options={"yield_per": 500}) as result:
        for row in result.mappings():
            yield AuditEntry(**row)


def head(conn: Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; (0, zeros) before the first."""
    return _head(conn, lock=False)


def verify(conn: Connection) -> ChainVerdict:
    """Check the whole chain."""
    count, previous = 0, _BEGINNING
    with closing(entries(conn)) as chain:
        for entry in chain:
            count += 1
            expected = _digest(
                previous, count, entry.at, entry.actor, entry.action, entry.subject, entry.before, entry.after
            )
            if (entry.seq, entry.hash) != (count, expected):
                return ChainVerdict(entries=count, broken_at=count)
            previous = entry.hash
    whole = head(conn) == (count, previous)
    return ChainVerdict(entries=count, broken_at=None if whole else count + 1)


def _head(conn: Connection, *, lock: bool) -> tuple[int, str]:
    wanted = select(meta.c.value).where(meta.c.name == _HEAD)
    value = conn.execute(wanted.with_for_update() if lock else wanted).scalar_one_or_none()
    if value is None:
        return 0, _BEGINNING
    seq, _, digest = value.partition(":")
    return int(seq), digest


def _digest(previous: str, seq: int, at: datetime, *texts: str | None) -> str:
    content = json.dumps([previous, seq, to_microseconds(at), *texts], ensure_ascii=True)
    return hashlib.sha256(content.encode("ascii")).hexdigest()
