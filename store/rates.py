"""How much a sender may send: one token bucket per sender for the whole cluster, charged in segments.

The dispatcher asks before it claims and charges what it claimed, in the same transaction; the row's lock keeps two nodes from
spending the same tokens. A text of several segments may overdraw the bucket: the next one waits until it is paid for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from store.tables import rates
from store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Attributes:
    per_second: segments.
    burst: most segments that an idle sender has saved up; at least 1.
    """

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a sender may spend now.

    Attributes:
        segments: whole segments; 0: wait.
        ready_at: when at least one is there.
    """

    segments: int
    ready_at: datetime


def allowance(conn: Connection, sender: str, rate: Rate, *, now: datetime) -> Allowance:
    """Fill up the bucket and keep it to ourselves until the commit."""
    full = {"sender": sender, "tokens": rate.burst, "counted_at": now}
    conn.execute(insert_into(conn, rates).values(full).on_conflict_do_nothing())
    query = select(rates.c.tokens, rates.c.counted_at).where(rates.c.sender == sender).with_for_update()
    tokens, counted_at = conn.execute(query).one()
    # A clock that was set back earns nothing; it does not take anything away either.
    earned = max(0.0, (now - counted_at).total_seconds()) * rate.per_second
    tokens = min(rate.burst, tokens + earned)
    conn.execute(update(rates).where(rates.c.sender == sender).values(tokens=tokens, counted_at=now))
    wait = timedelta(seconds=max(0.0, 1.0 - tokens) / rate.per_second)
    return Allowance(segments=max(0, int(tokens)), ready_at=now + wait)


def charge(conn: Connection, sender: str, segments: int) -> None:
    """Spend; below zero is a debt. To be called after `allowance`, in its transaction."""
    conn.execute(update(rates).where(rates.c.sender == sender).values(tokens=rates.c.tokens - segments))
