"""F13: a cancellation within 50 ms of the due time, on either side. After its ACK nothing of this visit starts to leave."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from notifier.gateway import Sms
from simulator.account import AccountSettings
from simulator.patients import fictitious_number
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.conftest import Tally
from tests.faults.playing import SENDER
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, make

MORNING: Final = CLOCK.replace(
    hour=18, minute=0, second=30
)  # 10:00 in the clinic; a text is due on the next whole minute
AT_ONCE: Final = 10
"""Visits in one batch: each with its own connection, and its own moment for the cancellation."""
WINDOW: Final = 0.05


@pytest.mark.faults("F13")
@pytest.mark.timeout(3600)
async def test_no_create_starts_after_a_cancel_was_acknowledged(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(13)
    began: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    acked: dict[str, float] = {}
    twilio = PocketTwilio(now=lambda: CLOCK, settings=AccountSettings(segments_per_second={SENDER: 1000}))

    def before(sms: Sms) -> None:
        began[sms.appointment].append((sms.kind, time.monotonic()))
        time.sleep(random.Random(sms.id).uniform(0, 0.02))

    twilio.before = before
    changes = {
        "gateway": {"segments_per_second": {SENDER: 1000}},
        "environments": {"production": {"sms": {"debounce": "0s"}}},
    }
    path = make(tmp_path / "clinic", changes)
    async with opened(path, at=MORNING, gateway=twilio) as clinic:
        twilio.now = clinic.clock.now
        for batch in range(tally.fault.rounds // AT_ONCE):
            names = [f"V{batch}-{number}" for number in range(AT_ONCE)]
            await one_batch(clinic, rng, batch, names, acked)
            tally.progress((batch + 1) * AT_ONCE, tally.fault.rounds)
        clinic.clock.move_to(clinic.clock.now() + timedelta(minutes=1))
        await clinic.service.dispatcher.tick()
        outbox_states = {name: {row[0]: row[2] for row in clinic.outbox(name)} for name in acked}
    late = [
        name for name, times in began.items() for kind, started in times if kind != "canceled" and started > acked[name]
    ]
    assert late == [], "a create started after the cancellation was acknowledged"
    booked = {name for name, times in began.items() if any(kind == "booked" for kind, _ in times)}
    canceled = {name for name, times in began.items() if any(kind == "canceled" for kind, _ in times)}
    assert canceled == booked, "a patient who was told of a visit hears of its end, and nobody else"
    sent = Counter(taken.to for taken in twilio.ledger.accepted)
    assert sent == {fictitious_number(number_of(name)): 2 for name in booked}, "Twilio's ledger has other texts"
    assert all(outbox_states[name]["booked"] == "suppressed" for name in acked.keys() - booked)
    assert 0 < len(booked) < len(acked), "the race was never close"
    tally.seen.update(
        {"posted before": len(booked), "not posted": len(acked) - len(booked), "started after the ACK": 0, "doubled": 0}
    )


def number_of(name: str) -> int:
    batch, _, number = name.removeprefix("V").partition("-")
    return int(batch) * AT_ONCE + int(number)


async def one_batch(clinic: Clinic, rng: random.Random, batch: int, names: list[str], acked: dict[str, float]) -> None:
    """Book the visits, then let the due time and the cancellations meet."""
    now, visit = clinic.clock.now(), clinic.clock.now().replace(day=28)
    phones = {name: fictitious_number(number_of(name)) for name in names}
    bookings = [signed("S12", f"{name}b", sent=now, start=visit, reference=name, phone=phones[name]) for name in names]
    for ack in await clinic.send(*bookings):
        assert ack.code == "AA"
    cancellations = {
        name: signed("S15", f"{name}c", sent=now, start=visit, reference=name, phone=phones[name], status="Cancelled")
        for name in names
    }
    clients = {name: await clinic.connect() for name in names}
    meet = time.monotonic() + 2 * WINDOW

    async def cancel(name: str) -> None:
        await asyncio.sleep(meet + rng.uniform(-WINDOW, WINDOW) - time.monotonic())
        await clients[name].send(cancellations[name])
        acked[name] = time.monotonic()

    async def fall_due() -> None:
        await asyncio.sleep(meet - time.monotonic())
        clinic.clock.move_to(now + timedelta(minutes=1))
        await clinic.service.dispatcher.tick()

    await asyncio.gather(fall_due(), *(cancel(name) for name in names))
    for client in clients.values():
        await client.close()
