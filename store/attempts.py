"""Record the result of an attempt. Each report is a conditional UPDATE by rank, so repeated, reordered and early reports do no
harm.

A report names the row and the attempt; a report for another attempt changes nothing. States only rise (`outbox_row.RANK`), and
`delivered` replaces a failure that was reported before. All functions return whether rows changed, or which.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, case, delete, func, literal, literal_column, null, or_, select, update
from sqlalchemy.sql import ClauseElement

from scheduler.sms import Reason, SmsState
from store.instants import UtcDateTime
from store.outbox_row import COLUMNS, FINAL, KINDS, RANK, REASONS, STATES, OutboxRow
from store.prepared import Given, PreparedRows, codec
from store.tables import gateway_forgets, outbox
from store.upsert import insert_into

POLL_AFTER: Final = timedelta(hours=1)
"""If a text is not final this long after it was accepted, the callback is lost: ask the gateway."""

RESOLVE_AFTER: Final = timedelta(seconds=60)
"""Before this the gateway's own list may not show an ambiguous text yet."""

POLL_FOR: Final = timedelta(days=3)
RESOLVE_FOR: Final = timedelta(hours=24)
"""A status that is unknown by then stays unknown. Asking longer would delay questions about newer texts."""

_DAY: Final = timedelta(days=1)
_ATTEMPTED: Final = (SmsState.SENDING, SmsState.UNKNOWN, SmsState.ACCEPTED, SmsState.SENT)


class Acceptance(NamedTuple):
    """The gateway took this attempt of a row and gave it the id `message_id`."""

    outbox_id: str
    attempt: int
    message_id: str


def accepted(conn: Connection, taken: Sequence[Acceptance], *, at: datetime) -> int:
    """Record that the gateway took these; return how many rows changed. If a callback came first, only missing values are
    added."""
    instant = codec(conn).put(at)
    changed = _ACCEPTED.run(conn, [(*sent, instant) for sent in taken])
    for outbox_id, state, known_id in changed:
        if STATES[state] in FINAL:  # a callback came first
            _forget_at_gateway(conn, outbox_id, known_id, at)
    return len(changed)


def refused(conn: Connection, outbox_id: str, attempt: int, *, code: int, at: datetime) -> bool:
    """Record a final refusal of the gateway: `failed`, with its code. Nothing was created there."""
    return _settle(
        conn,
        outbox_id,
        attempt,
        (SmsState.SENDING, SmsState.UNKNOWN),
        state=SmsState.FAILED.value,
        code=code,
        final_at=at,
    )


def retry(
    conn: Connection, outbox_id: str, attempt: int, *, until: datetime, code: int | None = None, spent: bool = True
) -> bool:
    """Make it due again at `until`: it certainly did not reach the gateway, or its delivery failed for a temporary reason.

    It changes nothing if the gateway is known to have taken the text and has not reported a failure.

    Args:
        spent: False: it does not count as an attempt, and its number is used again. Only allowed if nothing was created.
    """
    before = (SmsState.SENDING, SmsState.UNKNOWN, SmsState.UNDELIVERED, SmsState.FAILED)
    again = {"state": SmsState.DUE.value, "next_attempt_at": until, "code": code, "final_at": None}
    return _settle(conn, outbox_id, attempt, before, **again, **({} if spent else {"attempts": attempt - 1}))


def resend(conn: Connection, outbox_id: str, attempt: int, *, until: datetime) -> bool:
    """Make it due again at `until`, because the gateway's list does not contain it; False: a callback gave its result meanwhile."""
    return _settle(conn, outbox_id, attempt, (SmsState.UNKNOWN,), state=SmsState.DUE.value, next_attempt_at=until)


def ambiguous(conn: Connection, outbox_id: str, attempt: int) -> bool:
    """Record that it is unknown whether the gateway took it: `unknown`. It is looked up and never repeated without knowing."""
    return _settle(
        conn, outbox_id, attempt, (SmsState.SENDING,), state=SmsState.UNKNOWN.value, doubts=outbox.c.doubts + 1
    )


def give_up(conn: Connection, outbox_id: str, attempt: int, *, reason: Reason, at: datetime) -> bool:
    """Give up a row that waits for a retry (expired, purged, canceled)."""
    return _settle(
        conn,
        outbox_id,
        attempt,
        (SmsState.DUE,),
        state=SmsState.SUPPRESSED.value,
        reason=reason.value,
        next_attempt_at=None,
        final_at=at,
    )


