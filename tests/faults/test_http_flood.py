"""Callbacks and HL7 messages go on while hundreds of connections ask and read nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest
from ruamel.yaml import YAML

from listener.client import MllpClient
from tests.faults.node import PATIENCE, Node, write_configuration
from tests.faults.senders import Hospital, send_one

CROWD: Final = 210
METRICS: Final = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH: Final = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
LAST: Final = HEALTH.replace(b"Host: x", b"Host: x\r\nConnection: close")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("asks", [METRICS, HEALTH], ids=["metrics", "health"])
def test_unread_answers_hold_nobody_up(tmp_path: Path, asks: bytes) -> None:
    hospital = Hospital()
    path = write_configuration(tmp_path, [hospital.identity.certificate])
    yaml = YAML(typ="safe")
    content = yaml.load(path)
    content["http"] = {"host": "127.0.0.1", "port": 0}
    yaml.dump(content, path)
    node = Node(path, roles="listener,portal")
    http = int(node.wait_for(r"http://127\.0\.0\.1:(\d+)/health")[1])

    async def run() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def flood() -> None:
            """Peers that come back whenever they are thrown out, for as long as the test goes on."""
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", http, limit=16)
                writers.append(writer)
                writer.write(asks * 1000)
                while not writer.transport.is_closing():  # noqa: ASYNC110  # the transport rings no event
                    await asyncio.sleep(0.05)

        crowd = [asyncio.create_task(flood()) for _ in range(CROWD)]
        client = await MllpClient.connect("127.0.0.1", node.port)
        async with asyncio.timeout(PATIENCE):
            for _ in range(20):
                await send_one(client, hospital.ledger, hospital.write(len(hospital.ledger.sent)))
                reader, writer = await asyncio.open_connection("127.0.0.1", http)
                writer.write(LAST)
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
                writer.close()
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await client.close()

    asyncio.run(run())
    assert len(hospital.ledger.acknowledged) == 20
    assert node.stop() == 0
