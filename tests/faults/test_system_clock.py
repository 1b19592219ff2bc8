"""The system's clock is set under the running service: texts go on leaving, and what is due by the new time is decided at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.client import MllpClient
from simulator.ehr import make_identity
from store import restore_detection
from store.engine import open_store
from tests.faults.node import PATIENCE, Node, write_configuration
from tests.faults.senders import Signer
from tests.faults.system_clock import NoLayer, SystemClock
from tests.story.ehr import unsigned

MINUTE = timedelta(minutes=1)
BEFORE = datetime.fromtimestamp(0, UTC)
JUMPS = {
    "ten minutes back": timedelta(minutes=-10),
    "a day back": timedelta(days=-1),
    "ten minutes ahead": timedelta(minutes=10),
    "a day ahead": timedelta(days=1),
}


@pytest.fixture
def clock(tmp_path: Path) -> SystemClock:
    try:
        return SystemClock(tmp_path)
    except NoLayer as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS.keys())
def test_texts_leave_by_the_new_time(jump: timedelta, clock: SystemClock, tmp_path: Path) -> None:
    identity = make_identity("Sending EHR", now=clock.now() - timedelta(days=3), bits=2048)
    configuration = write_configuration(tmp_path, [identity.certificate])
    node = Node(configuration, roles="listener,dispatcher,housekeeping", environment=clock.environment())
    _until(lambda: _housekeeping_at(tmp_path) > BEFORE)

    clock.set_by(jump)
    node.wait_for("clock jumped")
    asyncio.run(_book(node.port, Signer(identity), clock.now()))
    clock.set_by(MINUTE)  # a text waits for a whole minute
    _until(lambda: len(_sent(tmp_path)) == 1)

    _until(lambda: abs(_housekeeping_at(tmp_path) - clock.now()) < 2 * MINUTE)
    assert node.stop() == 0
    jumps = [line for line in _log(tmp_path) if line["event"] == "clock_jumped"]
    assert [(line["level"], round(line["shift_seconds"] / 60)) for line in jumps] == [
        ("warning", round(jump / MINUTE)),
        ("warning", 1),
    ]


async def _book(port: int, signer: Signer, now: datetime) -> None:
    client = await MllpClient.connect("127.0.0.1", port)
    answer = await client.send(signer.sign(unsigned("S12", "1", sent=now, start=now + timedelta(days=20))))
    await client.close()
    assert b"\rMSA|AA|1" in answer.content


def _housekeeping_at(folder: Path) -> datetime:
    """When housekeeping last beat, by its own clock."""
    store = open_store(f"sqlite:///{folder / 'data' / 'carebell.db'}")
    with store.read() as conn:
        pulse = restore_detection.pulse(conn)
    store.close()
    return BEFORE if pulse is None else pulse.at


def _sent(folder: Path) -> list[str]:
    path = folder / "sent.jsonl"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "carebell.log").read_text(encoding="utf-8").splitlines()]


def _until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
