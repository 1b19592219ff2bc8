"""F18: SIGTERM under load: what was read is committed and answered, then the service ends by itself with 0."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, send_until_cut_off


@pytest.mark.faults("F18")
@pytest.mark.timeout(3600)
def test_a_stop_under_load_answers_what_it_stored(tally: Tally, tmp_path: Path, workers: int) -> None:
    hospital, rng = Hospital(), random.Random(18)
    ledger = hospital.ledger
    configuration = write_configuration(tmp_path, [hospital.identity.certificate])
    for _ in tally.rounds_with(workers):
        node = Node(configuration, workers=workers)

        async def load(node: Node = node) -> None:
            asyncio.get_running_loop().call_later(rng.uniform(0.05, 0.5), node.signal, signal.SIGTERM)
            await send_until_cut_off(node.port, hospital, connections=4)

        asyncio.run(load())
        assert node.ended() == 0
        rows = read_rows(tmp_path / "data")
        unanswered = rows.complete - ledger.acknowledged
        tally.seen.update(
            {"stored without an answer": len(unanswered), "lost": len(ledger.acknowledged - rows.complete)}
        )
        assert rows.complete == rows.remembered == ledger.acknowledged
    tally.seen["acknowledged"] = len(ledger.acknowledged)
    assert ledger.refused == {}
