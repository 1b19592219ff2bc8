"""How often somebody tried: failures in a row, allowances that fill again, and who is known.

A key is `KeyRing.throttle_key`: neither addresses nor user names stand here. A row is a few numbers; who tries with many names or
from many addresses makes many rows, each of which is swept when nothing follows from it any more.

On PostgreSQL the rows of one transaction are taken in the order of scope and key, each locked until the commit: a thousand
attempts at once are counted one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, Update, delete, select, update

from store.tables import throttles
from store.upsert import insert_into


class ThrottleScope(StrEnum):
    """What is counted, in the order in which the rows are locked."""

    ADDRESS = "address"  # an allowance of failures
    JOIN = "join"  # an allowance of patients' requests
    KNOWN = "known"  # that a login was right from here before
    LAUNCH = "launch"  # answers to launches from an EHR: each counts once
    LOGIN = "login"  # failures in a row, from wherever
    PAIR = "pair"  # failures in a row of a login from one place


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimit:
    """So many at once, and so many again in each period."""

    count: int
    period: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row, and when the last was."""

    count: int
    last_at: datetime


def take(conn: Connection, scope: ThrottleScope, key: str, limit: AttemptLimit, *, now: datetime) -> datetime | None:
    """Spend one of the allowance; None: there was one. Otherwise when there is one again, and nothing was spent."""
    tokens, counted_at = _made(conn, scope, key, float(limit.count), now, now + limit.period)
    # A clock that was set back gives nothing and takes nothing away.
    earned = max(0.0, (now - counted_at) / limit.period) * limit.count
    tokens = min(float(limit.count), tokens + earned)
    if tokens < 1:
        return now + (1 - tokens) / limit.count * limit.period
    _write(conn, scope, key, tokens - 1, now, now + limit.period)
    return None


def give_back(conn: Connection, scope: ThrottleScope, key: str) -> None:
    """Return one that was taken for what turned out to need none."""
    row = _locked(conn, scope, key)
    if row is not None:
        conn.execute(_row(scope, key).values(tokens=row[0] + 1))


def failures(conn: Connection, scope: ThrottleScope, key: str, *, now: datetime, keep: timedelta) -> Failures:
    """How many in a row. Locked until the commit also where there were none, so that of many at once one comes after the other."""
    tokens, counted_at = _made(conn, scope, key, 0.0, now, now + keep)
    return Failures(count=int(tokens), last_at=counted_at)


def fail(conn: Connection, scope: ThrottleScope, key: str, *, now: datetime, keep: timedelta) -> int:
    """Count a failure; how many in a row there are now. A row is forgotten when nothing was added to it for `keep`."""
    values = {"counted_at": now, "forget_after": now + keep}
    first = insert_into(conn, throttles).values(scope=scope, key=key, tokens=1.0, **values)
    more = first.on_conflict_do_update(
        index_elements=["scope", "key"], set_={"tokens": throttles.c.tokens + 1.0, **values}
    )
    return int(conn.execute(more.returning(throttles.c.tokens)).scalar_one())


def take_back(conn: Connection, scope: ThrottleScope, key: str, before: Failures) -> None:
    """Uncount a failure that was counted in advance.

    Args:
        before: as it was before.
    """
    row = _locked(conn, scope, key)
    if row is not None and row[0] >= 1:
        conn.execute(_row(scope, key).values(tokens=row[0] - 1, counted_at=before.last_at))


def clear(conn: Connection, scope: ThrottleScope, key: str) -> bool:
    """Forget what was counted; False: there was nothing."""
    of = throttles.c
    return conn.execute(delete(throttles).where(of.scope == scope, of.key == key)).rowcount == 1


def remember(conn: Connection, key: str, *, now: datetime, keep: timedelta) -> None:
    """Note that a login was right from here."""
    values = {"tokens": 1.0, "counted_at": now, "forget_after": now + keep}
    new = insert_into(conn, throttles).values(scope=ThrottleScope.KNOWN, key=key, **values)
    conn.execute(new.on_conflict_do_update(index_elements=["scope", "key"], set_=values))


def is_known(conn: Connection, key: str, now: datetime) -> bool:
    """Whether the login was right from here, not too long ago."""
    of = throttles.c
    wanted = select(of.key).where(of.scope == ThrottleScope.KNOWN, of.key == key, of.forget_after > now)
    return conn.execute(wanted).first() is not None


def counts(conn: Connection, scope: ThrottleScope, keys: Sequence[str]) -> dict[str, int]:
    """Key -> failures in a row, of these keys that have any."""
    of = throttles.c
    wanted = select(of.key, of.tokens).where(of.scope == scope, of.key.in_(keys))
    return {row.key: int(row.tokens) for row in conn.execute(wanted)}


def expire(conn: Connection, now: datetime) -> int:
    """Delete the rows from which nothing follows any more; how many."""
    return conn.execute(delete(throttles).where(throttles.c.forget_after <= now)).rowcount


def _made(
    conn: Connection, scope: ThrottleScope, key: str, tokens: float, now: datetime, forget_after: datetime
) -> tuple[float, datetime]:
    """The row, locked; made if there is none. Again if somebody deletes it meanwhile."""
    first = {"scope": scope, "key": key, "tokens": tokens, "counted_at": now, "forget_after": forget_after}
    while True:
        conn.execute(insert_into(conn, throttles).values(first).on_conflict_do_nothing())
        row = _locked(conn, scope, key)
        if row is not None:
            return row


def _locked(conn: Connection, scope: ThrottleScope, key: str) -> tuple[float, datetime] | None:
    of = throttles.c
    wanted = select(of.tokens, of.counted_at).where(of.scope == scope, of.key == key).with_for_update()
    row = conn.execute(wanted).one_or_none()
    return None if row is None else (row.tokens, row.counted_at)


def _write(
    conn: Connection, scope: ThrottleScope, key: str, tokens: float, at: datetime, forget_after: datetime
) -> None:
    conn.execute(_row(scope, key).values(tokens=tokens, counted_at=at, forget_after=forget_after))


def _row(scope: ThrottleScope, key: str) -> Update:
    of = throttles.c
    return update(throttles).where(of.scope == scope, of.key == key)
