"""Which visits keep a number encrypted, and until when; and where its keyed hash is stored. For `purge --verify`.

`phone_scan` cannot find an encrypted number. This module decrypts and compares every number, page by page so that memory use stays
constant. Only the numbers are decrypted; the rest of a visit is read where its number is the one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, func, select

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.sms import SmsState
from store import records
from store.appointment_repository import load
from store.crypto import Undecipherable
from store.engine import Store
from store.forgetting import KEEP_PHONE_KEYS
from store.tables import appointments, optouts, outbox
from store.vault import Vault

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHolder:
    """A visit that keeps the number.

    Attributes:
        appointment: Carebell's id.
        status: active, canceled, ...
        start: of the visit; None: unknown.
        zone: the visit's IANA zone.
        until: when the number is forgotten at the latest.
        settles: whether it is forgotten earlier, as soon as the outcome of the cancellation's text is known.
        waiting: texts of this visit that wait or are being sent.
    """

    appointment: str
    environment: str
    reference: str
    status: str
    start: datetime | None
    zone: str
    until: datetime
    settles: bool
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHashes:
    """Where the number's keyed hash is stored. Without the key file nobody can get the number from it.

    Attributes:
        texts: rows of the outbox that hold it, for the caps.
        until: when the last of them loses it; None: there is none, or it belongs to a text that was not sent yet.
        opted_out: the senders for which it is in the opt-out list; `*` means every sender.
    """

    texts: int
    until: datetime | None
    opted_out: tuple[str, ...]


@dataclass(slots=True)
class PhoneSearch:
    """One search. After `holders` is exhausted, `unreadable` counts the visits whose number no key of the file can decrypt."""

    store: Store
    vault: Vault
    number: PhoneNumber
    now: datetime
    unreadable: int = 0

    def holders(self) -> Iterator[PhoneHolder]:
        """Every visit that keeps the number, in the order of its id."""
        of, after = appointments.c, ""
        while True:
            query = select(of.id, of.environment, of.phone, of.forget_at).where(of.phone.is_not(None), of.id > after)
            with self.store.read() as conn:
                rows = conn.execute(query.order_by(of.id).limit(_PAGE)).all()
                matching, shut = self._matching(conn, rows), set[str]()
                stored = load(conn, self.vault, matching, self.now, lock=False, unreadable=shut)
            self.unreadable += len(shut)
            for own_id in matching:
                if own_id in stored:
                    history = stored[own_id].history
                    waiting = sum(row.state in (SmsState.DUE, SmsState.SENDING, SmsState.UNKNOWN) for row in history)
                    yield _holder(stored[own_id].appointment, waiting)
            if len(rows) < _PAGE:
                return
            after = rows[-1].id

    def hashes(self) -> PhoneHashes:
        """Where the number's keyed hash is stored."""
        key = self.vault.ring.phone_key(self.number)
        last = (func.max(outbox.c.claimed_at), func.max(outbox.c.question_until))
        counted = select(func.count(), *last).where(outbox.c.phone_key == key)
        senders = select(optouts.c.sender).where(optouts.c.phone_key == key).order_by(optouts.c.sender)
        with self.store.read() as conn:
            texts, claimed_at, asked_until = conn.execute(counted).one()
            opted_out = tuple(conn.execute(senders).scalars())
        until = None if claimed_at is None else max(claimed_at + KEEP_PHONE_KEYS, asked_until or claimed_at)
        return PhoneHashes(texts=texts, until=until, opted_out=opted_out)

    def _matching(self, conn: Connection, rows: Sequence[Row[str, str, bytes, datetime | None]]) -> list[str]:
        """The ids whose number it is. What cannot be decrypted is counted."""
        wanted, matching = self.number.e164(), []
        numbers = records.StoredNumbers.of(conn, self.vault, [row.phone for row in rows], self.now)
        for row in rows:
            try:
                if numbers.read(row.id, row.environment, row.phone, row.forget_at) == wanted:
                    matching.append(row.id)
            except Undecipherable:
                self.unreadable += 1
        return matching


def _holder(appointment: Appointment, waiting: int) -> PhoneHolder:
    deadline = appointment.deadline
    assert deadline is not None, "a number without a deadline is not kept"
    return PhoneHolder(
        appointment=appointment.id,
        environment=appointment.environment,
        reference=appointment.reference,
        status=appointment.status.value,
        start=appointment.start,
        zone=appointment.zone,
        until=deadline,
        settles=appointment.status is not AppointmentStatus.ACTIVE,
        waiting=waiting,
    )
