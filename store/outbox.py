"""Read the outbox: how many texts wait, the rows of an appointment, the rows of a report, the appointments to plan again.

Only `hurry` changes rows here. `appointment_repository.save` plans, `claims.claim` claims, `receipts` records results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal_column, or_, select, update

from scheduler.sms import SmsState
from scheduler.writeback import LATER_ANSWER
from store.appointment_repository import StoredAppointment, load
from store.attempts import as_row
from store.outbox_row import OutboxRow
from store.prepared import Prepared, codec
from store.tables import aliases, appointments, messages, outbox
from store.vault import Vault

_PAGE: Final = 500
LATEST_RETRY: Final = timedelta(hours=4)
"""No retry is further ahead; rows that are need not be read to find those that are late."""
_TURN: Final = timedelta(minutes=1)
"""A ready text is claimed within seconds; one that is not by then is late."""
IS_DUE = outbox.c.state == literal_column("'due'")
"""Written as in the partial index; with a parameter the index would not be used."""
IS_OPEN: Final = outbox.c.state.in_(
    [literal_column(f"'{state}'") for state in ("sending", "accepted", "sent", "unknown")]
)
"""Between claim and outcome; written as in the partial index."""
DECIDED: Final = outbox.c.state != literal_column("'due'")
"""Not waiting any more; written as in the partial index."""
PLANNED_AT: Final = func.coalesce(outbox.c.due, outbox.c.created_at)
"""When a text was planned for; of one that never had a time, when it was recorded. The index has it as an expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueTexts:
    """Texts of one environment that should have left by now.

    Attributes:
        lag: how late the oldest of them is.
    """

    count: int
    lag: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Attributes:
    ready: rows whose time has come and that no node has claimed.
    waiting: all rows that are due now or later.
    retrying: rows that were tried without success and are to be tried again.
    overdue: rows that should have left by now: ready ones, and those of `retrying` whose time has come. Rows that a quiet hour, a
        rate or a hold has postponed are not among them, nor those that the gateway took and that wait to be sent again because the
        telephone could not be reached.
    lag: how late the oldest of `overdue` is; zero where none is.
    by_environment: the rows of `overdue`, in each environment that has any.
    by_state: rows that are being sent or unknown, by state.
    """

    ready: int
    waiting: int
    retrying: int
    overdue: int
    lag: timedelta
    by_environment: dict[str, OverdueTexts]
    by_state: dict[SmsState, int]


def next_due(conn: Connection) -> datetime | None:
    """When the next row is or was due; None: nothing waits. Reads one entry of an index."""
    [(at,)] = _NEXT.fetch(conn, ())
    return codec(conn).get_maybe(at)


def hurry(conn: Connection, now: datetime) -> int:
    """After the clock was set back: check postponed texts again at their own due time. Return how many."""
    late = update(outbox).where(IS_DUE, outbox.c.next_attempt_at > now, outbox.c.next_attempt_at > outbox.c.due)
    return conn.execute(late.values(next_attempt_at=outbox.c.due)).rowcount


def queue(conn: Connection, now: datetime) -> Queue:
    """The queue's depth and lag, for `status` and the metrics."""
    next_at, tried = outbox.c.next_attempt_at, outbox.c.attempts > 0
    in_vain = tried & outbox.c.sent_at.is_(None)  # the last attempt did not reach the gateway; a claim clears `sent_at`
    is_ready = next_at <= now
    is_overdue = or_(is_ready, in_vain & (outbox.c.due <= now))
    since = case((in_vain, outbox.c.due), else_=next_at)
    counted = conn.execute(
        select(
            outbox.c.environment,
            func.count().filter(is_ready),
            func.count().filter(tried),
            func.count().filter(is_overdue),
            func.min(since).filter(is_overdue),
        )
        .where(IS_DUE, next_at <= now + LATEST_RETRY)
        .group_by(outbox.c.environment)
    ).all()
    late = {
        name: OverdueTexts(count=overdue, lag=now - oldest)
        for name, _ready, _retrying, overdue, oldest in counted
        if oldest is not None
    }
    waiting = conn.execute(select(func.count()).select_from(outbox).where(IS_DUE)).scalar_one()
    counts = conn.execute(select(outbox.c.state, func.count()).where(IS_OPEN).group_by(outbox.c.state)).all()
    return Queue(
        ready=sum(ready for _, ready, *_ in counted),
        waiting=waiting,
        retrying=sum(retrying for _, _, retrying, *_ in counted),
        overdue=sum(texts.count for texts in late.values()),
        lag=max((texts.lag for texts in late.values()), default=timedelta()),
        by_environment=late,
        by_state={SmsState(state): count for state, count in counts},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCount:
    """Attributes:
    waiting: texts that are due now or later. late: of those, texts whose turn came and that no node has claimed.
    """

    waiting: int
    late: int


def waiting_by_environment(conn: Connection, now: datetime) -> dict[str, WaitingCount]:
    """How many texts wait in each environment that has any."""
    of = outbox.c
    late = func.count().filter(of.next_attempt_at <= now - _TURN)
    counted = select(of.environment, func.count(), late).where(IS_DUE).group_by(of.environment)
    return {name: WaitingCount(waiting=waiting, late=overdue) for name, waiting, overdue in conn.execute(counted)}


def rows(
    conn: Connection,
    *,
    environment: str | None = None,
    appointment: str | None = None,
    state: SmsState | None = None,
    phone_key: str | None = None,
) -> Iterator[OutboxRow]:
    """Rows in the order of their time.

    Args:
        appointment: Carebell's id, the hospital's reference, or a whole alias.
        phone_key: of the number of the last attempt; it is known for eight days after that.
    """
    wanted = select(outbox)
    if environment is not None:
        wanted = wanted.where(outbox.c.environment == environment)
    if appointment is not None:
        wanted = wanted.where(outbox.c.appointment.in_(ids_of(conn, appointment, environment=environment)))
    if state is not None:
        wanted = wanted.where(outbox.c.state == state.value)
    if phone_key is not None:
        wanted = wanted.where(outbox.c.phone_key == phone_key)
    yield from _read(conn, wanted)


def ids_of(conn: Connection, name: str, *, environment: str | None = None) -> list[str]:
    """Carebell's ids of the appointments with this name: reference, alias, or Carebell's id itself."""
    of = appointments.c
    places = [environment] if environment is not None else alias_environments(conn)
    by_alias = select(aliases.c.appointment).where(aliases.c.environment.in_(places), aliases.c.alias == name)
    wanted = select(of.id).where(or_(of.id == name, of.reference == name, of.id.in_(by_alias)))
    if environment is not None:
        wanted = wanted.where(of.environment == environment)
    return list(conn.execute(wanted.order_by(of.id)).scalars())


def alias_environments(conn: Connection) -> list[str]:
    """The environments whose appointments have aliases: one look into the primary key for each, so that an alias is found by it."""
    names: list[str] = []
    while True:
        above = select(func.min(aliases.c.environment))
        name = conn.execute(above.where(aliases.c.environment > names[-1]) if names else above).scalar_one()
        if name is None:
            return names
        names.append(name)


def report(
    conn: Connection, begins: datetime, ends: datetime, *, environment: str | None = None, now: datetime | None = None
) -> Iterator[OutboxRow]:
    """Every text planned for `[begins, ends)`, sent or suppressed. If a text has no due time, its creation time counts.

    Args:
        now: spares reading what waits for a later time; for callers that ask for many short spans.
    """
    wanted = select(outbox).where(planned_in(begins, ends, now))
    if environment is not None:
        wanted = wanted.where(outbox.c.environment == environment)
    yield from _read(conn, wanted)


def planned_in(begins: datetime, ends: datetime, now: datetime | None) -> ColumnElement[bool]:
    """Whether a text was planned for `[begins, ends)`, written so that each half has its index.

    A text that waits is tried at its time, and later ones were postponed (`LATEST_RETRY` at most), never earlier.
    """
    decided = DECIDED & (begins <= PLANNED_AT) & (ends > PLANNED_AT)
    of = outbox.c
    waits = IS_DUE & (of.next_attempt_at >= begins) & (of.due >= begins) & (of.due < ends)
    if now is not None:
        waits &= of.next_attempt_at < max(ends, now + LATEST_RETRY)
    return or_(decided, waits)


def to_replan(
    conn: Connection,
    vault: Vault,
    environment: str,
    now: datetime,
    *,
    after: str = "",
    limit: int = _PAGE,
    lock: bool = True,
) -> list[StoredAppointment]:
    """A page of appointments that a new configuration may affect: future visits and waiting texts.

    Get the next page with the last id as `after`, each page in its own transaction. An empty page is the end.

    Args:
        lock: lock the rows until the commit; False: to look only.
    """
    ids = conn.execute(_replanned_ids(environment, now, after).limit(limit)).scalars()
    result = load(conn, vault, list(ids), now, lock=lock)
    return [result[own_id] for own_id in sorted(result)]


def ids_to_replan(conn: Connection, environment: str, now: datetime) -> list[str]:
    """The ids of all that `to_replan` gives page by page."""
    return list(conn.execute(_replanned_ids(environment, now, "")).scalars())


def _replanned_ids(environment: str, now: datetime, after: str) -> Select[Any]:
    of = appointments.c
    waits = select(outbox.c.id).where(outbox.c.appointment == of.id, IS_DUE).exists()
    return (
        select(of.id)
        .where(of.environment == environment, of.id > after, or_(of.forget_at > now, waits))
        .order_by(of.id)
    )


def count_unknown(conn: Connection, *, since: datetime, until: datetime) -> int:
    """How many texts that were claimed in this span are in state unknown."""
    of = outbox.c
    is_unknown = IS_OPEN & (of.state == literal_column("'unknown'"))
    claimed = (of.claimed_at >= since) & (of.claimed_at < until)
    return int(conn.execute(select(func.count()).where(is_unknown, claimed)).scalar_one())


def last_received(conn: Connection, environment: str) -> datetime | None:
    """When the newest message of an environment's feed was received; None: none is remembered.

    Answers to what went back are no feed: an engine may send them while the EHR's scheduling has fallen silent.
    """
    of = messages.c
    is_feed = of.event.is_distinct_from(LATER_ANSWER)
    newest = select(of.received_at).where(of.environment == environment, is_feed)
    return conn.execute(newest.order_by(of.forget_after.desc()).limit(1)).scalar_one_or_none()


def _read(conn: Connection, wanted: Select[Any]) -> Iterator[OutboxRow]:
    ordered = wanted.order_by(PLANNED_AT, outbox.c.created_at, outbox.c.id)
    with conn.execute(ordered, execution_options={"yield_per": _PAGE}) as result:
        for row in result.mappings():
            yield as_row(row)


_NEXT: Final = Prepared(lambda _: select(func.min(outbox.c.next_attempt_at)).where(IS_DUE), ())
