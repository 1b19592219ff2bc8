"""A row of the outbox as a value: what a claim changes of it, and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.sms import SmsState
from store.outbox_row import OutboxRow

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


def test_a_claim_changes_what_belongs_to_the_attempt_and_keeps_every_other_column() -> None:
    values: dict[str, Any] = {field.name: f"the {field.name}" for field in fields(OutboxRow)}
    row = OutboxRow(**values | {"attempts": 1})
    attempt: dict[str, Any] = {
        "lease_until": NOW + timedelta(minutes=2),
        "node": "n1",
        "sender": "+14255550100",
        "segments": 2,
        "phone_key": "k",
        "question": 3,
        "question_alone": True,
        "question_until": NOW + timedelta(days=1),
    }
    begun: dict[str, Any] = {
        "state": SmsState.SENDING,
        "attempts": 2,
        "claimed_at": NOW,
        "next_attempt_at": None,
        "sid": None,
        "code": None,
        "sent_at": None,
        "final_at": None,
        "checked_at": None,
    }
    assert row.claimed(at=NOW, **attempt) == replace(row, **attempt, **begun)
