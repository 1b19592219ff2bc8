"""What goes back to the EHR: add an intent in the transaction of its event, claim it, record what the EHR said.

Whoever records an event adds its row in the same transaction, with the appointment locked (`lock_order`), so that both are there
or neither is. The rule says whether anything goes back at all (`scheduler.writeback`):

    intent = intend(policy, WritebackEvent.CONFIRMED, environment=..., appointment=..., start=..., now=now)
    if intent is not None:
        writebacks.add(conn, intent, ids=ids, now=now)            # ids: `carebell.ids.ControlIds`

The row's id is the MSH-10 of every attempt: 20 characters, and within an appointment in the order in which the events were added.
That order is kept on the way to the EHR. A row holds nothing of the patient but its sealed `content`.

Who sends claims and finishes in transactions of its own; the EHR is called between them:

    with store.write() as conn:
        claimed = claim(conn, vault, now, environment=..., channel=..., node=..., limit=..., lease=..., strict=...)
        keep_content(conn, vault, claimed[0].row.id, rendered, until=...)     # if claimed[0].content is None
    # committed: the EHR may be called
    with store.write() as conn:
        acknowledged(conn, row.id, row.attempts, at=now, answer="AA")         # or `refused`, `retry`, `doubtful`

Where the EHR's application answers later, by a message of its own, whoever records that locks the rows first (`tried`), and then
writes what follows (`decided`).

An attempt is known by its number: a report of an earlier one changes nothing. A row without a report is due again when its lease
is over (`expire_leases`); the EHR then gets the same bytes with the same MSH-10, and can tell that it has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, null, select, update

from scheduler.writeback import (
    FLAPPING,
    Fact,
    WritebackChannel,
    WritebackEvent,
    WritebackIntent,
    WritebackState,
)
from store.crypto import Undecipherable
from store.sealing import SealedColumn
from store.tables import writebacks
from store.upsert import insert_into
from store.vault import Vault
from store.writeback_rows import COLUMNS, IS_DUE, WritebackRow, read_row

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
"""Of an id, in the order of their characters: so the text's order is the number's, in every database."""
_CONTENT: Final = SealedColumn(table="writebacks", column="content")
_OVER: Final = {"lease_until": null(), "next_attempt_at": null(), "content": null()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedWriteback:
    """Attributes:
    content: the bytes of the first attempt, to be sent again as they are; None: nothing was rendered yet.
    unreadable: there are such bytes, and they cannot be read any more: their day is over, or their key is lost.
    """

    row: WritebackRow
    content: bytes | None
    unreadable: bool = False


def add(conn: Connection, intent: WritebackIntent, *, ids: Callable[[], str], now: datetime) -> str | None:
    """Add a row, and return its id; None: this appointment, event and number has one already, which stays as it is.

    The caller has the appointment locked, and commits. A connect or disconnect replaces one of the same person that has not been
    tried yet (`superseded`).

    Args:
        ids: `carebell.ids.ControlIds`. now: when it is recorded, UTC.
    """
    of = writebacks.c
    same_visit = of.appointment == intent.appointment
    last_id, last_seq = conn.execute(select(func.max(of.id), func.max(of.event_seq)).where(same_visit)).one()
    own_id = ids() if last_id is None else max(ids(), _after(last_id))
    values = {
        "id": own_id,
        "environment": intent.environment,
        "appointment": intent.appointment,
        "event": intent.event.value,
        "event_seq": (last_seq or 0) + 1 if intent.event_seq is None else intent.event_seq,
        "channel": intent.channel.value,
        "facts": json.dumps(_plain(intent.facts), sort_keys=True, separators=(",", ":"), allow_nan=False),
        "state": WritebackState.DUE.value,
        "attempts": 0,
        "next_attempt_at": intent.not_before,
        "expires_at": intent.expires_at,
        "created_at": now,
    }
    new = insert_into(conn, writebacks).values(values).on_conflict_do_nothing(
        index_elements=["appointment", "event", "event_seq"]
    )  # fmt: skip
    if conn.execute(new.returning(of.id)).first() is None:
        return None
    if intent.event in FLAPPING:
        _supersede(conn, intent, own_id, now)
    return own_id


def _supersede(conn: Connection, intent: WritebackIntent, own_id: str, now: datetime) -> None:
    of = writebacks.c
    untried = IS_DUE & (of.attempts == 0) & (of.next_attempt_at > now) & (of.id != own_id)
    same = (of.appointment == intent.appointment) & (of.channel == intent.channel.value)
    flaps = of.event.in_([event.value for event in FLAPPING])
    earlier = conn.execute(select(of.id, of.facts).where(same, flaps, untried)).all()
    ids = [row.id for row in earlier if json.loads(row.facts).get("by") == intent.facts.get("by")]
    if ids:
        over = update(writebacks).where(of.id.in_(ids), IS_DUE, of.attempts == 0)
        conn.execute(over.values(state=WritebackState.SUPERSEDED.value, final_at=now, **_OVER))


def take_back_question(conn: Connection, appointment: str, now: datetime) -> None:
    """Whoever confirms wants no cancellation any more: the EHR is not asked for one that has not been tried yet.

    The caller has the appointment locked, and commits. A confirmation does this whether or not it goes back itself.
    """
    of = writebacks.c
    untried = IS_DUE & (of.attempts == 0) & (of.appointment == appointment)
    asked = select(of.id, of.facts).where(untried, of.event == WritebackEvent.CANNOT_COME.value)
    ids = [row.id for row in conn.execute(asked) if json.loads(row.facts).get("ask") is True]
    if ids:
        over = update(writebacks).where(of.id.in_(ids), IS_DUE, of.attempts == 0)
        conn.execute(over.values(state=WritebackState.SUPERSEDED.value, final_at=now, **_OVER))


def claim(
    conn: Connection,
    vault: Vault,
    now: datetime,
    *,
    environment: str,
    channel: WritebackChannel,
    node: str,
    limit: int,
    lease: timedelta,
    strict: bool = False,
) -> list[ClaimedWriteback]:
    """Make up to `limit` rows of one target `sending`, in the order of their ids. The caller commits.

    A row waits while an earlier one of its appointment is open. On PostgreSQL rows that another node is claiming are passed over.

    Args:
        node: its name, for people.
        lease: how long the EHR's answer may take; longer than its time-out.
        strict: it also waits while any earlier row of the target is open, or refused and not yet past its time.
    """
    of = writebacks.c
    wanted = _claimable(now, environment, channel, strict).order_by(of.id).limit(limit)
    wanted = wanted.with_for_update(skip_locked=True, of=writebacks)
    ids = list(conn.execute(wanted).scalars())
    if not ids:
        return []
    taken = conn.execute(
        update(writebacks)
        .where(of.id.in_(ids), IS_DUE)
        .values(
            state=WritebackState.SENDING.value,
            attempts=of.attempts + 1,
            next_attempt_at=null(),
            lease_until=now + lease,
            node=node,
            sent_at=now,
        )
        .returning(*COLUMNS, of.content)
    ).mappings()
    return [_claimed(conn, vault, row) for row in sorted(taken, key=lambda row: str(row["id"]))]


def anything_to_claim(
    conn: Connection, now: datetime, environment: str, channel: WritebackChannel, *, strict: bool
) -> bool:
    """Whether `claim` would find a row. Looked at first, so that an idle service writes nothing."""
    return conn.execute(_claimable(now, environment, channel, strict).limit(1)).first() is not None


def _claimable(now: datetime, environment: str, channel: WritebackChannel, strict: bool) -> Select[Any]:
    of, before = writebacks.c, writebacks.alias("earlier")
    target = (before.c.environment == of.environment) & (before.c.channel == of.channel) & (before.c.id < of.id)
    open_before = before.c.state.in_([literal_column("'due'"), literal_column("'sending'")])
    blocks = [target & open_before & (before.c.appointment == of.appointment)]
    if strict:
        refused = (before.c.state == literal_column("'refused'")) & (before.c.expires_at > now)
        blocks = [target & open_before, target & refused]
    return (
        select(of.id)
        .where(IS_DUE, of.environment == environment, of.channel == channel.value)
        .where(of.next_attempt_at <= now, of.expires_at > now)
        .where(*(~select(before.c.id).where(block).exists() for block in blocks))
    )


def tried(conn: Connection, ids: Collection[str]) -> dict[str, WritebackRow]:
    """Those of these rows that an attempt was made of, locked until the commit in the order of their ids."""
    of = writebacks.c
    wanted = select(*COLUMNS).where(of.id.in_(sorted(ids)), of.attempts > 0).order_by(of.id).with_for_update()
    return {str(row["id"]): read_row(row) for row in conn.execute(wanted).mappings()}


def decided(
    conn: Connection, writeback_id: str, state: WritebackState, *, at: datetime, answer: str, err3: str | None
) -> None:
    """Record the application's later answer to a row that `tried` locked, whatever attempt it is about.

    Args:
        state: acknowledged or refused. answer: AA, AE or AR.
    """
    code = None if state is WritebackState.ACKNOWLEDGED else answer
    over = update(writebacks).where(writebacks.c.id == writeback_id)
    conn.execute(over.values(state=state.value, final_at=at, answer=answer, code=code, err3=err3, **_OVER))


def keep_content(conn: Connection, vault: Vault, writeback_id: str, content: bytes, *, until: datetime) -> None:
    """Keep the rendered bytes sealed until the row is final, so that every attempt sends the same ones.

    Args:
        until: the day after which nobody can read them, UTC.
    """
    sealed = _CONTENT.seal(conn, vault, writeback_id, content, until=until)
    conn.execute(update(writebacks).where(writebacks.c.id == writeback_id).values(content=sealed))


def acknowledged(
    conn: Connection, writeback_id: str, attempt: int, *, at: datetime, answer: str, code: str | None = None
) -> bool:
    """Record that the EHR took it; False: it was not this attempt's turn any more."""
    return _settle(conn, writeback_id, attempt, WritebackState.ACKNOWLEDGED, at, answer=answer, code=code, err3=None)


