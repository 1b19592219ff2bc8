"""How much a sender may send: one token bucket for each sender in the whole cluster, charged in segments.

The dispatcher asks before it claims, and charges the claimed texts in the same transaction. The row's lock prevents two nodes from
spending the same tokens. A text of several segments may overdraw the bucket; the next text then waits until the bucket is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from store.prepared import Prepared, codec
from store.tables import rates
from store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Attributes:
    per_second: segments.
    burst: the most segments that an idle sender can save up; at least 1.
    """

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a sender may spend now.

    Attributes:
        segments: whole segments; 0: wait.
        ready_at: when at least one segment is available.
    """

    segments: int
    ready_at: datetime


def allowance(conn: Connection, sender: str, rate: Rate, *, now: datetime) -> Allowance:
    """Refill the bucket, and lock it until the commit."""
    instants = codec(conn)
    known = _BUCKET.fetch(conn, (sender,))
    if not known:
        full = {"sender": sender, "tokens": rate.burst, "counted_at": now}
        conn.execute(insert_into(conn, rates).values(full).on_conflict_do_nothing())
        known = _BUCKET.fetch(conn, (sender,))
    [(tokens, counted_at)] = known
    # A clock that was set back adds no tokens and removes none.
    earned = max(0.0, (now - instants.get(counted_at)).total_seconds()) * rate.per_second
    tokens = min(rate.burst, tokens + earned)
    _REFILLED.fetch(conn, (tokens, instants.put(now), sender))
    wait = timedelta(seconds=max(0.0, 1.0 - tokens) / rate.per_second)
    return Allowance(segments=max(0, int(tokens)), ready_at=now + wait)


def charge(conn: Connection, sender: str, segments: int) -> None:
    """Spend segments; the balance may become negative. Call it after `allowance`, in the same transaction."""
    _CHARGED.fetch(conn, (segments, sender))


_OF: Final = rates.c.sender == bindparam("of_sender")
_BUCKET: Final = Prepared(
    lambda _: select(rates.c.tokens, rates.c.counted_at).where(_OF).with_for_update(), ("of_sender",)
)
_REFILLED: Final = Prepared(
    lambda _: update(rates).where(_OF).values(tokens=bindparam("new_tokens"), counted_at=bindparam("new_time")),
    ("new_tokens", "new_time", "of_sender"),
)
_CHARGED: Final = Prepared(
    lambda _: update(rates).where(_OF).values(tokens=rates.c.tokens - bindparam("spent", type_=rates.c.tokens.type)),
    ("spent", "of_sender"),
)
