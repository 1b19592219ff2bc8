"""Texts page by page and in sums, for people who look at months of them: each question reads a bounded part of an index.

A page begins behind the last row of the page before it (no OFFSET). A filter that matches few rows could make one page read all of
the outbox; so a page looks at `SCAN` rows at most, and says where to go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    type_coerce,
)

from scheduler.sms import Reason, SmsKind, SmsState
from store.attempts import as_row
from store.instants import UtcDateTime
from store.outbox import DECIDED, IS_DUE, IS_OPEN, LATEST_RETRY, PLANNED_AT, planned_in
from store.outbox_row import OutboxRow
from store.tables import outbox

SCAN: Final = 5_000
"""Rows that one page looks at."""

_INSTANT: Final = timedelta(microseconds=1)
"""Instants are whole microseconds."""

ON_TIME: Final = timedelta(seconds=60)
"""A text is on time if the gateway took it at most this long after its planned minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKey:
    """Where a row stands in a list.

    Attributes:
        at: what the list is ordered by: when the text was planned for, is tried next, or was claimed.
        id: None: behind all rows of that instant.
    """

    at: datetime
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Which texts; None: all.

    Attributes:
        codes: the gateway's; None in it: without a code.
    """

    environments: Collection[str] | None = None
    kind: SmsKind | None = None
    states: Collection[SmsState] | None = None
    reason: Reason | None = None
    codes: Collection[int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Attributes:
    rows: in the list's order.
    after: where the next page begins; None: this is the last one.
    """

    rows: Sequence[OutboxRow]
    after: RowKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSum:
    """The texts that share environment, kind, state, reason and code.

    Attributes:
        taken: by the gateway. on_time: of those. segments: of those.
    """

    environment: str
    kind: SmsKind
    state: SmsState
    reason: Reason
    code: int | None
    texts: int
    taken: int
    on_time: int
    segments: int


def planned(
    conn: Connection,
    begins: datetime,
    ends: datetime,
    only: RowFilter,
    *,
    after: RowKey | None,
    limit: int,
    now: datetime,
) -> RowPage:
    """Texts planned for `[begins, ends)`, sent or not, the newest first.

    What waits has another index than what was decided, so pages of both are merged. A text that is due later than `LATEST_RETRY`
    from now was not tried yet, so it waits for its own time; those before are few, and sorted.
    """
    last, of = ends - _INSTANT, outbox.c
    decided = _List(select(outbox).where(DECIDED), PLANNED_AT, newest_first=True, first=last, last=begins)
    soon = now + LATEST_RETRY
    pages = [_page(conn, decided, only, after, limit)]
    if last > soon:
        untried = select(outbox).where(IS_DUE)
        later = _List(untried, of.next_attempt_at, newest_first=True, first=last, last=max(begins, soon + _INSTANT))
        pages.append(_page(conn, later, only, after, limit))
    if begins <= soon and not any(page.after is not None and page.after.at > soon for page in pages):
        pages.append(_soon(conn, begins, min(last, soon), soon, only, after, limit))
    return _merged(pages, limit)


def _soon(
    conn: Connection,
    begins: datetime,
    last: datetime,
    soon: datetime,
    only: RowFilter,
    after: RowKey | None,
    limit: int,
) -> RowPage:
    """What waits and was due before, or is within hours: it may have been postponed, so it has no index by its own time."""
    of = outbox.c
    wanted = select(outbox).where(IS_DUE, of.next_attempt_at >= begins, of.next_attempt_at <= soon)
    wanted = wanted.where(of.due >= begins, of.due <= last, *_matching(only))
    if after is not None and after.id is None:
        wanted = wanted.where(of.due < after.at)
    elif after is not None:
        wanted = wanted.where(tuple_(of.due, of.id) < tuple_(literal(after.at, UtcDateTime), literal(after.id)))
    result = conn.execute(wanted.order_by(of.due.desc(), of.id.desc()).limit(limit + 1)).mappings()
    rows = [as_row(row) for row in result]
    return RowPage(rows=rows[:limit], after=_key(rows[limit - 1]) if len(rows) > limit else None)


def _merged(pages: Sequence[RowPage], limit: int) -> RowPage:
    """One page of several lists, the newest first. It ends where the first of them ends."""
    ends = [page.after for page in pages if page.after is not None]
    end = max(ends, key=_place, default=None)
    rows = sorted((row for page in pages for row in page.rows), key=lambda row: _place(_key(row)), reverse=True)
    shown = [row for row in rows if end is None or _place(_key(row)) >= _place(end)]
    if len(shown) > limit:
        return RowPage(rows=shown[:limit], after=_key(shown[limit - 1]))
    return RowPage(rows=shown, after=end)


def _key(row: OutboxRow) -> RowKey:
    return RowKey(at=row.due or row.created_at, id=row.id)


def _place(key: RowKey) -> tuple[datetime, str]:
    """Its place in a list, the newest first; ids are hexadecimal, so the empty text is behind them all."""
    return key.at, key.id or ""


def waiting(conn: Connection, only: RowFilter, *, after: RowKey | None, limit: int) -> RowPage:
    """Texts that wait, the next one first."""
    return _page(conn, _List(select(outbox).where(IS_DUE), outbox.c.next_attempt_at), only, after, limit)


