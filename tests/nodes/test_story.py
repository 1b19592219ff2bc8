"""The story of tests/story on PostgreSQL: signed bytes in over a socket, texts out, the phone forgotten; and the commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.ehr import signed
from tests.story.folder import texts

VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
MOVED = VISIT + timedelta(days=4)


async def test_a_visit_is_booked_moved_and_canceled(configuration: Path) -> None:
    async with opened(configuration) as clinic:
        assert clinic.service.store.backend == "postgresql"
        await clinic.pass_by(timedelta(hours=2))
        booking = signed("S12", "1", sent=clinic.clock.now(), start=VISIT)
        assert [ack.code for ack in await clinic.send(booking, booking)] == ["AA", "AA"]
        await clinic.pass_to(datetime(2026, 3, 14, tzinfo=UTC))
        await clinic.send(signed("S13", "2", sent=clinic.clock.now(), start=MOVED))
        await clinic.pass_to(datetime(2026, 3, 18, tzinfo=UTC))
        await clinic.send(signed("S15", "3", sent=clinic.clock.now(), start=MOVED, status="Cancelled"))
        await clinic.pass_by(timedelta(days=1))
        assert clinic.phones() == [None]
        assert clinic.outbox("900100") == [
            ("booked", "scheduled", "delivered", "booked"),
            ("reminder", "7d@10:00", "delivered", "reminder"),
            ("updated", "updated", "delivered", "updated"),
            ("reminder", "7d@10:00", "delivered", "reminder"),
            ("canceled", "canceled", "delivered", "canceled"),
            ("reminder", "24h", "suppressed", "superseded"),
            ("reminder", "24h", "suppressed", "canceled"),
        ]
    assert [text["kind"] for text in texts(configuration.parent)] == [
        "booked",
        "reminder",
        "updated",
        "reminder",
        "canceled",
    ]


@pytest.mark.timeout(120)
async def test_what_is_stored_survives_the_service_and_is_shown_by_the_commands(
    configuration: Path, carebell: Carebell
) -> None:
    now = datetime.now(UTC)
    visit = now + timedelta(days=9)
    async with opened(configuration, at=now) as clinic:
        await clinic.send(signed("S12", "1", sent=now, start=visit))
    async with opened(configuration, at=now) as again:
        [repeated] = await again.send(signed("S12", "1", sent=now, start=visit))
        assert repeated.code == "AA"
        assert len(again.events("message_repeated")) == 1
    shown = carebell("appointments", "-c", configuration, "--json")
    assert [(row["appointment"], row["phone"]) for row in shown.rows] == [("900100", "***0143")]
    assert len(carebell("outbox", "-c", configuration, "--json").rows) > 1
    for words in (("hold",), ("release",), ("purge",), ("keys", "rotate")):
        assert (words, carebell(*words, "-c", configuration).code) == (words, 0)
    assert carebell("appointments", "-c", configuration, "--json").rows[0]["phone"] == "***0143"
