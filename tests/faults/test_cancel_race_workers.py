"""F13 between processes: workers take the cancellations, their supervisor sends the texts that are due at the same moment.

A reminder is due 24 hours before its visit, on the whole minute, of which one passes in two seconds. The service hesitates between
its last look at a text and the post (`launch.hesitate`), so that many cancellations come in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from listener.client import MllpClient
from simulator.patients import make_patient
from simulator.shapes import Feed, Visit, write_siu
from tests.faults.conftest import Tally
from tests.faults.launch import HESITATE
from tests.faults.node import LAUNCH, FastTime, Node, write_configuration
from tests.faults.senders import Hospital, send_one

_AT_ONCE: Final = 10
_SPEED: Final = 30.0
_AHEAD: Final = timedelta(minutes=1)
"""From the booking to the minute in which the reminder is due: long enough to store the bookings."""
_SPREAD: Final = 0.15
"""The service looks for due texts thirty times a second; cancellations come within this time before and after the due minute."""
_HESITATION: Final = 0.1
_QUIET: Final = {
    "confirmation": {"scheduled": False, "updated": False, "canceled": False},
    "reminders": [{"before": "24h"}],
}


@pytest.mark.faults("F13")
@pytest.mark.timeout(3600)
def test_no_create_starts_after_a_worker_acknowledged_the_cancel(tally: Tally, tmp_path: Path) -> None:
    hospital, rng, acked = Hospital(), random.Random(130), dict[str, float]()
    configuration = write_configuration(tmp_path, [hospital.identity.certificate], sms=_QUIET)
    environment, fast = {**os.environ, HESITATE: str(_HESITATION)}, FastTime(_SPEED)
    roles, begun, more = "listener,dispatcher", fast.now(), fast.options()
    node = Node(configuration, roles=roles, more=more, environment=environment, program=LAUNCH, workers=2)
    now = asyncio.run(_clock_of(node, hospital, begun, tmp_path / "carebell.log"))
    rounds = max(tally.fault.rounds // 10, 5 * _AT_ONCE) // _AT_ONCE * _AT_ONCE
    for batch in range(0, rounds, _AT_ONCE):
        asyncio.run(_one_batch(node.port, hospital, now, rng, range(batch, batch + _AT_ONCE), acked))
        tally.progress(batch + _AT_ONCE, rounds)
    assert node.stop() == 0
    assert hospital.ledger.refused == {}
    lines = [json.loads(line) for line in (tmp_path / "posted.jsonl").read_text("utf-8").splitlines()]
    posted = {line["appointment"].split("^")[0].rstrip("PF"): line["at"] for line in lines}
    assert max(Counter(line["appointment"] for line in lines).values()) == 1, "a text left twice"
    assert [name for name, at in posted.items() if at > acked[name]] == [], "a create started after the ACK"
    assert 0 < len(posted) < rounds, "the race was never close"
    tally.seen.update(
        {"posted before": len(posted), "not posted": rounds - len(posted), "started after the ACK": 0, "doubled": 0}
    )


async def _clock_of(node: Node, hospital: Hospital, begun: datetime, log: Path) -> Callable[[], datetime]:
    """The node's own time: it begins at `begun` when the node has started, however long that takes; then no message of that time
    is in its future. The log has its time of a message that was answered just now.
    """
    client = await MllpClient.connect("127.0.0.1", node.port)
    await _send(client, hospital, _visit(10**6, begun + timedelta(days=9)), "S12", begun)
    answered = time.monotonic()
    await client.close()
    lines = await asyncio.to_thread(log.read_text, "utf-8")
    assert hospital.ledger.refused == {}
    accepted = [line for line in lines.splitlines() if '"event":"message_accepted"' in line]
    then = datetime.fromisoformat(json.loads(accepted[-1])["time"])
    return lambda: then + timedelta(seconds=(time.monotonic() - answered) * _SPEED)


def _visit(number: int, start: datetime) -> Visit:
    return Visit(
        reference=str(number), patient=make_patient(random.Random(number), number), start=start, minutes=30,
        provider="Adams", location="NORTH", video=False, status="Booked",
    )  # fmt: skip


async def _one_batch(
    port: int,
    hospital: Hospital,
    clock: Callable[[], datetime],
    rng: random.Random,
    numbers: range,
    acked: dict[str, float],
) -> None:
    """Book the visits, then let the due second and the cancellations meet."""
    clients = [await MllpClient.connect("127.0.0.1", port) for _ in numbers]
    now = clock()
    due = (now + 2 * _AHEAD).replace(second=0, microsecond=0)
    visits = []
    for number, client in zip(numbers, clients, strict=True):
        visit = _visit(number, due + timedelta(hours=24))
        visits.append(visit)
        await _send(client, hospital, visit, "S12", now)
    meet = time.monotonic() + (due - clock()).total_seconds() / _SPEED

    async def cancel(client: MllpClient, visit: Visit) -> None:
        await asyncio.sleep(max(meet + rng.uniform(-_SPREAD, _SPREAD) - time.monotonic(), 0))
        await _send(client, hospital, replace(visit, status="Cancelled"), "S15", clock())
        acked[visit.reference] = time.monotonic()

    await asyncio.gather(*(cancel(*pair) for pair in zip(clients, visits, strict=True)))
    for client in clients:
        await client.close()


async def _send(client: MllpClient, hospital: Hospital, visit: Visit, event: str, now: datetime) -> None:
    control_id = f"{event}{visit.reference}"
    content = write_siu(Feed(), visit, event=event, control_id=control_id, sent_at=now)
    hospital.ledger.sent[control_id] = hospital.signer.sign(content)
    await send_one(client, hospital.ledger, control_id)
