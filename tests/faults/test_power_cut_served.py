"""F3 through the whole service: the power goes while four senders are being answered."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.counts import share_with
from tests.faults.disk import Disk, NoDisk, power_cuts
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, send_until_cut_off


@pytest.mark.faults("F3")
@pytest.mark.timeout(3600)
def test_what_a_sender_was_told_outlives_a_power_cut(tally: Tally, tmp_path: Path, workers: int) -> None:
    rng = random.Random(3)
    for number in tally.rounds(0.1 * share_with(workers)):
        place = tmp_path / f"round-{number}"
        place.mkdir()
        lost, texts = _one_cut(place, rng, workers)
        tally.seen.update({"acknowledged": texts, "lost": lost})
        assert lost == 0
        assert texts > 0


def _one_cut(place: Path, rng: random.Random, workers: int) -> tuple[int, int]:
    hospital, disk = Hospital(), _disk(place)
    configuration = write_configuration(
        place, [hospital.identity.certificate], url=f"sqlite:///{disk.folder}/carebell.db"
    )
    node = Node(configuration, environment=disk.environment(), workers=workers)

    async def load() -> None:
        asyncio.get_running_loop().call_later(rng.uniform(0.3, 1.0), node.kill)
        await send_until_cut_off(node.port, hospital, connections=4)

    asyncio.run(load())
    notes = disk.notes()
    (cut,) = power_cuts(notes, at=[len(notes)], rng=rng)
    after = place / "after"
    after.mkdir()
    for name, content in cut.files.items():
        (after / name).write_bytes(content)
    return len(hospital.ledger.acknowledged - read_rows(after).complete), len(hospital.ledger.acknowledged)


def _disk(place: Path) -> Disk:
    try:
        return Disk(place)
    except NoDisk as reason:
        pytest.skip(str(reason))
