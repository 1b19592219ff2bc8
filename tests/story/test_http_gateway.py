"""A text's way through the HTTP gateway: posted once, its fate told by signed events, a STOP heard, its copy deleted there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.story import json_gateway
from tests.story.clinic import BY_HAND, Clinic, opened
from tests.story.ehr import PHONE, signed
from tests.story.folder import CLOCK, make
from tests.story.json_gateway import SECRET, TOKEN, JsonGateway

VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
MORNING = CLOCK + timedelta(hours=3)
PUBLIC = "http://127.0.0.1:1"  # the gateway is told where we really are


@asynccontextmanager
async def served(folder: Path, *faults: json_gateway.Fault) -> AsyncIterator[tuple[Clinic, JsonGateway, str]]:
    """The clinic, its gateway, and where events go."""
    with json_gateway.running() as gateway:
        gateway.faults = list(faults)
        account = {
            "url": gateway.url, "token_file": "gateway.token", "public_url": PUBLIC, "webhook_secret_file": "hmac.secret",
        }  # fmt: skip
        changes = {
            "gateway": {"kind": "http", "http": account, "segments_per_second": {"+14255550100": 1000}},
            "http": {"enabled": True, "port": 0},
            "environments": {"production": {"sms": {"debounce": "0s", "reminders": []}}},
        }
        path = make(folder, changes)
        for name, secret in (("gateway.token", TOKEN), ("hmac.secret", f"{SECRET}\nold-secret")):
            (folder / name).write_text(f"{secret}\n")
            (folder / name).chmod(0o400)
        async with opened(path, at=MORNING, pace=replace(BY_HAND, reconciliation=0.05)) as clinic:
            assert clinic.service.http is not None
            host, port = clinic.service.http
            yield clinic, gateway, f"http://{host}:{port}/gateway/events"


async def book(clinic: Clinic, reference: str = "900100", event: str = "S12", status: str = "Scheduled") -> None:
    [ack] = await clinic.send(
        signed(event, f"{event}-{reference}", sent=clinic.clock.now(), start=VISIT, reference=reference, status=status)
    )
    assert ack.code == "AA"
    clinic.clock.move_to(clinic.clock.now() + timedelta(minutes=1))
    await clinic.service.dispatcher.tick()


def states(clinic: Clinic, reference: str = "900100") -> list[str]:
    return [state for _, _, state, _ in clinic.outbox(reference)]


async def told(gateway: JsonGateway, events_url: str, key: str, status: str, code: str | None = None) -> int:
    gateway.taken[key]["events_url"] = events_url
    return await asyncio.to_thread(gateway.report, key, status, code)


async def test_a_text_is_posted_and_its_fate_told(tmp_path: Path) -> None:
    async with served(tmp_path) as (clinic, gateway, events_url):
        await book(clinic)
        [(key, text)] = gateway.taken.items()
        assert text.items() >= {"to": PHONE, "from": "+14255550100", "segments": 1}.items()
        assert "Fri, Mar 20 at 2:00 PM" in text["text"]
        assert text["events_url"] == f"{PUBLIC}/gateway/events"
        assert states(clinic) == ["accepted"]
        assert await told(gateway, events_url, key, "sent") == 200
        assert await told(gateway, events_url, key, "delivered") == 200
        assert states(clinic) == ["delivered"]
        # Late, doubled and in disorder: a status never takes a text back.
        for late in ("sent", "accepted", "delivered", "teleported"):
            assert await told(gateway, events_url, key, late) == 200
        assert states(clinic) == ["delivered"]
        await clinic.until(lambda: gateway.deleted == [text["id"]])
        assert gateway.unauthorized == 0
    lines = json.dumps(clinic.events()) + clinic.terminal.getvalue()
    for secret in (PHONE[2:], TOKEN, SECRET, text["text"]):
        assert secret not in lines


async def test_an_event_that_is_not_proven_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as (clinic, gateway, events_url):
        await book(clinic)
        [(key, text)] = gateway.taken.items()
        event = {"event": "status", "key": key, "id": text["id"], "status": "failed", "code": "invalid_number"}
        old = datetime.now(UTC) - timedelta(minutes=10)
        assert await asyncio.to_thread(gateway.tell, events_url, event, secret="stolen") == 403
        assert await asyncio.to_thread(gateway.tell, events_url, event, at=old) == 403
        assert await asyncio.to_thread(json_gateway.post, events_url, json.dumps(event).encode(), {}) == 403
        assert states(clinic) == ["accepted"]
        assert [line["reason"] for line in clinic.events("webhook_refused")] == ["signature", "stale", "signature"]
        assert await asyncio.to_thread(gateway.tell, events_url, event, secret="old-secret") == 200
        assert states(clinic) == ["failed"]


@pytest.mark.parametrize("fault", ["reset_after", "reset_before"])
@pytest.mark.parametrize("event", ["S12", "S15"], ids=["booking", "cancellation"])
async def test_a_text_of_unknown_fate_is_looked_up_and_reaches_the_patient_once(
    tmp_path: Path, fault: json_gateway.Fault, event: str
) -> None:
    """Whether the gateway had taken it or not: its key keeps it from being taken twice."""
    async with served(tmp_path) as (clinic, gateway, _):
        if event == "S15":
            await book(clinic)
        before = len(gateway.taken)
        gateway.faults = [fault]
        await book(clinic, event=event, status="Cancelled" if event == "S15" else "Scheduled")
        assert states(clinic)[-1] == "unknown"
        clinic.clock.move_to(clinic.clock.now() + timedelta(minutes=2))
        wanted = "accepted" if fault == "reset_after" else "due"
        await clinic.until(lambda: states(clinic)[-1] == wanted)
        await clinic.service.dispatcher.tick()
        assert states(clinic)[-1] == "accepted"
        assert len(gateway.taken) == before + 1
        key = list(gateway.taken)[-1]
        attempts = [known for posted, known in gateway.posts if posted == key]
        assert attempts == ([False] if fault == "reset_after" else [False, False])


async def test_a_gateway_that_is_asked_too_often_is_asked_again_later(tmp_path: Path) -> None:
    async with served(tmp_path, "rate_limited") as (clinic, gateway, _):
        await book(clinic)
        assert states(clinic) == ["due"]
        clinic.clock.move_to(clinic.clock.now() + timedelta(seconds=30))
        await clinic.service.dispatcher.tick()
        assert states(clinic) == ["accepted"]
        assert len({key for key, _ in gateway.posts}) == 1


async def test_a_number_that_the_gateway_rejects_is_given_up(tmp_path: Path) -> None:
    async with served(tmp_path, "unreachable_number") as (clinic, _, _):
        await book(clinic)
        assert states(clinic) == ["failed"]
        [line] = clinic.events("sms_failed")
        assert line["code"] == 101
        assert clinic.phones() == [None]


async def test_a_stop_is_heard_and_played_again_does_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as (clinic, gateway, events_url):
        await book(clinic)

        async def reply(number: str, text: str) -> int:
            event: dict[str, Any] = {"event": "reply", "id": number, "from": PHONE, "to": "+14255550100", "text": text}
            return await asyncio.to_thread(gateway.tell, events_url, event)

        assert await reply("in-1", "Please stop, my illness is nobody's business") == 200
        await book(clinic, "900101")
        assert clinic.outbox("900101")[-1][2:] == ("suppressed", "opted_out")
        clinic.clock.move_to(clinic.clock.now() + timedelta(minutes=1))
        assert await reply("in-2", "START") == 200
        assert await reply("in-1", "Please stop, my illness is nobody's business") == 200  # captured, and played again
        await book(clinic, "900102")
        assert states(clinic, "900102") == ["accepted"]
        assert len(clinic.events("reply_repeated")) == 1
    assert "illness" not in json.dumps(clinic.events()) + clinic.terminal.getvalue()
    for path in clinic.files():
        assert b"illness" not in path.read_bytes()
