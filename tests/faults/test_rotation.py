"""F19: the sender's certificate is replaced, and the configuration read anew, under load: no good message is refused."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from listener.client import MllpClient
from simulator.ehr import make_identity
from tests.faults.conftest import Tally
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, Signer, send_one

_CONNECTIONS = 4


@pytest.mark.faults("F19")
@pytest.mark.timeout(3600)
def test_no_good_message_is_refused_while_certificates_change(tally: Tally, tmp_path: Path, workers: int) -> None:
    hospital = Hospital()
    node = Node(write_configuration(tmp_path, [hospital.identity.certificate]), workers=workers)
    asyncio.run(_load_and_rotate(node, hospital, tmp_path, tally, workers))
    assert node.stop() == 0
    ledger = hospital.ledger
    tally.seen.update({"acknowledged": len(ledger.acknowledged), "refused": len(ledger.refused)})
    assert ledger.refused == {}
    assert ledger.acknowledged == ledger.sent.keys() == read_rows(tmp_path / "data").complete


async def _load_and_rotate(node: Node, hospital: Hospital, folder: Path, tally: Tally, workers: int) -> None:
    over = asyncio.Event()

    async def sender() -> None:
        client = await MllpClient.connect("127.0.0.1", node.port)
        while not over.is_set():
            await send_one(client, hospital.ledger, hospital.write(len(hospital.ledger.sent)))
        await client.close()

    async def reload(*certificates: bytes, by_signal: bool = False) -> None:
        write_configuration(folder, certificates)
        if by_signal:
            node.signal(signal.SIGHUP)
        await asyncio.to_thread(node.wait_for, "configuration changed")

    async def everything_signed_before_now_is_answered() -> None:
        """Each connection waits for its answers: when it has sent two more, all that came before are answered."""
        seen = len(hospital.ledger.answers)
        while len(hospital.ledger.answers) < seen + 2 * _CONNECTIONS:  # noqa: ASYNC110 (a ledger has no event)
            await asyncio.sleep(0.01)

    async def rotate() -> None:
        for number in tally.rounds_with(workers):
            old, new = hospital.identity, make_identity(f"Key {number}", now=datetime.now(UTC), bits=2048)
            await reload(old.certificate, new.certificate, by_signal=number % 2 == 0)
            hospital.identity, hospital.signer = new, Signer(new)
            await everything_signed_before_now_is_answered()
            await reload(new.certificate)
        over.set()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_CONNECTIONS):
            tasks.create_task(sender())
        tasks.create_task(rotate())