def refused(
    conn: Connection,
    writeback_id: str,
    attempt: int,
    *,
    at: datetime,
    answer: str | None,
    code: str,
    err3: str | None = None,
) -> bool:
    """Record that the EHR does not want it, or that it cannot be rendered (`answer` None); False as `acknowledged`."""
    return _settle(conn, writeback_id, attempt, WritebackState.REFUSED, at, answer=answer, code=code, err3=err3)


def doubtful(conn: Connection, writeback_id: str, attempt: int, *, at: datetime, code: str) -> bool:
    """Record that nobody knows whether it arrived, and that it must not be sent again blindly: `unknown`."""
    return _settle(conn, writeback_id, attempt, WritebackState.UNKNOWN, at, answer=None, code=code, err3=None)


def retry(
    conn: Connection,
    writeback_id: str,
    attempt: int,
    *,
    until: datetime,
    code: str,
    answer: str | None = None,
    err3: str | None = None,
) -> bool:
    """Make it due again at `until`, UTC: no answer, or one that says to try again. False as `acknowledged`."""
    again = {"state": WritebackState.DUE.value, "next_attempt_at": until, "lease_until": null(), "node": null()}
    changed = update(writebacks).where(_attempt(writeback_id, attempt))
    return conn.execute(changed.values(**again, code=code, answer=answer, err3=err3)).rowcount > 0


