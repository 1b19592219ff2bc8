"""F1: killed under load, again and again; every acknowledgement that a sender read is kept, and no text leaves twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows, texts_sent
from tests.faults.senders import Hospital, send_all, send_until_cut_off


@pytest.mark.faults("F1")
@pytest.mark.timeout(3600)
def test_what_was_acknowledged_outlives_kill_9(tally: Tally, tmp_path: Path) -> None:
    hospital, rng = Hospital(), random.Random(1)
    configuration = write_configuration(tmp_path, [hospital.identity.certificate])

    async def load(node: Node, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, node.kill)
        await send_until_cut_off(node.port, hospital, connections=4)

    for _ in tally.rounds():
        asyncio.run(load(Node(configuration, roles="listener,dispatcher"), rng.uniform(0.005, 0.5)))
        rows = read_rows(tmp_path / "data")
        assert hospital.ledger.acknowledged - rows.complete == set()
        assert rows.remembered == rows.complete, "a message was stored by halves"
    assert hospital.ledger.refused == {}

    tally.seen["in doubt at the end"] = len(hospital.ledger.in_doubt)
    node = Node(configuration, roles="listener,dispatcher")
    asyncio.run(send_all(node.port, hospital, list(hospital.ledger.sent)))  # whole ledger once more, byte for byte
    assert node.stop() == 0
    rows = read_rows(tmp_path / "data")
    assert rows.complete == hospital.ledger.sent.keys()
    assert set(rows.revisions.values()) == {1}, "a message that was sent again had a second effect"
    sent = texts_sent(tmp_path / "sent.jsonl")
    assert [own for own, times in sent.items() if times > 1] == []
    tally.seen.update(
        {"acknowledged": len(hospital.ledger.acknowledged), "lost": 0, "texts sent": len(sent), "doubled": 0}
    )
