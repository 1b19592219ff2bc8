"""F2: the process ends at each point where a promise could break; nothing acknowledged is lost and no text leaves twice."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Final

import pytest

from tests.faults.conftest import Tally
from tests.faults.launch import CODE, EXIT, POINTS
from tests.faults.node import LAUNCH, FastTime, Node, write_configuration
from tests.faults.rows import read_rows, texts_sent
from tests.faults.senders import Hospital, send_all, send_until, send_until_cut_off
from tests.test_packaging import ROOMS

_CHECKOUT = Path(__file__).parents[2]


_DISPATCHING: Final = frozenset({"claimed", "posted", "recorded"})
"""Points of the supervisor, which sends the texts; the others are a worker's."""


@pytest.mark.faults("F2")
@pytest.mark.timeout(3600)
def test_no_point_to_crash_at_breaks_a_promise(tally: Tally, tmp_path: Path, workers: int) -> None:
    rng = random.Random(2)
    for number in tally.rounds_with(workers):
        _exit_at_every_point(tmp_path / str(number), tally, rng, workers)
    tally.seen["points"] = len(POINTS)


def _exit_at_every_point(folder: Path, tally: Tally, rng: random.Random, workers: int) -> None:
    """One database goes through all of them."""
    hospital, fast = Hospital(), FastTime()
    ledger = hospital.ledger
    configuration = write_configuration(folder, [hospital.identity.certificate])
    for name, point in POINTS.items():
        environment = {**os.environ, EXIT: f"{name}:{rng.randint(1, point.within)}"}
        node = Node(
            configuration,
            roles="listener,dispatcher",
            more=fast.options(),
            environment=environment,
            program=LAUNCH,
            workers=workers,
        )
        if workers == 1 or name in _DISPATCHING:
            asyncio.run(send_until_cut_off(node.port, hospital, connections=4, most=200))
            assert node.ended() == CODE, f"the process did not end at {name}"
        else:
            asyncio.run(_until_a_worker_exits(node, hospital))
            assert node.stop() == 0, "a worker's end is not the service's"
        rows = read_rows(folder / "data")
        assert ledger.acknowledged - rows.complete == set(), f"lost by an exit at {name}"
        assert rows.remembered == rows.complete
        tally.seen["exits"] += 1
    node = Node(configuration, roles="listener,dispatcher", more=fast.options(), workers=workers)
    asyncio.run(send_all(node.port, hospital, list(ledger.sent)))
    assert node.stop() == 0
    rows = read_rows(folder / "data")
    assert rows.complete == ledger.sent.keys()
    assert set(rows.revisions.values()) == {1}
    sent = texts_sent(folder / "sent.jsonl")
    assert [own for own, times in sent.items() if times > 1] == []
    tally.seen.update({"acknowledged": len(ledger.acknowledged), "lost": 0, "texts sent": len(sent), "doubled": 0})


async def _until_a_worker_exits(node: Node, hospital: Hospital) -> None:
    """The worker that passes the point ends; its senders go on with the others, and it is started again."""
    over = asyncio.Event()

    async def watch() -> None:
        await asyncio.to_thread(node.wait_for, rf"worker ended .*code={CODE}")
        over.set()

    await asyncio.gather(watch(), send_until(lambda: node.port, hospital, over))


def test_the_product_has_no_point_to_exit_at(tmp_path: Path) -> None:
    """Whoever can set the variable for a node that serves patients cannot end it: `launch` alone reads it."""
    hospital = Hospital()
    configuration = write_configuration(tmp_path, [hospital.identity.certificate])
    node = Node(configuration, roles="listener,dispatcher", environment={**os.environ, EXIT: "submitted:1"})
    asyncio.run(send_all(node.port, hospital, [hospital.write(number) for number in range(20)]))
    assert node.stop() == 0
    assert len(hospital.ledger.acknowledged) == 20
    modules = [path for room in ROOMS for path in (_CHECKOUT / room).rglob("*.py")]
    assert len(modules) > 100
    assert [path.name for path in modules if "CAREBELL_TEST" in path.read_text("utf-8")] == []