def advance_status(
    conn: Connection,
    outbox_id: str,
    attempt: int,
    state: SmsState,
    *,
    at: datetime,
    code: int | None = None,
    message_id: str | None = None,
) -> bool:
    """Record a status from the gateway, received by callback or by asking; False: it is not new, or of another attempt."""
    lower = [status.value for status, rank in RANK.items() if 0 < rank < RANK[state]]
    if state is SmsState.DELIVERED:  # true whatever was decided meanwhile: a waiting retry is no longer needed
        lower += [SmsState.DUE.value, SmsState.SUPPRESSED.value]
    final = state in FINAL
    changed = conn.execute(
        update(outbox)
        .where(_attempt(outbox_id, attempt), outbox.c.state.in_(lower))
        .values(
            state=state.value,
            code=func.coalesce(code, outbox.c.code) if state is not SmsState.DELIVERED else code,
            sid=func.coalesce(outbox.c.sid, message_id),
            sent_at=func.coalesce(outbox.c.sent_at, literal(at, UtcDateTime())),
            final_at=at if final else outbox.c.final_at,
            next_attempt_at=null(),
            lease_until=null(),
        )
        .returning(outbox.c.sid)
    ).all()
    for (known_id,) in changed if final else ():
        _forget_at_gateway(conn, outbox_id, known_id, at)
    return bool(changed)


def expire_leases(conn: Connection, now: datetime) -> list[str]:
    """Make attempts `unknown` whose node reported no result in time. Return their ids."""
    over = (
        select(outbox.c.id)
        .where(outbox.c.state == SmsState.SENDING.value, outbox.c.lease_until <= now)
        .with_for_update(skip_locked=True)  # a result that is being recorded now is no lost one
    )
    return list(
        conn.execute(
            update(outbox)
            .where(outbox.c.id.in_(over), outbox.c.state == SmsState.SENDING.value)
            .values(state=SmsState.UNKNOWN.value, lease_until=null(), doubts=outbox.c.doubts + 1)
            .returning(outbox.c.id)
        ).scalars()
    )


def to_poll(conn: Connection, now: datetime, *, limit: int) -> list[OutboxRow]:
    """Accepted texts without a final status after `POLL_AFTER`. Each is asked about once in that time at most, for `POLL_FOR`."""
    return _open(conn, (SmsState.ACCEPTED, SmsState.SENT), now, (POLL_AFTER, POLL_FOR), POLL_AFTER, limit)


def to_resolve(conn: Connection, now: datetime, *, limit: int, every: timedelta = RESOLVE_AFTER) -> list[OutboxRow]:
    """Texts in state `unknown`, `RESOLVE_AFTER` after their attempt. Each is looked up once in `every` at most, for
    `RESOLVE_FOR`."""
    return _open(conn, (SmsState.UNKNOWN,), now, (RESOLVE_AFTER, RESOLVE_FOR), every, limit)


def checked(conn: Connection, ids: Collection[str], now: datetime) -> None:
    """Record that these were looked up at the gateway now."""
    if ids:
        conn.execute(update(outbox).where(outbox.c.id.in_(list(ids))).values(checked_at=now))


def by_id(conn: Connection, outbox_id: str) -> OutboxRow | None:
    """One row."""
    row = conn.execute(select(outbox).where(outbox.c.id == outbox_id)).mappings().one_or_none()
    return None if row is None else as_row(row)


def failures(conn: Connection, sender: str, code: int, since: datetime) -> int:
    """How many of a sender's texts that were claimed since then failed with this code."""
    of = outbox.c
    wanted = select(func.count()).where(of.sender == sender, of.code == code, of.claimed_at >= since)
    return int(conn.execute(wanted).scalar_one())


def forget_attempt(conn: Connection, outbox_id: str, message_id: str, at: datetime) -> None:
    """Record that an earlier attempt of this row is finished at the gateway and must be deleted there too."""
    _forget_at_gateway(conn, outbox_id, message_id, at)


def by_message_id(conn: Connection, message_id: str) -> OutboxRow | None:
    """The row of a gateway's message id."""
    row = conn.execute(select(outbox).where(outbox.c.sid == message_id).limit(1)).mappings().one_or_none()
    return None if row is None else as_row(row)


def as_row(row: Any) -> OutboxRow:
    """An `OutboxRow` from a mapping with the columns of `outbox`."""
    columns = {name: row[name] for name in COLUMNS}
    typed = {"kind": KINDS[row["kind"]], "state": STATES[row["state"]], "reason": REASONS[row["reason"]]}
    return OutboxRow(**columns | typed)


# Deleting at the gateway


def to_forget(conn: Connection, now: datetime, *, limit: int) -> list[tuple[str, datetime]]:
    """(message id, since) of finished texts that the gateway still keeps and that must be deleted there now."""
    of = gateway_forgets.c
    rows = conn.execute(select(of.sid, of.since).where(of.next_at <= now).order_by(of.next_at).limit(limit)).all()
    return [(message_id, since) for message_id, since in rows]


