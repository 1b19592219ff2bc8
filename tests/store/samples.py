"""Appointments and plans to store; every value that a test may ask for is a parameter."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from store.appointment_repository import MessageKey, Remembered, Save, save
from store.engine import Store
from store.vault import Vault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PHONE = PhoneNumber("+12025550143", "mobile")


def appointment(number: int = 1, **changes: Any) -> Appointment:
    plain = Appointment(
        id=secrets.token_hex(16),
        environment="production",
        reference=f"R{number}",
        aliases=(f"EPIC|LAMNA|filler|{number}|",),
        revision=1,
        event_at=NOW,
        status=AppointmentStatus.ACTIVE,
        start=NOW + timedelta(days=2),
        zone="America/Los_Angeles",
        phone=PHONE,
        language="en",
        changed_at=NOW,
        planned_at=NOW,
    )
    return replace(plain, **changes)


def reminder(*, due: datetime = NOW, rule: str = "24h", revision: int = 1, **changes: Any) -> PlannedRow:
    plain = PlannedRow(
        kind=SmsKind.REMINDER,
        rule=rule,
        revision=revision,
        due=due,
        expires=due + timedelta(hours=2),
        state=SmsState.DUE,
        reason=Reason.REMINDER,
    )
    return replace(plain, **changes)


def first(one: Appointment, *changes: PlannedRow) -> Save:
    return Save(appointment=one, changes=changes, new_aliases=one.aliases, is_new=True, config_version="c1")


def again(one: Appointment, *changes: PlannedRow) -> Save:
    return Save(appointment=one, changes=changes, new_aliases=(), is_new=False, config_version="c2")


def memory(number: int = 1, **changes: Any) -> Remembered:
    plain = Remembered(
        key=MessageKey("production", "EPIC", "LAMNA", f"M{number}"),
        digest=bytes([number % 256]) * 32,
        answer="AA",
        text="stored",
        received_at=NOW,
        forget_after=NOW + timedelta(days=8),
    )
    return replace(plain, **changes)


def put(
    store: Store, vault: Vault, saves: Sequence[Save], remembered: Sequence[Remembered] = (), now: datetime = NOW
) -> None:
    with store.write() as conn:
        save(conn, vault, saves, remembered, now)
