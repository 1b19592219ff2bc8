"""F7: after a failed fsync nobody knows what the disk holds: the service ends itself and acknowledges nothing more."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.disk import Disk, NoDisk, power_cuts
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, send_until_cut_off


@pytest.mark.faults("F7")
@pytest.mark.timeout(3600)
def test_a_failed_sync_ends_the_service(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(7)
    for number in tally.rounds():
        place = tmp_path / f"round-{number}"
        place.mkdir()
        try:
            disk = Disk(place)
        except NoDisk as reason:
            pytest.skip(str(reason))
        hospital = Hospital()
        configuration = write_configuration(
            place, [hospital.identity.certificate], url=f"sqlite:///{disk.folder}/carebell.db"
        )
        node = Node(configuration, environment=disk.environment())

        async def load(node: Node = node, disk: Disk = disk, hospital: Hospital = hospital) -> None:
            asyncio.get_running_loop().call_later(rng.uniform(0.1, 0.5), disk.fail, "eio")
            await send_until_cut_off(node.port, hospital, connections=4)

        asyncio.run(load())
        assert node.ended() == 1
        notes = disk.notes()
        assert "E" in {note.op for note in notes}, "no sync was made to fail"
        (cut,) = power_cuts(notes, at=[len(notes)], rng=rng)
        after = place / "after"
        after.mkdir()
        for name, content in cut.files.items():
            (after / name).write_bytes(content)
        lost = hospital.ledger.acknowledged - read_rows(after).complete
        tally.seen.update({"acknowledged before": len(hospital.ledger.acknowledged), "lost": len(lost)})
        assert lost == set()
