"""F22: two nodes on one PostgreSQL, one is killed under load: the other goes on, takes over what waits, and doubles nothing."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from listener.client import MllpClient, SendError
from tests.faults.conftest import Tally
from tests.faults.launch import LEASE
from tests.faults.node import LAUNCH, PATIENCE, Node, write_configuration
from tests.faults.rows import Rows, read_server_rows, texts_sent
from tests.faults.senders import Hospital, send_one
from tests.store.postgresql import NoServer, Server

_UNDER_WAY = ("due", "sending")


@pytest.mark.faults("F22")
@pytest.mark.timeout(3600)
def test_one_of_two_nodes_dies(tally: Tally, tmp_path: Path) -> None:
    try:
        server = Server()
    except (NoServer, OSError) as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    try:
        _kill_by_turns(server, tally, tmp_path)
    finally:
        server.stop()


def _kill_by_turns(server: Server, tally: Tally, folder: Path) -> None:
    hospital, rng = Hospital(), random.Random(22)
    url = server.url("postgres")
    configuration = write_configuration(folder, [hospital.identity.certificate], url=url)

    def start() -> Node:
        environment = {**os.environ, LEASE: "2"}
        return Node(configuration, roles="listener,dispatcher", environment=environment, program=LAUNCH)

    nodes = [start(), start()]
    for number in tally.rounds():
        asyncio.run(_send_and_kill(nodes, number % 2, hospital, rng.uniform(0.05, 0.5)))
        assert hospital.ledger.refused == {}
        assert hospital.ledger.acknowledged - _rows(url).complete == set()
        nodes[number % 2] = start()
    rows = _settled(url)
    assert [node.stop() for node in nodes] == [0, 0]
    ledger, sent = hospital.ledger, texts_sent(folder / "sent.jsonl")
    assert rows.complete == ledger.sent.keys() == ledger.acknowledged
    assert set(rows.revisions.values()) == {1}
    assert [own for own, times in sent.items() if times > 1] == []
    # The gateway's own ledger: what is said to have left did, and what is not in it has no better word than unknown.
    assert len(sent) >= rows.confirmations["delivered"]
    assert rows.confirmations.keys() <= {"delivered", "unknown"}
    tally.seen.update({
        "acknowledged": len(ledger.acknowledged), "lost": 0, "texts sent": len(sent), "doubled": 0,
        "of unknown fate": rows.confirmations["unknown"],
    })  # fmt: skip


def _rows(url: str) -> Rows:
    return read_server_rows(url.replace("postgresql+psycopg://", "postgresql://"))


def _settled(url: str) -> Rows:
    """When no text waits or is under way any more; those of unknown fate stay so, and are counted."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        rows = _rows(url)
        if not any(rows.confirmations[state] for state in _UNDER_WAY):
            return rows
        time.sleep(0.2)
    raise AssertionError("texts still wait although a node lives")


async def _send_and_kill(nodes: list[Node], victim: int, hospital: Hospital, after: float) -> None:
    """Four senders, two to each node; who loses its node goes to the other one, as behind a load balancer."""
    ledger, over = hospital.ledger, asyncio.Event()

    async def sender(number: int) -> None:
        client: MllpClient | None = None
        while not over.is_set():
            control_id = hospital.write(len(ledger.sent))
            while control_id not in ledger.answers:
                try:
                    client = client or await MllpClient.connect("127.0.0.1", nodes[number % 2].port)
                    await send_one(client, ledger, control_id)
                except SendError:
                    if client is not None:
                        client.abort()
                    client, number = None, number + 1
        if client is not None:
            await client.close()

    async def kill() -> None:
        await asyncio.sleep(after)
        nodes[victim].kill()
        survived = len(ledger.answers)
        while len(ledger.answers) < survived + 20:  # noqa: ASYNC110 (the other node goes on; a ledger has no event)
            await asyncio.sleep(0.01)
        over.set()

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(sender(number))
        tasks.create_task(kill())
