"""A day in an accelerated service texts what `carebell plan` says of the same messages."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.commands.plan import plan
from listener.client import MllpClient
from parser.phone_number import PhoneNumber
from store import simulated_clock
from store.engine import open_store
from store.phone_scan import scan_files
from tests.faults.node import Node
from tests.story.clinic import PATIENCE, Ack
from tests.story.ehr import signed
from tests.story.folder import make, texts

SPEED = 4800
"""A day in 18 seconds. What follows leaves hours between any two things that must come in their order: a machine that stands
still for two seconds is late by less."""
BEGIN = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # 07:00 in Los Angeles, an hour before quiet hours end
END = BEGIN + timedelta(hours=24)

HOURS = timedelta(hours=1)
# When it is sent after BEGIN, event, appointment, start after BEGIN.
DAY = [
    (0, "S12", "far", 24 * 20),  # booked: waits for 08:00
    (0, "S12", "late", 20),  # its 24 h reminder is past already
    (0, "S12", "soon", 24 + 6),  # reminder at 13:00
    (0, "S12", "night", 24 + 20),  # reminder would leave at 03:00: tomorrow at 08:00, after the day
    (0, "S12", "moved", 24 * 12),
    (0, "S12", "gone", 24 + 12),  # cancelled before its reminder
    (5, "S13", "moved", 24 * 9),
    (5, "S14", "far", 24 * 20),  # nothing that the patient sees
    (5, "S15", "gone", 24 + 12),
]


async def test_a_day_texts_what_the_plan_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Late texts leave: on a machine that stands still for a moment, its clock does not.
    sms = {"max_lateness": "24h", "min_lead": "0s"}
    path = make(tmp_path, {"environments": {"production": {"sms": sms}}})
    node = await asyncio.to_thread(
        Node, path, roles="listener,dispatcher,housekeeping", more=("--clock", BEGIN.isoformat(), "--speed", str(SPEED))
    )
    try:
        files = await _live(tmp_path, node.port)
        assert await asyncio.to_thread(node.stop) == 0
    finally:
        if node.running:
            node.kill()
    capsys.readouterr()
    assert plan(path, files, "production", at=END, as_json=True) == 0
    planned = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    wanted = [row for row in planned if row["status"] == "planned" and row["due"] < f"{END:%Y-%m-%dT%H:%M:%SZ}"]
    sent = texts(tmp_path)
    assert sorted(map(_shown, wanted)) == sorted((text["appointment"], text["kind"], text["body"]) for text in sent)
    assert {(kind, appointment) for appointment, kind, _ in map(_shown, wanted)} == {
        ("booked", "far"), ("booked", "late"), ("booked", "soon"), ("booked", "night"), ("booked", "moved"), ("booked", "gone"),
        ("reminder", "soon"), ("updated", "moved"), ("canceled", "gone"),
    }  # fmt: skip
    # The visit of the day is over, and its number is forgotten without anybody's asking.
    [late] = {text["to"] for text in sent if text["appointment"] == "late"}
    assert (
        scan_files(
            [tmp_path / "carebell.db", tmp_path / "carebell.db-wal", tmp_path / "carebell.log"], PhoneNumber(late)
        )
        == []
    )


def _shown(row: dict[str, str]) -> tuple[str, str, str]:
    return row["appointment"], row["kind"], row["text"]


async def _live(folder: Path, port: int) -> list[Path]:
    """Send the day's messages at their times on the service's clock, and wait for its end; the messages' files."""
    store, files = open_store(f"sqlite:///{folder / 'carebell.db'}"), []
    client = await MllpClient.connect("127.0.0.1", port)

    def now() -> datetime:
        with store.read() as conn:
            return simulated_clock.now(conn, datetime.now(UTC))

    async def wait_for(instant: datetime) -> None:
        async with asyncio.timeout(PATIENCE):
            while now() < instant:  # noqa: ASYNC110  # the service's clock rings no event
                await asyncio.sleep(0.02)

    for number, (sent_after, event, name, starts_after) in enumerate(DAY):
        await wait_for(BEGIN + sent_after * HOURS)
        start = BEGIN + starts_after * HOURS
        status = "Cancelled" if event == "S15" else "Scheduled"
        phone = f"+1202555{100 + list(dict.fromkeys(row[2] for row in DAY)).index(name):04}"
        content = signed(event, f"DAY{number}", sent=now(), start=start, reference=name, phone=phone, status=status)
        assert Ack((await client.send(content)).content).code == "AA"
        files.append(folder / f"{number}.hl7")
        files[-1].write_bytes(content)
    await wait_for(END)
    await client.close()
    store.close()
    return files
