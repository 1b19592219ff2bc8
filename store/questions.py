"""Which questions are open: texts that asked, about visits still to come, whose number is not forgotten.

A number may be asked about several visits, and of one visit by several texts: then the newest counts. It is known by its keyed
hash, which the outbox keeps as long as the question is open (`forgetting`). Whether it still is the visit's number, the appointment
itself must say: a feed may have corrected it since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, literal_column, select
from sqlalchemy.sql import ClauseElement

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus
from store.appointment_repository import load
from store.outbox_row import OutboxRow
from store.prepared import Prepared, any_of, codec, list_value
from store.tables import outbox
from store.vault import Vault

MOST: Final = 50
"""Visits of one number that are looked at, the newest questions first: a test environment sends everything to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """Attributes:
    sms: id in the outbox of the text that asked.
    appointment: as it is now. number: among those of this telephone.
    until: when the visit begins that the text named, UTC.
    asked_at: when the text left, UTC.
    """

    sms: str
    appointment: Appointment
    number: int
    until: datetime
    asked_at: datetime

    @classmethod
    def of(cls, row: OutboxRow, appointment: Appointment, number: int, now: datetime) -> AskedQuestion:
        """That a text asks which leaves now."""
        return cls(sms=row.id, appointment=appointment, number=number, until=appointment.deadline or now, asked_at=now)

    @property
    def moved(self) -> bool:
        """Whether the visit has another time than the text named."""
        return self.appointment.deadline != self.until


Questions = dict[tuple[str, str], tuple[AskedQuestion, ...]]
"""Phone key and sender -> open questions, one for each visit, by their number."""


def open_questions(
    conn: Connection,
    vault: Vault,
    keys: Collection[str],
    senders: Collection[str],
    now: datetime,
    *,
    recipient: Callable[[Appointment], PhoneNumber | None],
    lock: bool,
) -> Questions:
    """The open questions of these numbers.

    Args:
        recipient: the number that an appointment's texts go to.
        lock: nobody else can change the appointments until the commit.
    """
    if not keys or not senders:
        return {}
    instants = codec(conn)
    rows = _ASKED.fetch(conn, (list_value(conn, sorted(keys)), list_value(conn, sorted(senders)), instants.put(now)))
    newest: defaultdict[tuple[str, str], dict[str, tuple[str, int, datetime, datetime]]] = defaultdict(dict)
    for sms, appointment, key, sender, number, until, asked_at in rows:  # the newest text of an appointment is the last
        of_number = newest[key, sender]
        of_number.pop(appointment, None)
        of_number[appointment] = sms, number, instants.get(until), instants.get(asked_at)
    looked_at = {place: list(asked)[-MOST:] for place, asked in newest.items()}
    ids = {appointment for some in looked_at.values() for appointment in some}
    stored = load(conn, vault, ids, now, lock=lock, unreadable=set())
    questions: Questions = {}
    for (key, sender), some in looked_at.items():
        asked = [
            AskedQuestion(sms=sms, appointment=stored[own_id].appointment, number=number, until=until, asked_at=at)
            for own_id in some
            if own_id in stored and _is_open(stored[own_id].appointment, now)
            if _key_of(recipient(stored[own_id].appointment), vault) == key
            for sms, number, until, at in [newest[key, sender][own_id]]
        ]
        if asked:
            questions[key, sender] = _by_number(asked)
    return questions


def asked_again(questions: Sequence[AskedQuestion], new: AskedQuestion) -> tuple[AskedQuestion, ...]:
    """The open questions after a text asked once more, or about one visit more."""
    others = [question for question in questions if question.appointment.id != new.appointment.id]
    return _by_number([*others, new])


def _by_number(questions: Sequence[AskedQuestion]) -> tuple[AskedQuestion, ...]:
    return tuple(sorted(questions, key=lambda question: (question.number, question.asked_at)))


def _is_open(appointment: Appointment, now: datetime) -> bool:
    deadline = appointment.deadline
    return appointment.status is AppointmentStatus.ACTIVE and deadline is not None and now < deadline


def _key_of(number: PhoneNumber | None, vault: Vault) -> str | None:
    return None if number is None else vault.ring.phone_key(number)


def _asked(dialect: str) -> ClauseElement:
    of = outbox.c
    reached: list[Any] = [
        literal_column(f"'{state}'") for state in ("sending", "accepted", "sent", "delivered", "unknown")
    ]
    return (
        select(of.id, of.appointment, of.phone_key, of.sender, of.question, of.question_until, of.claimed_at)
        .where(
            any_of(dialect, of.phone_key, "keys"),
            any_of(dialect, of.sender, "senders"),
            of.question.is_not(None),
            of.question_until > bindparam("now"),
            of.state.in_(reached),
        )
        .order_by(of.claimed_at, of.id)
    )


_ASKED: Final = Prepared(_asked, ("keys", "senders", "now"))