def forget_unfinished(conn: Connection, now: datetime) -> None:
    """Schedule the deletion at the gateway of texts without a final status that are no longer asked about."""
    of, owner = outbox.c, gateway_forgets.c.outbox
    waits = select(owner).where(owner == of.id).exists()
    stale = select(of.sid, of.id, literal(now, UtcDateTime()), literal(now, UtcDateTime())).where(
        of.state.in_([SmsState.ACCEPTED.value, SmsState.SENT.value]),
        of.sid.is_not(None),
        of.gateway_forgotten_at.is_(None),
        of.claimed_at <= now - POLL_FOR,
        of.claimed_at > now - POLL_FOR - _DAY,
        ~waits,
    )
    made = insert_into(conn, gateway_forgets).from_select(["sid", "outbox", "since", "next_at"], stale)
    conn.execute(made.on_conflict_do_nothing())


def forgotten(conn: Connection, message_id: str, at: datetime) -> None:
    """Record that a text was deleted at the gateway. The row is marked when the text of its last attempt is deleted."""
    owner = conn.execute(
        delete(gateway_forgets).where(gateway_forgets.c.sid == message_id).returning(gateway_forgets.c.outbox)
    ).scalar_one_or_none()
    if owner is not None:
        left = select(gateway_forgets.c.sid).where(gateway_forgets.c.outbox == owner).exists()
        conn.execute(update(outbox).where(outbox.c.id == owner, ~left).values(gateway_forgotten_at=at))


def forget_later(conn: Connection, message_id: str, next_at: datetime) -> None:
    """Record that the deletion is not possible yet: try again at `next_at`."""
    conn.execute(update(gateway_forgets).where(gateway_forgets.c.sid == message_id).values(next_at=next_at))


def stop_forgetting(conn: Connection, message_id: str) -> None:
    """Give up after the gateway's own retention time. The row still shows that the deletion is not confirmed."""
    conn.execute(delete(gateway_forgets).where(gateway_forgets.c.sid == message_id))


def _attempt(outbox_id: str, attempt: int) -> Any:
    return (outbox.c.id == outbox_id) & (outbox.c.attempts == attempt)


def _settle(conn: Connection, outbox_id: str, attempt: int, before: Sequence[SmsState], **values: Any) -> bool:
    states = [state.value for state in before]
    done = conn.execute(
        update(outbox)
        .where(_attempt(outbox_id, attempt), outbox.c.state.in_(states))
        .values(lease_until=null(), **values)
    )
    return done.rowcount > 0


def _forget_at_gateway(conn: Connection, outbox_id: str, message_id: str | None, at: datetime) -> None:
    """Have a text that is finished deleted at the gateway; None: it has no id there."""
    if message_id is None:
        return
    conn.execute(
        insert_into(conn, gateway_forgets)
        .values(sid=message_id, outbox=outbox_id, since=at, next_at=at)
        .on_conflict_do_nothing()
    )


def _open(
    conn: Connection,
    states: Sequence[SmsState],
    now: datetime,
    ages: tuple[timedelta, timedelta],
    every: timedelta,
    limit: int,
) -> list[OutboxRow]:
    """Rows that have waited longest for a lookup come first, so that texts which are never found do not delay the others."""
    of, (youngest, oldest) = outbox.c, ages
    rows = conn.execute(
        select(outbox)
        .where(of.state.in_([state.value for state in states]))
        .where(of.claimed_at <= now - youngest, of.claimed_at > now - oldest)
        .where(or_(of.checked_at.is_(None), of.checked_at <= now - every))
        .order_by(of.checked_at.nulls_first(), of.claimed_at)
        .limit(limit)
    ).mappings()
    return [as_row(row) for row in rows]


def _accepted_statement(_: str, given: Given) -> ClauseElement:
    of = outbox.c
    lower, known = (
        of.state.in_([literal_column(f"'{state.value}'") for state in states])
        for states in ((SmsState.SENDING, SmsState.UNKNOWN), (*_ATTEMPTED, *FINAL))
    )
    return (
        update(outbox)
        .where(of.id == given["row_id"], of.attempts == given["attempt"], known)
        .values(
            state=case((lower, literal_column(f"'{SmsState.ACCEPTED.value}'")), else_=of.state),
            sid=func.coalesce(of.sid, given["new_id"]),
            sent_at=func.coalesce(of.sent_at, given["at"]),
            lease_until=null(),
        )
        .returning(of.id, of.state, of.sid)
    )


_ACCEPTED = PreparedRows(
    _accepted_statement,
    {"row_id": outbox.c.id, "attempt": outbox.c.attempts, "new_id": outbox.c.sid, "at": outbox.c.sent_at},
)