def release(conn: Connection, writeback_id: str, attempt: int, *, at: datetime) -> bool:
    """Give a claimed row back untried, as if it had not been claimed: the node is stopping, or the target is out of reach."""
    back = {"state": WritebackState.DUE.value, "next_attempt_at": at, "lease_until": null(), "node": null()}
    changed = update(writebacks).where(_attempt(writeback_id, attempt))
    return conn.execute(changed.values(**back, attempts=attempt - 1)).rowcount > 0


def expire_leases(conn: Connection, now: datetime) -> list[WritebackRow]:
    """Make rows due again whose node reported nothing in time. Return them."""
    of = writebacks.c
    lost = (of.state == literal_column("'sending'")) & (of.lease_until <= now)
    over = (
        select(of.id).where(lost).with_for_update(skip_locked=True)
    )  # a result that is being recorded now is no lost one
    again = update(writebacks).where(of.id.in_(over), lost)
    values = {"state": WritebackState.DUE.value, "next_attempt_at": now, "lease_until": null(), "node": null()}
    return [read_row(row) for row in conn.execute(again.values(**values, code="LEASE").returning(*COLUMNS)).mappings()]


def expire(conn: Connection, now: datetime) -> list[WritebackRow]:
    """Give up those whose time is over. Return them, in their order: each has to be named."""
    of = writebacks.c
    late = select(of.id).where(IS_DUE, of.expires_at <= now).with_for_update(skip_locked=True)
    over = update(writebacks).where(of.id.in_(late), IS_DUE)
    done = over.values(state=WritebackState.EXPIRED.value, final_at=now, **_OVER).returning(*COLUMNS)
    return sorted((read_row(row) for row in conn.execute(done).mappings()), key=lambda row: row.id)


