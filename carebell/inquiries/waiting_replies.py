"""Replies that wait for a person: patients who ask for a call, cannot come, or were not understood; for commands and pages.

One that the patient took back or said better since waits no more. Those of one visit that ask for the same are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.reply import ReplyKind
from store import patient_replies
from store.appointment_repository import load
from store.engine import Transaction
from store.patient_replies import PatientReply
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingReply:
    """What one visit's patient asks for.

    Attributes:
        newest: of the replies that ask for it. since: the oldest one's time. count: how many.
        reference: the id that people use. start: of the visit; None: unknown.
        moved: the visit has another time since.
    """

    newest: PatientReply
    since: datetime
    count: int
    reference: str
    start: datetime | None
    phone: PhoneNumber | None
    moved: bool


def waiting_replies(
    conn: Transaction, vault: Vault, now: datetime, *, environments: Collection[str] | None = None
) -> tuple[list[WaitingReply], bool]:
    """The one that waits longest first, and whether newer replies were not looked at, being too many.

    Args:
        environments: only theirs; None: all.
    """
    groups, more = _groups(conn, environments)
    ids = {group[-1].appointment for group in groups}
    stored = load(conn, vault, [own_id for own_id in ids if own_id is not None], now, lock=False, unreadable=set())
    listed = [
        _waiting(group, stored[owner].appointment)
        for group in groups
        if (owner := group[-1].appointment) is not None and owner in stored
    ]
    return listed, more


def count_waiting(conn: Transaction) -> Mapping[str, int]:
    """Environment -> how many `waiting_replies` has."""
    groups, _ = _groups(conn, None)
    return Counter(group[-1].environment for group in groups)


def _groups(conn: Transaction, environments: Collection[str] | None) -> tuple[list[Sequence[PatientReply]], bool]:
    """Replies of one visit that ask for the same, oldest first; the group that waits longest first. And whether there are more."""
    waiting_rows = patient_replies.waiting(conn, environments=environments)
    rows = waiting_rows[: patient_replies.MOST]
    last = patient_replies.last_effective(conn, {row.appointment for row in rows if row.appointment is not None})
    groups: dict[tuple[str | None, ReplyKind], list[PatientReply]] = {}
    for row in rows:
        if not _is_overtaken(row, last.get(row.appointment or "")):
            groups.setdefault((row.appointment, row.kind), []).append(row)
    return list(groups.values()), len(waiting_rows) > len(rows)


def _is_overtaken(reply: PatientReply, last: PatientReply | None) -> bool:
    """Whether the patient has since said the opposite, or was understood. Who asks for a call still waits for it."""
    if last is None or last.at <= reply.at or reply.kind is ReplyKind.CALL_ME:
        return False
    return reply.kind is ReplyKind.UNKNOWN or last.kind is ReplyKind.CONFIRM


def _waiting(group: Sequence[PatientReply], appointment: Appointment) -> WaitingReply:
    newest = group[-1]
    return WaitingReply(
        newest=newest,
        since=group[0].at,
        count=len(group),
        reference=appointment.reference,
        start=appointment.start,
        phone=appointment.phone,
        moved=not newest.is_about(appointment),
    )
