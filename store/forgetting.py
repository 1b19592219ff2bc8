"""Forgetting: encrypted values are deleted at their deadline, with every copy that a file could still hold.

It has three steps, each safe to repeat. `forget_due` empties the rows (since their deadline no read returns them anyway).
`sweep` destroys the keys of days that are over and deletes expired replay memory. `settle_files` makes SQLite overwrite what
its write-ahead log still holds (secure_delete overwrites the pages of the database itself; both are needed).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, delete, func, literal, literal_column, null, or_, select, update

from scheduler.appointment import AppointmentStatus
from scheduler.sms import Reason, SmsKind, SmsState
from store import (
    conferences,
    invitations,
    patient_ids,
    patient_replies,
    proposals,
    replies,
    sessions,
    throttles,
    users,
    visit_links,
)
from store.claims import WEEK
from store.crypto import start_of
from store.engine import Store
from store.instants import UtcDateTime
from store.sealing import KEPT
from store.tables import appointments, day_keys, messages, outbox
from store.vault import Vault

_PAGE: Final = 500
_OFF: Final = tuple(
    status for status in AppointmentStatus if status not in (AppointmentStatus.ACTIVE, AppointmentStatus.NOT_BOOKED)
)
_UNSETTLED: Final = (SmsState.DUE, SmsState.SENDING, SmsState.ACCEPTED, SmsState.SENT, SmsState.UNKNOWN)
KEEP_PHONE_KEYS: Final = WEEK + timedelta(days=1)
"""A cap counts seven days; after that the number's HMAC in the outbox is not needed."""
_TRIES: Final = 20
_TRY_AGAIN: Final = 0.25
"""Seconds: five altogether, as long as SQLite itself waits for those who read."""
_BEING_WRITTEN_BACK: Final = -1
"""So SQLite answers, and at once, for the log's length if somebody else is writing it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """One appointment that was emptied."""

    id: str
    environment: str
    reference: str
    suppressed: int  # texts that were waiting and are now suppressed


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Attributes:
    keys: day keys destroyed. messages: remembered messages deleted. phone_keys: HMACs deleted from old texts.
    replies: ids of patients' replies deleted that can no longer be replayed.
    """

    keys: int
    messages: int
    phone_keys: int
    replies: int


