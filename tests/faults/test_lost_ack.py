"""F12: the sender's connection dies before it reads the answer, and the message comes again: one effect, the answer again."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from pathlib import Path

import pytest

from listener.framing import frame
from tests.faults.conftest import Tally
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, send_all

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a reset, and what is unread is thrown away


@pytest.mark.faults("F12")
@pytest.mark.timeout(3600)
def test_a_message_sent_again_has_one_effect(tally: Tally, tmp_path: Path, workers: int) -> None:
    hospital, rng = Hospital(), random.Random(12)
    ledger = hospital.ledger
    configuration = write_configuration(tmp_path, [hospital.identity.certificate])
    node = Node(configuration, workers=workers)
    once = hospital.write(0)
    asyncio.run(send_all(node.port, hospital, [once]))

    async def lose(seconds: float, control_id: str) -> None:
        """Send it, hang up without reading, send it again."""
        with socket.create_connection(("127.0.0.1", node.port)) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            peer.sendall(frame(ledger.sent[control_id]))
            await asyncio.sleep(seconds)
        await send_all(node.port, hospital, [control_id], connections=1)

    async def several(control_ids: list[str]) -> None:
        await asyncio.gather(*(lose(rng.uniform(0, 0.02), control_id) for control_id in control_ids))

    batch: list[str] = []
    for _ in tally.rounds_with(workers):
        batch.append(hospital.write(len(ledger.sent)))
        if len(batch) == 20:
            asyncio.run(several(batch))
            batch = []
    asyncio.run(several(batch))
    assert node.stop() == 0
    rows = read_rows(tmp_path / "data")
    assert rows.complete == ledger.sent.keys() == ledger.acknowledged
    assert ledger.refused == {}
    assert set(rows.revisions.values()) == {1}
    assert set(rows.texts.values()) == {rows.texts[0]}, (
        "a message that came twice planned other texts than one that came once"
    )
    log = (tmp_path / "carebell.log").read_text("utf-8")
    tally.seen.update({"answered again": log.count('"message_repeated"'), "second effects": 0})
    assert tally.seen["answered again"] > 0, "no answer was lost"
