"""Whom the texts of appointments go to, and what the database says about why they wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from carebell.inquiries.source import KeyedSource
from carebell.inquiries.wait_explainer import WaitExplainer
from carebell.times import Zones
from parser.phone_number import PhoneNumber
from scheduler.sms import Reason, SmsState
from store import holds, leases, optouts
from store.appointment_repository import load
from store.claims import WEEK, taken_texts
from store.engine import Transaction
from store.outbox_row import OutboxRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecipient:
    """Whom an appointment's texts go to.

    Attributes:
        patient: masked.
        recipient: masked: the patient, or the number of `sms.force_to`.
        key: the recipient's keyed hash. sender: of the appointment's environment.
    """

    patient: str
    recipient: str
    key: str
    sender: str


def recipients_of(
    conn: Transaction, source: KeyedSource, ids: Collection[str], now: datetime
) -> dict[str, TextRecipient]:
    """Our id of an appointment -> its number, where that is known and can be read."""
    stored = load(conn, source.vault, set(ids), now, lock=False, unreadable=set())
    numbers = {}
    for own_id, holder in stored.items():
        visit = holder.appointment
        environment = source.loaded.configuration.environments.get(visit.environment)
        if visit.phone is None:
            continue
        forced = environment.sms.force_to if environment is not None else None
        recipient = PhoneNumber(forced) if forced is not None else visit.phone
        numbers[own_id] = TextRecipient(
            patient=visit.phone.masked,
            recipient=recipient.masked,
            key=source.vault.ring.phone_key(recipient),
            sender=environment.sms.sender if environment is not None else "",
        )
    return numbers


def wait_explainer_for(
    conn: Transaction, zones: Zones, now: datetime, rows: Sequence[OutboxRow], numbers: Mapping[str, TextRecipient]
) -> WaitExplainer:
    """What the database says of these rows now."""
    alive = [node for node in leases.seen(conn, since=now - leases.ALIVE) if "dispatcher" in node.roles]
    rehearsed = (
        abs(now - datetime.now(UTC)) > leases.ALIVE
    )  # a rehearsal's clock keeps running while its service is stopped
    asked = [row for row in rows if row.state is SmsState.DUE or row.reason is Reason.CAP]
    theirs = {number for row in asked if (number := numbers.get(row.appointment)) is not None}
    earliest = min((row.final_at for row in asked if row.final_at is not None), default=now)
    return WaitExplainer(
        now=now,
        holds=holds.held(conn),
        breakers=holds.open_breakers(conn),
        dispatching=None if rehearsed else bool(alive),
        clock=zones.clock,
        opted_out=optouts.since_when(conn, {(number.key, number.sender) for number in theirs}),
        taken=taken_texts(conn, {number.key for number in theirs}, earliest - WEEK),
    )
