"""What became of an attempt: every report is a conditional UPDATE by rank, so doubled, reversed and early ones are harmless.

A report names the row and the attempt; one for another attempt changes nothing. States only climb (`outbox_row.RANK`), and
`delivered` beats a failure that was reported before it. All functions return whether, or which, rows changed.
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
"""Not final this long after it was accepted: the callback is lost, ask the gateway."""

RESOLVE_AFTER: Final = timedelta(seconds=60)
"""Before this the gateway's own list may not show an ambiguous text yet."""

POLL_FOR: Final = timedelta(days=3)
RESOLVE_FOR: Final = timedelta(hours=24)
"""What is not known by then will not become known; asking on would keep newer texts from being asked about."""

_DAY: Final = timedelta(days=1)
_ATTEMPTED: Final = (SmsState.SENDING, SmsState.UNKNOWN, SmsState.ACCEPTED, SmsState.SENT)


class Acceptance(NamedTuple):
    """The gateway took this attempt of a row, and calls it `message_id`."""

    outbox_id: str
    attempt: int
    message_id: str


def accepted(conn: Connection, taken: Sequence[Acceptance], *, at: datetime) -> int:
    """The gateway took these; how many rows changed. A callback may have come first: then only what it did not know is
    filled in."""
    put = codec(conn).put
    changed = _ACCEPTED.run(conn, [(sent.outbox_id, sent.attempt, sent.message_id, put(at)) for sent in taken])
    for outbox_id, state, known_id in changed:
        _forget_at_gateway(conn, outbox_id, SmsState(state), known_id, at)
    return len(changed)


def refused(conn: Connection, outbox_id: str, attempt: int, *, code: int, at: datetime) -> bool:
    """The gateway said no, for good: `failed`, with its code; nothing was created there."""
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
    """Due again at `until`: it certainly did not reach the gateway, or it failed on its way for a passing reason.

    Not once the gateway is known to have taken it and has not said that it failed.

    Args:
        spent: False: it does not count as an attempt, and its number is used again. Only where nothing was created.
    """
    before = (SmsState.SENDING, SmsState.UNKNOWN, SmsState.UNDELIVERED, SmsState.FAILED)
    again = {"state": SmsState.DUE.value, "next_attempt_at": until, "code": code, "final_at": None}
    return _settle(conn, outbox_id, attempt, before, **again, **({} if spent else {"attempts": attempt - 1}))


def resend(conn: Connection, outbox_id: str, attempt: int, *, until: datetime) -> bool:
    """Due again at `until`, after the gateway's list showed nothing of it; False: a callback settled it meanwhile."""
    return _settle(conn, outbox_id, attempt, (SmsState.UNKNOWN,), state=SmsState.DUE.value, next_attempt_at=until)


def ambiguous(conn: Connection, outbox_id: str, attempt: int) -> bool:
    """Nobody knows whether it was taken: `unknown`, to be looked up and never blindly repeated."""
    return _settle(
        conn, outbox_id, attempt, (SmsState.SENDING,), state=SmsState.UNKNOWN.value, doubts=outbox.c.doubts + 1
    )


def give_up(conn: Connection, outbox_id: str, attempt: int, *, reason: Reason, at: datetime) -> bool:
    """A row that waits for a retry is not sent after all (expired, purged, canceled)."""
    return _settle(
        conn, outbox_id, attempt, (SmsState.DUE,), state=SmsState.SUPPRESSED.value, reason=reason.value,
        next_attempt_at=None, final_at=at,
    )  # fmt: skip


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
    """A status from the gateway, by callback or by asking; False: it is no news, or of another attempt."""
    lower = [status.value for status, rank in RANK.items() if 0 < rank < RANK[state]]
    if state is SmsState.DELIVERED:  # true whatever was decided meanwhile: a waiting retry is not needed any more
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
    for (known_id,) in changed:
        _forget_at_gateway(conn, outbox_id, state, known_id, at)
    return bool(changed)


def expire_leases(conn: Connection, now: datetime) -> list[str]:
    """Attempts whose node never reported back: `unknown` from now on; their ids."""
    return list(conn.execute(
        update(outbox)
        .where(outbox.c.state == SmsState.SENDING.value, outbox.c.lease_until <= now)
        .values(state=SmsState.UNKNOWN.value, lease_until=null(), doubts=outbox.c.doubts + 1)
        .returning(outbox.c.id)
    ).scalars())  # fmt: skip


