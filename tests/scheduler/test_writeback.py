"""scheduler/writeback.py: what goes back, where, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.writeback import (
    FLAP,
    RETRY_FOR,
    WritebackChannel,
    WritebackEvent,
    WritebackIntent,
    WritebackPolicy,
    WritebackState,
    after_later_answer,
    intend,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = NOW + timedelta(days=2)
POLICY = WritebackPolicy(
    channels={
        WritebackEvent.CONFIRMED: WritebackChannel.HL7,
        WritebackEvent.CONNECTED: WritebackChannel.EPIC_STATUS,
        WritebackEvent.DEVICE_TEST: WritebackChannel.HL7,
    },
    retry_for={"confirmed": "until_start", "connected": timedelta(hours=1), "default": timedelta(hours=6)},
)


def _intend(event: WritebackEvent, policy: WritebackPolicy = POLICY, **changes: Any) -> WritebackIntent | None:
    known: dict[str, Any] = {"environment": "production", "appointment": "a1", "start": START, "now": NOW}
    return intend(policy, event, **(known | changes))


def test_an_event_without_a_channel_does_not_go_back() -> None:
    assert _intend(WritebackEvent.OPTED_OUT) is None
    assert all(_intend(event, WritebackPolicy()) is None for event in WritebackEvent)


@pytest.mark.parametrize(
    ("event", "start", "expires_at"),
    [
        (WritebackEvent.CONFIRMED, START, START),
        (WritebackEvent.CONFIRMED, NOW, NOW + timedelta(hours=6)),
        (WritebackEvent.CONFIRMED, None, NOW + timedelta(hours=6)),
        (WritebackEvent.CONNECTED, START, NOW + timedelta(hours=1)),
        (WritebackEvent.DEVICE_TEST, START, NOW + timedelta(hours=6)),
    ],
)
def test_each_event_has_its_time(event: WritebackEvent, start: datetime | None, expires_at: datetime) -> None:
    intent = _intend(event, start=start)
    assert intent is not None
    assert intent.expires_at == expires_at
    assert intent.channel is POLICY.channels[event]


def test_without_a_default_it_is_a_day() -> None:
    policy = WritebackPolicy(channels=POLICY.channels, retry_for={"default": "until_start"})
    assert policy.expiry(WritebackEvent.CONFIRMED, None, NOW) == NOW + RETRY_FOR
    assert WritebackPolicy().expiry(WritebackEvent.CONFIRMED, START, NOW) == NOW + RETRY_FOR


def test_a_connection_waits_whether_it_lasts() -> None:
    connected, confirmed = _intend(WritebackEvent.CONNECTED), _intend(WritebackEvent.CONFIRMED)
    assert connected is not None
    assert confirmed is not None
    assert (connected.not_before, confirmed.not_before) == (NOW + FLAP, NOW)


def test_only_declared_facts_are_taken() -> None:
    intent = _intend(WritebackEvent.CONFIRMED, facts={"by": "patient", "at": NOW.isoformat()})
    assert intent is not None
    assert intent.facts == {"by": "patient", "at": NOW.isoformat()}
    with pytest.raises(ValueError, match="phone"):
        _intend(WritebackEvent.CONFIRMED, facts={"phone": "+12025550143"})


@pytest.mark.parametrize(
    ("state", "answer", "after_aa", "after_ae"),
    [
        ("acknowledged", "CA", "acknowledged", "refused"),
        ("acknowledged", "AA", None, None),
        ("sending", None, "acknowledged", "refused"),
        ("sending", "AE", "acknowledged", "refused"),
        ("due", None, "acknowledged", "refused"),
        ("due", "AE", "acknowledged", None),
        ("expired", None, "acknowledged", "refused"),
        ("expired", "AR", "acknowledged", None),
        ("refused", "AE", None, None),
        ("superseded", None, None, None),
        ("unknown", None, None, None),
    ],
)
def test_a_later_answer_decides_what_is_undecided(
    state: str, answer: str | None, after_aa: str | None, after_ae: str | None
) -> None:
    row = WritebackState(state)
    assert after_later_answer(row, answer, positive=True) == after_aa
    assert after_later_answer(row, answer, positive=False) == after_ae
