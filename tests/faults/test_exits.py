"""F2: the process ends at each point where a promise could break; nothing acknowledged is lost and no text leaves twice."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.launch import CODE, EXIT, POINTS
from tests.faults.node import LAUNCH, Node, write_configuration
from tests.faults.rows import read_rows, texts_sent
from tests.faults.senders import Hospital, send_all, send_until_cut_off


@pytest.mark.faults("F2")
@pytest.mark.timeout(3600)
def test_no_point_to_crash_at_breaks_a_promise(tally: Tally, tmp_path: Path) -> None:
    hospital, rng = Hospital(), random.Random(2)
    ledger = hospital.ledger
    configuration = write_configuration(tmp_path, [hospital.identity.certificate])
    for number in tally.rounds(len(POINTS)):
        point = list(POINTS)[number % len(POINTS)]
        environment = {**os.environ, EXIT: f"{point}:{rng.randint(1, 20)}"}
        node = Node(configuration, roles="listener,dispatcher", environment=environment, program=LAUNCH)
        asyncio.run(send_until_cut_off(node.port, hospital, connections=4))
        assert node.ended() == CODE, f"the process did not end at {point}"
        rows = read_rows(tmp_path / "data")
        assert ledger.acknowledged - rows.complete == set(), f"lost by an exit at {point}"
        assert rows.remembered == rows.complete
    node = Node(configuration, roles="listener,dispatcher")
    asyncio.run(send_all(node.port, hospital, list(ledger.sent)))
    assert node.stop() == 0
    rows = read_rows(tmp_path / "data")
    assert rows.complete == ledger.sent.keys()
    assert set(rows.revisions.values()) == {1}
    sent = texts_sent(tmp_path / "sent.jsonl")
    assert [own for own, times in sent.items() if times > 1] == []
    tally.seen.update(
        {"points": len(POINTS), "acknowledged": len(ledger.acknowledged), "lost": 0, "texts sent": len(sent)}
    )
