"""F25: kill -9 of one worker under load, by turns, and now and then of their supervisor: the others go on, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.conftest import Tally
from tests.faults.launch import STEADY
from tests.faults.node import LAUNCH, FastTime, Node, write_configuration
from tests.faults.rows import read_rows, texts_sent
from tests.faults.senders import Hospital, send_all, send_until

_WORKERS: Final = 2
_LIFE: Final = 50
"""Kills of one database, as in F1."""
_SUPERVISOR: Final = 10
"""Each tenth kill is the supervisor's; its workers must not outlive it."""
_STARTED: Final = re.compile(r"worker started\s.*worker=(\d+) pid=(\d+)")


class SharedNode:
    """A service with workers that is started again when its supervisor was killed.

    Attributes:
        pids: worker -> its process.
    """

    def __init__(self, configuration: Path, fast: FastTime) -> None:
        self._configuration = configuration
        self._fast = fast
        self.start()

    def start(self) -> None:
        """Workers report themselves before the service listens."""
        environment = {**os.environ, STEADY: "0"}
        self.pids: dict[int, int] = {}
        self.node = Node(
            self._configuration,
            roles="listener,dispatcher",
            more=self._fast.options(),
            environment=environment,
            program=LAUNCH,
            workers=_WORKERS,
        )
        for line in (self._configuration.parent / "carebell.log").read_text("utf-8").splitlines():
            if '"event":"worker_started"' in line:
                fields = json.loads(line)
                self.pids[fields["worker"]] = fields["pid"]

    def kill_worker(self, number: int) -> None:
        """Kill it, and wait until it was started again."""
        os.kill(self.pids[number], signal.SIGKILL)
        while True:
            started = self.node.wait_for(_STARTED)
            self.pids[int(started[1])] = int(started[2])
            if int(started[1]) == number:
                return

    def kill_supervisor(self) -> None:
        """Kill it alone, and start the service anew at once: nothing that is left of it stands in the way."""
        os.kill(self.node.pid, signal.SIGKILL)
        self.node.ended()  # its output ends with its last worker
        self.start()


@pytest.mark.faults("F25")
@pytest.mark.timeout(3600)
def test_one_worker_s_end_loses_nothing(tally: Tally, tmp_path: Path) -> None:
    rng, rounds = random.Random(24), tally.rounds()
    for number in range(0, tally.fault.rounds, _LIFE):
        folder, hospital, fast = tmp_path / str(number), Hospital(), FastTime()
        shared = SharedNode(write_configuration(folder, [hospital.identity.certificate]), fast)
        asyncio.run(_load_and_kill(shared, hospital, rounds, min(_LIFE, tally.fault.rounds - number), rng))
        rows = read_rows(folder / "data")
        assert hospital.ledger.acknowledged - rows.complete == set()
        assert rows.remembered == rows.complete, "a message was stored by halves"
        _send_all_again(shared.node, folder, hospital, tally)
        shutil.rmtree(folder)
    next(rounds, None)


async def _load_and_kill(
    shared: SharedNode, hospital: Hospital, rounds: Iterator[int], kills: int, rng: random.Random
) -> None:
    over = asyncio.Event()

    async def kill() -> None:
        for _ in range(kills):
            number = next(rounds)
            await asyncio.sleep(rng.uniform(0.005, 0.5))
            answered = len(hospital.ledger.acknowledged)
            if number % _SUPERVISOR == _SUPERVISOR - 1:
                shared.kill_supervisor()  # on the main thread: a node dies with the thread that started it
            else:
                await asyncio.to_thread(shared.kill_worker, 1 + number % _WORKERS)
                assert len(hospital.ledger.acknowledged) > answered, "nobody went on while one worker was away"
        over.set()

    await asyncio.gather(kill(), send_until(lambda: shared.node.port, hospital, over))


def _send_all_again(node: Node, folder: Path, hospital: Hospital, tally: Tally) -> None:
    """The whole ledger once more, byte for byte: what is in doubt is made good, and nothing has a second effect."""
    ledger = hospital.ledger
    assert ledger.refused == {}
    asyncio.run(send_all(node.port, hospital, list(ledger.sent)))
    assert node.stop() == 0
    rows = read_rows(folder / "data")
    assert rows.complete == ledger.sent.keys()
    assert set(rows.revisions.values()) == {1}, "a message that was sent again had a second effect"
    sent = texts_sent(folder / "sent.jsonl")
    assert [own for own, times in sent.items() if times > 1] == []
    tally.seen.update({"acknowledged": len(ledger.acknowledged), "lost": 0, "texts sent": len(sent), "doubled": 0})
