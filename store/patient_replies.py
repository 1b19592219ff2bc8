"""What patients answered: written once for each reply, read for the next text, for people, and for the EHR.

A reply is known by the HMAC of its message id, as STOP and START are (`replies`). A row holds nothing of the patient's words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, literal_column, null, select, update

from scheduler.appointment import Appointment
from scheduler.reply import ReplyKind, ReplyReason
from store.replies import REMEMBERED
from store.tables import appointments, patient_replies
from store.upsert import insert_into

_WAITS: Final = patient_replies.c.done_at.is_(None) & (patient_replies.c.kind != literal_column("'confirm'"))
"""Written as in the partial index; with a parameter the index would not be used."""
MOST: Final = 1000
"""So many replies are looked at for those that wait."""
_ABOUT_COMING: Final = (ReplyKind.CONFIRM.value, ReplyKind.CANNOT_COME.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientReply:
    """Attributes:
    id: hex. environment: whose text it answers.
    appointment: Carebell's id; None: it is about none, or it is not known which. revision: of the appointment then.
    question: id in the outbox of the text that asked.
    reason: why it changed nothing; None: it took effect.
    """

    id: str
    environment: str
    appointment: str | None
    revision: int | None
    question: str | None
    kind: ReplyKind
    reason: ReplyReason | None
    at: datetime

    def confirms(self, appointment: Appointment) -> bool:
        """Whether it says that the patient comes to the visit at its present time."""
        return self.kind is ReplyKind.CONFIRM and self.is_about(appointment)

    def is_about(self, appointment: Appointment) -> bool:
        """Whether the visit has had its present time since before the reply."""
        return self.revision is not None and self.revision >= appointment.planned_revision


def add(conn: Connection, reply: PatientReply, key: str) -> bool:
    """Write a reply; False: this message was heard before.

    Args:
        key: `KeyRing.reply_key` of its message id. A node that handles the same one at this moment waits for our commit.
    """
    row = {
        "id": reply.id,
        "environment": reply.environment,
        "appointment": reply.appointment,
        "revision": reply.revision,
        "question": reply.question,
        "kind": reply.kind.value,
        "reason": None if reply.reason is None else reply.reason.value,
        "at": reply.at,
        "key": key,
    }
    new = insert_into(conn, patient_replies).values(row).on_conflict_do_nothing(index_elements=["key"])
    return conn.execute(new.returning(patient_replies.c.id)).first() is not None


def last_effective(conn: Connection, appointments: Collection[str]) -> dict[str, PatientReply]:
    """The last reply of each of these about coming or not coming that took effect."""
    if not appointments:
        return {}
    of = patient_replies.c
    wanted = select(patient_replies).where(
        of.appointment.in_(sorted(appointments)), of.reason.is_(None), of.kind.in_(_ABOUT_COMING)
    )
    return {row["appointment"]: _read(row) for row in conn.execute(wanted.order_by(of.at, of.id)).mappings()}


def of_appointment(conn: Connection, appointment: str) -> list[PatientReply]:
    """Every reply of one appointment, oldest first."""
    of = patient_replies.c
    wanted = select(patient_replies).where(of.appointment == appointment).order_by(of.at, of.id)
    return [_read(row) for row in conn.execute(wanted).mappings()]


def waiting(conn: Connection, *, environments: Collection[str] | None = None) -> list[PatientReply]:
    """Those that may wait for a person, oldest first: all but confirmations, of visits whose number is not forgotten.

    At most `MOST`, and one more if there are more.

    Args:
        environments: only theirs; None: all.
    """
    of = patient_replies.c
    wanted = (
        select(patient_replies)
        .join(appointments, appointments.c.id == of.appointment)
        .where(_WAITS, appointments.c.phone.is_not(None))
        .order_by(of.at, of.id)
        .limit(MOST + 1)
    )
    if environments is not None:
        wanted = wanted.where(of.environment.in_(sorted(environments)))
    return [_read(row) for row in conn.execute(wanted).mappings()]


def by_id(conn: Connection, reply_id: str) -> PatientReply | None:
    """One reply, whether or not it waits."""
    row = conn.execute(select(patient_replies).where(patient_replies.c.id == reply_id)).mappings().one_or_none()
    return None if row is None else _read(row)


def close(conn: Connection, reply: PatientReply, at: datetime) -> int:
    """A person did what it asks for: it, and those of its visit and kind before it, wait no more. How many did.

    One about no visit waits for nobody, and stays as it is.
    """
    if reply.appointment is None:
        return 0
    of = patient_replies.c
    same = (of.appointment == reply.appointment) & (of.kind == reply.kind.value)
    earlier = (of.at < reply.at) | ((of.at == reply.at) & (of.id <= reply.id))
    return conn.execute(update(patient_replies).where(_WAITS, same, earlier).values(done_at=at)).rowcount


def expire(conn: Connection, now: datetime) -> int:
    """Forget the message ids that are too old to come again, and replies about no visit with theirs; how many.

    What waited for a person until its visit's number was forgotten waits no more.
    """
    of = patient_replies.c
    forgotten = select(appointments.c.id).where(appointments.c.id == of.appointment, appointments.c.phone.is_(None))
    conn.execute(update(patient_replies).where(_WAITS, forgotten.exists()).values(done_at=now))
    old = (of.key.is_not(None)) & (of.at <= now - REMEMBERED)
    gone = conn.execute(delete(patient_replies).where(old, of.appointment.is_(None))).rowcount
    return gone + conn.execute(update(patient_replies).where(old).values(key=null())).rowcount


def _read(values: Mapping[Any, Any]) -> PatientReply:
    return PatientReply(
        id=values["id"],
        environment=values["environment"],
        appointment=values["appointment"],
        revision=values["revision"],
        question=values["question"],
        kind=ReplyKind(values["kind"]),
        reason=None if values["reason"] is None else ReplyReason(values["reason"]),
        at=values["at"],
    )
