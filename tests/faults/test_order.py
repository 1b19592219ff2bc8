"""F14: whatever the order of delivery, and however often, the newest message's word stands."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from scheduler.appointment import AppointmentStatus
from simulator.patients import fictitious_number
from store import appointments
from tests.carebell.pieces import Pieces, pieces, signed
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.conftest import Tally
from tests.story.ehr import unsigned

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
AT_ONCE: Final = 20
"""Histories in one transaction, as a backlog comes in."""


# The model


@dataclass(frozen=True, slots=True)
class Said:
    """One message: the newest one counts, by the time that it carries."""

    event: str
    sent: datetime
    start: datetime


LIVES: Final = {
    "S12": AppointmentStatus.ACTIVE,
    "S13": AppointmentStatus.ACTIVE,
    "S14": AppointmentStatus.ACTIVE,
    "S15": AppointmentStatus.CANCELED,
    "S17": AppointmentStatus.DELETED,
}


def model(history: Sequence[Said]) -> tuple[datetime, str]:
    """(start, life) at the end."""
    newest = max(history, key=lambda said: said.sent)
    return newest.start, LIVES[newest.event].value


def random_history(rng: random.Random) -> list[Said]:
    """Booked, then up to four more messages, each a while after the last."""
    events = ["S12", *rng.choices(["S13", "S14", "S15", "S17", "S12"], [4, 3, 3, 1, 1], k=rng.randint(1, 4))]
    at, start, history = NOW - timedelta(days=2), NOW + timedelta(days=rng.randint(3, 20)), []
    for event in events:
        if event == "S13":
            start = NOW + timedelta(days=rng.randint(3, 20), hours=rng.randint(0, 8))
        history.append(Said(event, at, start))
        at += timedelta(minutes=rng.randint(1, 600))
    return history


# The service


@pytest.mark.faults("F14")
@pytest.mark.timeout(3600)
def test_the_newest_message_stands_whatever_the_order(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(14)
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio) as service:
        for batch in range(tally.fault.rounds // AT_ONCE):
            histories = {f"H{batch}-{number}": random_history(rng) for number in range(AT_ONCE)}
            tally.seen["messages"] += deliver(service, rng, histories)
            with service.store.read() as conn:
                found = {
                    name: [
                        (one.start, one.status) for one in appointments.named(conn, service.vault, name, service.now)
                    ]
                    for name in histories
                }
            assert found == {name: [model(history)] for name, history in histories.items()}
            tally.progress((batch + 1) * AT_ONCE, tally.fault.rounds)
        waits = {row.reference for row in service.rows() if row.kind.value == "reminder" and row.state.value == "due"}
        assert {model_of for model_of in waits if _status(service, model_of) != "active"} == set()
    tally.seen["other states"] = 0


def _status(service: Pieces, name: str) -> str:
    with service.store.read() as conn:
        [one] = appointments.named(conn, service.vault, name, service.now)
    return one.status


def deliver(service: Pieces, rng: random.Random, histories: dict[str, list[Said]]) -> int:
    """All messages in any order, a third of them twice, some with their appointment's others in one transaction."""
    messages = []
    for index, (name, history) in enumerate(histories.items()):
        phone = fictitious_number(index)
        for number, said in enumerate(history):
            status = {"S15": "Cancelled", "S17": "Deleted"}.get(said.event, "Scheduled")
            content = signed(
                unsigned(
                    said.event,
                    f"{name}-{number}",
                    sent=said.sent,
                    start=said.start,
                    reference=name,
                    phone=phone,
                    status=status,
                )
            )
            messages += [content] * (2 if rng.random() < 1 / 3 else 1)
    rng.shuffle(messages)
    validated = [service.validator.validate(content, service.now) for content in messages]
    assert [one.refused for one in validated if one.refused is not None] == []
    while validated:
        size = rng.randint(1, AT_ONCE)
        group, validated = validated[:size], validated[size:]
        with service.store.write() as conn:
            service.registry.commit_group(conn, group)
    return len(messages)
