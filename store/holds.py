"""Holds and breakers stop texts. A person (or a restore) places a hold; breakers open and close by themselves.

A hold covers everything, one environment or one sender until somebody releases it. A breaker opens on an error that the
next text would cause too (credentials, a blocked sender). From `probe_at` on one text may try; if it is accepted, the breaker
closes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Table, delete, select, update

from scheduler.sms import HoldScope
from store.instants import InstantCodec
from store.prepared import Prepared, codec
from store.tables import breakers, holds
from store.upsert import insert_into

NOT_APPROVED: Final = "its approval is missing"
LONGEST: Final = timedelta(hours=1)
"""A probe waits at most this long. A later `probe_at` was set before the clock was set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """`name` is the environment's (also for `approval`) or the sender's, empty for `all`."""

    scope: HoldScope
    name: str
    reason: str
    actor: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Attributes:
    code: the gateway's code that opened it.
    probes: texts that tried since then and failed.
    """

    scope: HoldScope
    name: str
    code: int
    opened_at: datetime
    probe_at: datetime
    probes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """All holds and breakers that stop texts at `now`.

    Attributes:
        unapproved: environments whose approval is missing by the configuration of whoever asks. Their hold in the database is for
            people: it may still be on its way.
    """

    holds: tuple[Hold, ...]
    breakers: tuple[Breaker, ...]
    now: datetime
    unapproved: frozenset[str] = frozenset()

    def reason(self, environment: str, sender: str) -> str | None:
        """Why a text of this environment and sender must wait: `hold: ...`, `breaker: ...`; None: nothing."""
        if environment in self.unapproved:
            return f"hold: {NOT_APPROVED}"
        if not (self.holds or self.breakers):
            return None
        here = scopes_of(environment, sender)
        for hold in self.holds:
            if (hold.scope, hold.name) in here:
                return f"hold: {hold.reason}"
        for breaker in self.breakers:
            if (breaker.scope, breaker.name) in here and self.now < breaker.probe_at <= self.now + LONGEST:
                return f"breaker: {breaker.code}"
        return None

    def probed_by(self, environment: str, sender: str) -> tuple[Breaker, ...]:
        """The open breakers that a text of this environment and sender would try."""
        if not self.breakers:
            return ()
        here = {(HoldScope.ENVIRONMENT, environment), (HoldScope.SENDER, sender)}
        return tuple(breaker for breaker in self.breakers if (breaker.scope, breaker.name) in here)

    def probing(self, tried: Collection[Breaker], next_at: datetime) -> Blocks:
        """The same after one text was let through: these breakers are closed to other texts until `next_at`."""
        after = tuple(replace(breaker, probe_at=next_at) if breaker in tried else breaker for breaker in self.breakers)
        return replace(self, breakers=after)


def scopes_of(environment: str, sender: str) -> frozenset[tuple[HoldScope, str]]:
    """The scope and name of every hold and breaker that stops a text of this environment and sender."""
    return frozenset(
        {
            (HoldScope.ALL, ""),
            (HoldScope.ENVIRONMENT, environment),
            (HoldScope.APPROVAL, environment),
            (HoldScope.SENDER, sender),
        }
    )


def read_blocks(conn: Connection, now: datetime) -> Blocks:
    """All holds and open breakers. The breakers are locked until the commit, so that only one node probes."""
    instants = codec(conn)
    return Blocks(
        holds=tuple(_read_hold(row, instants) for row in _HELD.fetch(conn, ())),
        breakers=tuple(_read_breaker(row, instants) for row in _LOCKED_BREAKERS.fetch(conn, ())),
        now=now,
    )


def held(conn: Connection) -> list[Hold]:
    """All holds, oldest first."""
    instants = codec(conn)
    return [_read_hold(row, instants) for row in _HELD.fetch(conn, ())]


def hold(conn: Connection, new_hold: Hold) -> bool:
    """Place a hold; False: there is one already, and its reason stays."""
    values = {
        "scope": new_hold.scope,
        "name": new_hold.name,
        "reason": new_hold.reason,
        "actor": new_hold.actor,
        "since": new_hold.since,
    }
    return _insert_new(conn, holds, values)


def release(conn: Connection, scope: HoldScope, name: str = "") -> bool:
    """Remove a hold; False: there was none."""
    return conn.execute(delete(holds).where(holds.c.scope == scope, holds.c.name == name)).rowcount > 0


def open_breakers(conn: Connection) -> list[Breaker]:
    """All open breakers, oldest first."""
    instants = codec(conn)
    return [_read_breaker(row, instants) for row in _BREAKERS.fetch(conn, ())]


def open_breaker(conn: Connection, scope: HoldScope, name: str) -> Breaker | None:
    """The breaker, if it is open."""
    query = select(breakers).where(breakers.c.scope == scope, breakers.c.name == name)
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else _breaker(row)


def trip(conn: Connection, scope: HoldScope, name: str, *, code: int, at: datetime, probe_at: datetime) -> bool:
    """Open a breaker, or keep it open after a failed probe; True: it was closed before (time for an alarm)."""
    values = {"scope": scope, "name": name, "code": code, "opened_at": at, "probe_at": probe_at, "probes": 0}
    if _insert_new(conn, breakers, values):
        return True
    again = {"code": code, "probe_at": probe_at, "probes": breakers.c.probes + 1}
    conn.execute(update(breakers).where(breakers.c.scope == scope, breakers.c.name == name).values(again))
    return False


def probe(conn: Connection, tried: Collection[Breaker], next_at: datetime) -> None:
    """Record that a text tries these breakers now. The next text may try at `next_at`, unless they are reset before."""
    for breaker in tried:
        row_update = update(breakers).where(breakers.c.scope == breaker.scope, breakers.c.name == breaker.name)
        conn.execute(row_update.values(probe_at=next_at))


def probe_again(conn: Connection, scope: HoldScope, name: str, *, at: datetime) -> None:
    """The probe gave no result and no text is under way: the next text may try at once."""
    conn.execute(update(breakers).where(breakers.c.scope == scope, breakers.c.name == name).values(probe_at=at))


def reset(conn: Connection, scope: HoldScope, name: str) -> bool:
    """Close a breaker, after a text was accepted or by a person's command; False: it was closed already."""
    return conn.execute(delete(breakers).where(breakers.c.scope == scope, breakers.c.name == name)).rowcount > 0


def _insert_new(conn: Connection, table: Table, values: dict[str, Any]) -> bool:
    return (
        conn.execute(insert_into(conn, table).values(values).on_conflict_do_nothing().returning(table.c.name)).first()
        is not None
    )


def _read_hold(row: Sequence[Any], instants: InstantCodec) -> Hold:
    scope, name, reason, actor, since = row
    return Hold(scope=HoldScope(scope), name=name, reason=reason, actor=actor, since=instants.get(since))


def _breaker(row: RowMapping) -> Breaker:
    return Breaker(**{**row, "scope": HoldScope(row["scope"])})


def _read_breaker(row: Sequence[Any], instants: InstantCodec) -> Breaker:
    scope, name, code, opened_at, probe_at, probes = row
    return Breaker(
        scope=HoldScope(scope),
        name=name,
        code=code,
        opened_at=instants.get(opened_at),
        probe_at=instants.get(probe_at),
        probes=probes,
    )


_HELD: Final = Prepared(lambda _: select(holds).order_by(holds.c.since), ())
_BREAKERS: Final = Prepared(lambda _: select(breakers).order_by(breakers.c.opened_at), ())
_LOCKED_BREAKERS: Final = Prepared(
    lambda _: select(breakers).order_by(breakers.c.scope, breakers.c.name).with_for_update(), ()
)