def under_way(conn: Connection, state: SmsState, only: RowFilter, *, after: RowKey | None, limit: int) -> RowPage:
    """Texts in a state between claim and outcome (sending, accepted, sent, unknown), the oldest first."""
    wanted = select(outbox).where(IS_OPEN, outbox.c.state == literal_column(f"'{state.value}'"))
    return _page(conn, _List(wanted, outbox.c.claimed_at), only, after, limit)


def sums(conn: Connection, begins: datetime, ends: datetime, now: datetime) -> list[SmsSum]:
    """What was planned for `[begins, ends)`, counted."""
    of = outbox.c
    taken = of.sent_at.is_not(None)
    groups = (of.environment, of.kind, of.state, of.reason, of.code)
    counted = (
        select(
            *groups,
            func.count().label("texts"),
            func.count().filter(taken).label("taken"),
            func.count().filter(taken & _is_on_time(conn)).label("on_time"),
            func.coalesce(func.sum(of.segments).filter(taken), 0).label("segments"),
        )
        .where(planned_in(begins, ends, now))
        .group_by(*groups)
        .order_by(*groups)
    )
    return [
        SmsSum(
            environment=row.environment,
            kind=SmsKind(row.kind),
            state=SmsState(row.state),
            reason=Reason(row.reason),
            code=row.code,
            texts=row.texts,
            taken=row.taken,
            on_time=row.on_time,
            segments=int(row.segments),
        )
        for row in conn.execute(counted)
    ]


def _is_on_time(conn: Connection) -> ColumnElement[bool]:
    """SQLite has no intervals; instants are microseconds there."""
    of = outbox.c
    if conn.dialect.name == "sqlite":
        late = type_coerce(of.sent_at, BigInteger) - type_coerce(of.due, BigInteger)
        return late <= ON_TIME // _INSTANT
    return of.sent_at <= of.due + literal(ON_TIME)


@dataclass(frozen=True, slots=True)
class _List:
    """Rows in an order that an index has.

    Attributes:
        at: what the index orders them by.
        first, last: the bounds of it, both included, in the list's order; None: none. An index is searched by one bound on
            each side, so a narrower one takes its place and is not added to it.
    """

    rows: Select[Any]
    at: ColumnElement[datetime]
    newest_first: bool = field(default=False, kw_only=True)
    first: datetime | None = field(default=None, kw_only=True)
    last: datetime | None = field(default=None, kw_only=True)

    def next_to(self, instant: datetime) -> datetime:
        """The first instant behind this one."""
        return instant - _INSTANT if self.newest_first else instant + _INSTANT

    def bounded(self) -> Select[Any]:
        rows, at = self.rows, self.at
        if self.first is not None:
            rows = rows.where(at <= self.first if self.newest_first else at >= self.first)
        if self.last is not None:
            rows = rows.where(at >= self.last if self.newest_first else at <= self.last)
        return rows


def _page(conn: Connection, every: _List, only: RowFilter, after: RowKey | None, limit: int) -> RowPage:
    """The first `limit` rows that match among the next `SCAN`, and all others of the last one's instant."""
    at, own_id = every.at, outbox.c.id
    if after is not None:
        every = replace(every, first=after.at if after.id is not None else every.next_to(after.at))
    end, matching = None, _matching(only)
    if matching:
        by_index = every.bounded().with_only_columns(at).order_by(at.desc() if every.newest_first else at)
        end = conn.execute(by_index.offset(SCAN - 1).limit(1)).scalar_one_or_none()
        if end is not None:
            every = replace(every, last=end)
    if after is not None and after.id is not None:
        place, beyond = tuple_(at, own_id), tuple_(literal(after.at, UtcDateTime), literal(after.id))
        matching.append(place < beyond if every.newest_first else place > beyond)
    order = (at.desc(), own_id.desc()) if every.newest_first else (at, own_id)
    wanted = every.bounded().add_columns(at.label("place")).where(*matching).order_by(*order).limit(limit + 1)
    rows = [(as_row(row), RowKey(at=row["place"], id=row["id"])) for row in conn.execute(wanted).mappings()]
    if len(rows) > limit:
        next_key: RowKey | None = rows[limit - 1][1]
    else:
        next_key = None if end is None else RowKey(at=end, id=None)
    return RowPage(rows=[row for row, _ in rows[:limit]], after=next_key)


def _matching(only: RowFilter) -> list[ColumnElement[bool]]:
    of = outbox.c
    conditions: list[ColumnElement[bool]] = []
    if only.environments is not None:
        conditions.append(of.environment.in_(sorted(only.environments)))
    if only.kind is not None:
        conditions.append(of.kind == only.kind.value)
    if only.states is not None:
        conditions.append(of.state.in_(sorted(state.value for state in only.states)))
    if only.reason is not None:
        conditions.append(of.reason == only.reason.value)
    if only.codes is not None:
        named = of.code.in_(sorted(code for code in only.codes if code is not None))
        conditions.append(named | of.code.is_(None) if None in only.codes else named)
    return conditions