def hurry(conn: Connection, environment: str, channel: WritebackChannel, now: datetime) -> int:
    """The target answers again: whatever waits because it did not is due now. Return how many."""
    of = writebacks.c
    waits = IS_DUE & (of.environment == environment) & (of.channel == channel.value)
    unanswered = (of.attempts > 0) & of.answer.is_(None) & (of.next_attempt_at > now)
    free = select(of.id).where(waits, unanswered).with_for_update(skip_locked=True)  # waits for nobody: `lock_order`
    return conn.execute(update(writebacks).where(of.id.in_(free), waits).values(next_attempt_at=now)).rowcount


def reopen(conn: Connection, writeback_id: str, *, now: datetime, expires_at: datetime) -> bool:
    """A person wants it tried again: due now, rendered anew under the same id. False: it is open, acknowledged or not there."""
    final = [
        WritebackState.REFUSED.value, WritebackState.EXPIRED.value, WritebackState.UNKNOWN.value,
        WritebackState.SUPERSEDED.value,
    ]  # fmt: skip
    changed = update(writebacks).where(writebacks.c.id == writeback_id, writebacks.c.state.in_(final))
    values = {"state": WritebackState.DUE.value, "next_attempt_at": now, "expires_at": expires_at, "final_at": null()}
    return conn.execute(changed.values(**values)).rowcount > 0


def _settle(
    conn: Connection, writeback_id: str, attempt: int, state: WritebackState, at: datetime, **values: str | None
) -> bool:
    changed = update(writebacks).where(_attempt(writeback_id, attempt))
    return conn.execute(changed.values(state=state.value, final_at=at, **_OVER, **values)).rowcount > 0


def _attempt(writeback_id: str, attempt: int) -> ColumnElement[bool]:
    of = writebacks.c
    return (of.id == writeback_id) & (of.attempts == attempt) & (of.state == literal_column("'sending'"))


def _claimed(conn: Connection, vault: Vault, row: Mapping[Any, Any]) -> ClaimedWriteback:
    sealed = row["content"]
    try:
        content = None if sealed is None else _CONTENT.unseal(conn, vault, row["id"], sealed)
    except Undecipherable:
        content = None
    return ClaimedWriteback(row=read_row(row), content=content, unreadable=sealed is not None and content is None)


def _plain(facts: Mapping[str, Fact]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in facts.items()}


def _after(own_id: str) -> str:
    """The next id: one more, as a number with 32 digits."""
    kept = own_id.rstrip(DIGITS[-1])
    if not kept:
        raise ValueError("there is no later id")
    digit = DIGITS[DIGITS.index(kept[-1]) + 1]
    return kept[:-1] + digit + DIGITS[0] * (len(own_id) - len(kept))
