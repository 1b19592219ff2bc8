"""F1: killed under load, again and again; every acknowledgement that a sender read is kept, and no text leaves twice."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.faults.conftest import Tally
from tests.faults.counts import share_with
from tests.faults.node import FastTime, Node, write_configuration
from tests.faults.rows import read_rows, texts_sent
from tests.faults.senders import Hospital, send_all, send_until_cut_off

_LIFE: Final = 50
"""Kills of one database; then a new one, or reading it after each kill would take longer than the kills."""


@pytest.mark.faults("F1")
@pytest.mark.timeout(3600)
def test_what_was_acknowledged_outlives_kill_9(tally: Tally, tmp_path: Path, workers: int) -> None:
    rng, kills = random.Random(1), max(1, round(tally.fault.rounds * share_with(workers)))
    folder, hospital, fast = tmp_path, Hospital(), FastTime()
    for number in tally.rounds_with(workers):
        if number % _LIFE == 0:
            folder, hospital, fast = tmp_path / str(number), Hospital(), FastTime()
            write_configuration(folder, [hospital.identity.certificate])
        asyncio.run(_load_and_kill(folder, hospital, fast, rng.uniform(0.005, 0.5), workers))
        rows = read_rows(folder / "data")
        assert hospital.ledger.acknowledged - rows.complete == set()
        assert rows.remembered == rows.complete, "a message was stored by halves"
        if number + 1 in (kills, number // _LIFE * _LIFE + _LIFE):
            _send_all_again(folder, hospital, fast, tally, workers)
            shutil.rmtree(folder)


async def _load_and_kill(folder: Path, hospital: Hospital, fast: FastTime, seconds: float, workers: int) -> None:
    node = Node(folder / "carebell.yaml", roles="listener,dispatcher", more=fast.options(), workers=workers)
    asyncio.get_running_loop().call_later(seconds, node.kill)
    await send_until_cut_off(node.port, hospital, connections=4)


def _send_all_again(folder: Path, hospital: Hospital, fast: FastTime, tally: Tally, workers: int) -> None:
    """The whole ledger once more, byte for byte: what is in doubt is made good, and nothing has a second effect."""
    ledger = hospital.ledger
    assert ledger.refused == {}
    tally.seen["in doubt at the end"] += len(ledger.in_doubt)
    node = Node(folder / "carebell.yaml", roles="listener,dispatcher", more=fast.options(), workers=workers)
    asyncio.run(send_all(node.port, hospital, list(ledger.sent)))
    assert node.stop() == 0
    rows = read_rows(folder / "data")
    assert rows.complete == ledger.sent.keys()
    assert set(rows.revisions.values()) == {1}, "a message that was sent again had a second effect"
    sent = texts_sent(folder / "sent.jsonl")
    assert [own for own, times in sent.items() if times > 1] == []
    tally.seen.update({"acknowledged": len(ledger.acknowledged), "lost": 0, "texts sent": len(sent), "doubled": 0})