def forget_due(conn: Connection, now: datetime, *, limit: int = _PAGE) -> list[Forgotten]:
    """Empty up to `limit` appointments that are due to be forgotten; call again while it returns as many.

    An appointment is due if the visit has begun (a date-only visit: its local day is over), if it was deleted or is over, or if it
    was cancelled and the outcome of the cancellation's text is known.
    """
    of = appointments.c
    may_go = _is_off(of.life) & of.forget_at.is_not(None) & _nothing_to_tell(now)
    due = conn.execute(
        select(of.id, of.environment, of.reference)
        .where(or_(of.forget_at <= now, may_go))
        .order_by(of.id.concat(""))  # by the id itself SQLite would read every visit there ever was in that order
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not due:
        return []
    ids = [row.id for row in due]
    suppressed = _suppress(conn, ids, now)
    visit_links.forget_tokens(conn, ids)
    conn.execute(
        update(outbox)
        .where(outbox.c.appointment.in_(ids), outbox.c.question_until > now)
        .values(question_until=now)  # nothing is open any more, so the number's keyed hash goes in its time
    )
    had_phone = of.phone.is_not(None)
    conn.execute(
        update(appointments)
        .where(of.id.in_(ids))
        .values(
            phone=null(),
            join_link=null(),
            patient_name=null(),
            told_details=null(),
            facility=null(),
            provider=null(),
            location=null(),
            conference=null(),
            phone_fault=case((had_phone, Reason.PURGED.value), else_=of.phone_fault),
            purged_at=func.coalesce(of.purged_at, literal(now, UtcDateTime())),
            forget_at=null(),
            forgotten_at=now,
        )
    )
    return [
        Forgotten(id=own_id, environment=environment, reference=reference, suppressed=suppressed.get(own_id, 0))
        for own_id, environment, reference in due
    ]


def anything_due(conn: Connection, now: datetime) -> bool:
    """Whether `forget_due` would empty an appointment."""
    of = appointments.c
    may_go = _is_off(of.life) & of.forget_at.is_not(None) & _nothing_to_tell(now)
    return conn.execute(select(of.id).where(or_(of.forget_at <= now, may_go)).limit(1)).first() is not None


def anything_kept_too_long(conn: Connection, now: datetime, *, by: timedelta) -> bool:
    """Whether `forget_due` could have emptied an appointment for as long as `by`.

    That counts from its deadline or, if it is off, from its newest message or the end of its cancellation's text.
    """
    of, since = appointments.c, now - by
    just_told = (
        select(outbox.c.id)
        .where(outbox.c.appointment == of.id, outbox.c.kind == SmsKind.CANCELED.value)
        .where(func.coalesce(outbox.c.final_at, outbox.c.created_at) > since)
        .exists()
    )
    could_go = (
        _is_off(of.life) & of.forget_at.is_not(None) & (of.changed_at <= since) & _nothing_to_tell(since) & ~just_told
    )
    return conn.execute(select(of.id).where(or_(of.forget_at <= since, could_go)).limit(1)).first() is not None


def sweep(conn: Connection, vault: Vault, now: datetime) -> Swept:
    """Destroy the keys of past days, and delete remembered messages and replies that are too old to be replayed.

    Of the portal it deletes sessions, links and throttles that are over, and the text of proposals whose time is over; of the
    patients' pages the join links whose visits are over, and the ids of groups whose last visit is; and PID-3 of visits that ended
    24 hours ago.
    """
    keys = vault.destroy_before(conn, now)
    environments = conn.execute(select(messages.c.environment).distinct()).scalars().all()
    expired = 0
    for environment in environments:  # each reads one range of the index
        old = delete(messages).where(messages.c.environment == environment, messages.c.forget_after <= now)
        expired += conn.execute(old).rowcount
    of = outbox.c
    # Whatever the row's state: no cap counts so far back, and the gateway is no longer asked about it.
    waiting = _values((SmsState.DUE, SmsState.SENDING))
    asked_about = select(appointments.c.id).where(
        appointments.c.id == of.appointment,
        appointments.c.life == AppointmentStatus.ACTIVE.value,
        appointments.c.phone.is_not(None),
    )
    open_question = of.question_until.is_not(None) & (of.question_until > now) & asked_about.exists()
    useless = (
        select(of.id)
        .where(of.phone_key.is_not(None), of.claimed_at <= now - KEEP_PHONE_KEYS, of.state.not_in(waiting))
        .where(~open_question)
        .with_for_update(skip_locked=True)
    )
    cleared = conn.execute(update(outbox).where(of.id.in_(useless)).values(phone_key=null())).rowcount
    for table in (throttles, sessions, invitations, proposals, visit_links, conferences, patient_ids):
        table.expire(conn, now)
    forgotten = replies.expire(conn, now) + patient_replies.expire(conn, now)
    return Swept(keys=keys, messages=expired, phone_keys=cleared, replies=forgotten)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Attributes:
    keys: deleted day keys that nothing could unwrap. appointments: future visits that lost the values under these keys.
    people: users of the portal who lost their second factor, and with it their password.
    """

    keys: int
    appointments: int
    people: int = 0


def give_up_unreadable(conn: Connection, vault: Vault) -> GivenUp:
    """Delete day keys that no master key of the file can unwrap, and the values sealed with them, so that new messages supply them.

    If the second factors of the portal's users are among these values, the users need new set-up links.

    This is for a database from before a `rotation` that was restored with a later key file, or whose key file is lost: the
    database is this key file's from then on. If the right key file is found
    afterwards, the numbers are lost nevertheless.
    """
    days = vault.unreadable_days(conn)
    of = appointments.c
    emptied = people = 0
    for day in days:
        if day == KEPT:
            people += users.forget_unreadable(conn)
            continue
        begins = start_of(day)
        proposals.forget_unreadable(conn, begins, begins + timedelta(days=1))
        visit_links.forget_unreadable(conn, begins, begins + timedelta(days=1))
        conferences.forget_unreadable(conn, begins, begins + timedelta(days=1))
        patient_ids.forget_unreadable(conn, begins, begins + timedelta(days=1))
        on_day = (of.forget_at >= begins) & (of.forget_at < begins + timedelta(days=1))
        fault = case((of.phone.is_not(None), Reason.NO_PHONE.value), else_=of.phone_fault)
        bare = {"phone": null(), "join_link": null(), "patient_name": null(), "told_details": null()}
        conn.execute(update(appointments).where(on_day).values(phone_fault=fault, **bare))
        emptied += conn.execute(select(func.count()).select_from(appointments).where(on_day)).scalar_one()
    if days:
        conn.execute(delete(day_keys).where(day_keys.c.day.in_(days)))
    vault.own(conn)
    return GivenUp(keys=len(days), appointments=emptied, people=people)


def settle_files(store: Store, *, wait: Callable[[float], None] = time.sleep) -> bool:
    """SQLite: write the log back and truncate it. PostgreSQL: nothing to do.

    It waits five seconds for those who read, and for somebody else who writes the log back.

    Args:
        wait: sleeps for seconds.

    Returns:
        False: somebody was still reading it or writing it back; call again later.
    """
    if store.file is None:
        return True
    # Outside any transaction: a checkpoint cannot run in one, so the driver's connection is asked directly.
    raw = store.engine.raw_connection()
    try:
        cursor = raw.cursor()
        for _ in range(_TRIES):
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()  # TRUNCATE holds the writers' lock as it writes
            busy, pages, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if pages != _BEING_WRITTEN_BACK:
                return bool(busy == 0)
            wait(_TRY_AGAIN)
    finally:
        raw.close()
    return False


def _is_off(status: ColumnElement[str]) -> ColumnElement[bool]:
    """The visit is cancelled or over. It is written so that `ix_appointments_over` is searched: the index's own condition as a
    literal, and the values, since SQLite would rather read every kept number than search for what is unequal."""
    return (status != literal_column("'active'")) & status.in_([literal_column(f"'{off.value}'") for off in _OFF])


def _nothing_to_tell(now: datetime) -> ColumnElement[bool]:
    """No cancellation text is being decided, waits, is being sent or may have to be repeated."""
    of = appointments.c
    silent = of.life.in_([AppointmentStatus.DELETED.value, AppointmentStatus.ENDED.value])
    open_text = (
        select(outbox.c.id)
        .where(outbox.c.appointment == of.id, outbox.c.kind == SmsKind.CANCELED.value)
        .where(outbox.c.state.in_(_values(_UNSETTLED)))
        .exists()
    )
    decided = of.window_revision.is_(None) | (~of.window_text & (of.window_due <= now))
    return silent | (decided & ~open_text)


def _suppress(conn: Connection, ids: Collection[str], now: datetime) -> dict[str, int]:
    """Suppress the texts that still wait for these visits. Return how many, by appointment."""
    rows = conn.execute(
        update(outbox)
        .where(outbox.c.appointment.in_(list(ids)), outbox.c.state == SmsState.DUE.value)
        .values(state=SmsState.SUPPRESSED.value, reason=Reason.PURGED.value, next_attempt_at=null(), final_at=now)
        .returning(outbox.c.appointment)
    ).scalars()
    return dict(Counter(rows))


def _values(states: Collection[SmsState]) -> list[str]:
    return [state.value for state in states]