def to_poll(conn: Connection, now: datetime, *, limit: int) -> list[OutboxRow]:
    """Accepted texts without a final status after `POLL_AFTER`, asked about at most once in that time, for `POLL_FOR`."""
    return _open(conn, (SmsState.ACCEPTED, SmsState.SENT), now, (POLL_AFTER, POLL_FOR), POLL_AFTER, limit)


def to_resolve(conn: Connection, now: datetime, *, limit: int, every: timedelta = RESOLVE_AFTER) -> list[OutboxRow]:
    """Texts of unknown fate, `RESOLVE_AFTER` after their attempt, looked up at most once in `every`, for `RESOLVE_FOR`."""
    return _open(conn, (SmsState.UNKNOWN,), now, (RESOLVE_AFTER, RESOLVE_FOR), every, limit)


def checked(conn: Connection, ids: Collection[str], now: datetime) -> None:
    """These were looked up at the gateway just now."""
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
    """An earlier attempt of this row has come to its end at the gateway: delete it there as well."""
    _forget_at_gateway(conn, outbox_id, SmsState.DELIVERED, message_id, at)


def by_message_id(conn: Connection, message_id: str) -> OutboxRow | None:
    """The row of a gateway's message id."""
    row = conn.execute(select(outbox).where(outbox.c.sid == message_id).limit(1)).mappings().one_or_none()
    return None if row is None else as_row(row)


def as_row(row: Any) -> OutboxRow:
    """A mapping with the columns of `outbox` as a value."""
    columns = {name: row[name] for name in COLUMNS}
    typed = {"kind": KINDS[row["kind"]], "state": STATES[row["state"]], "reason": REASONS[row["reason"]]}
    return OutboxRow(**columns | typed)


# Deleting at the gateway


def to_forget(conn: Connection, now: datetime, *, limit: int) -> list[tuple[str, datetime]]:
    """(message id, since) of finished texts that the gateway still keeps and that are to be deleted there now."""
    of = gateway_forgets.c
    rows = conn.execute(select(of.sid, of.since).where(of.next_at <= now).order_by(of.next_at).limit(limit)).all()
    return [(message_id, since) for message_id, since in rows]


def forget_unfinished(conn: Connection, now: datetime) -> None:
    """Texts whose final status never came: what is asked about no longer is deleted at the gateway too."""
    of, owner = outbox.c, gateway_forgets.c.outbox
    waits = select(owner).where(owner == of.id).exists()
    stale = select(of.sid, of.id, literal(now, UtcDateTime()), literal(now, UtcDateTime())).where(
        of.state.in_([SmsState.ACCEPTED.value, SmsState.SENT.value]), of.sid.is_not(None), of.gateway_forgotten_at.is_(None),
        of.claimed_at <= now - POLL_FOR, of.claimed_at > now - POLL_FOR - _DAY, ~waits,
    )  # fmt: skip
    made = insert_into(conn, gateway_forgets).from_select(["sid", "outbox", "since", "next_at"], stale)
    conn.execute(made.on_conflict_do_nothing())


def forgotten(conn: Connection, message_id: str, at: datetime) -> None:
    """It is gone there. The row says so when its last attempt's text is."""
    owner = conn.execute(
        delete(gateway_forgets).where(gateway_forgets.c.sid == message_id).returning(gateway_forgets.c.outbox)
    ).scalar_one_or_none()
    if owner is not None:
        left = select(gateway_forgets.c.sid).where(gateway_forgets.c.outbox == owner).exists()
        conn.execute(update(outbox).where(outbox.c.id == owner, ~left).values(gateway_forgotten_at=at))


def forget_later(conn: Connection, message_id: str, next_at: datetime) -> None:
    """Not yet possible: try again then."""
    conn.execute(update(gateway_forgets).where(gateway_forgets.c.sid == message_id).values(next_at=next_at))


def stop_forgetting(conn: Connection, message_id: str) -> None:
    """Given up after the gateway's own retention; the row keeps saying that it is not known to be gone."""
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


def _forget_at_gateway(conn: Connection, outbox_id: str, state: SmsState, message_id: str | None, at: datetime) -> None:
    if state not in FINAL or message_id is None:
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
    """Who has waited longest for a look comes first: many that are never found would keep the others from being found."""
    of, (youngest, oldest) = outbox.c, ages
    rows = conn.execute(
        select(outbox)
        .where(of.state.in_([state.value for state in states]))
        .where(of.claimed_at <= now - youngest, of.claimed_at > now - oldest)
        .where(or_(of.checked_at.is_(None), of.checked_at <= now - every))
        .order_by(of.checked_at.nulls_first(), of.claimed_at)
        .limit(limit)
    ).mappings()  # fmt: skip
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
