"""Values for the pure decisions; every one that a test cares for is a parameter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.sms import Reason, SmsKind, SmsState
from store.claims import ClaimCandidate
from store.outbox_row import OutboxRow

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT: Final = NOW + timedelta(days=2)
SENDER: Final = "+14255550100"


def appointment(**changes: Any) -> Appointment:
    plain = Appointment(
        id="a" * 32,
        environment="production",
        reference="900100",
        aliases=("EPIC|LAMNA|filler|1|",),
        revision=1,
        event_at=NOW,
        status=AppointmentStatus.ACTIVE,
        start=VISIT,
        zone="America/Los_Angeles",
        phone=PhoneNumber("+12025550143"),
        language="en",
        changed_at=NOW,
        planned_at=NOW,
    )
    return replace(plain, **changes)


def row(**changes: Any) -> OutboxRow:
    """A reminder that is due now."""
    plain = OutboxRow(
        id="b" * 32,
        environment="production",
        appointment="a" * 32,
        reference="900100",
        kind=SmsKind.REMINDER,
        rule="24h",
        revision=1,
        due=NOW,
        expires=NOW + timedelta(hours=2),
        start=VISIT,
        state=SmsState.DUE,
        reason=Reason.REMINDER,
        attempts=0,
        next_attempt_at=NOW,
        lease_until=None,
        node=None,
        sid=None,
        code=None,
        sender=None,
        segments=None,
        phone_key=None,
        config_version="c1",
        created_at=NOW,
        claimed_at=None,
        sent_at=None,
        final_at=None,
        checked_at=None,
        gateway_forgotten_at=None,
    )
    return replace(plain, **changes)


def candidate(of: OutboxRow | None = None, about: Appointment | None = None, **changes: Any) -> ClaimCandidate:
    mine = of or row()
    plain = ClaimCandidate(
        row=mine,
        appointment=about or appointment(),
        history=(mine.past,),
        recipient=PhoneNumber("+12025550143"),
        sender=SENDER,
        opted_out=False,
        day=0,
        week=0,
        hold=None,
    )
    return replace(plain, **changes)
