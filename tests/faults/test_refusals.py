"""Strangers at the port: each refusal is counted, a few are lines, the rest is summed up within half a minute."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from listener.client import MllpClient, SendError
from listener.framing import frame
from listener.tls import client_context
from tests.faults.node import PATIENCE, Node, write_configuration
from tests.faults.senders import Hospital, send_one
from tests.listener.certificates import Pair, make

BLOCKS: Final = 20_000
CONNECTIONS: Final = 50


def started(folder: Path, certificate: bytes, **environment: Any) -> tuple[Node, int]:
    """A node with a listener and an HTTP port, and the number of the latter."""
    path = write_configuration(folder, [certificate])
    yaml = YAML(typ="safe")
    content = yaml.load(path)
    content["http"] = {"host": "127.0.0.1", "port": 0}
    production = content["environments"]["production"]
    production["listener"] |= environment.pop("listener", {})
    switched_off = environment.pop("switched_off", None)
    production |= environment
    if switched_off is not None:
        (folder / "switched-off.cer").write_bytes(switched_off)
        content["environments"]["closed"] = production | {"enabled": False, "certificates": ["switched-off.cer"]}
    yaml.dump(content, path)
    node = Node(path, roles="listener,portal")
    return node, int(node.wait_for(r"http://127\.0\.0\.1:(\d+)/health")[1])


async def metrics(port: int, name: str) -> dict[str, float]:
    """Labels -> value of one metric."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        text = (await reader.read()).decode()
    writer.close()
    values = {}
    for line in text.splitlines():
        if line.startswith(name + "{"):
            labels, _, value = line.removeprefix(name).rpartition(" ")
            values[labels] = float(value)
    return values


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "carebell.log").read_text("utf-8").splitlines()]


@pytest.mark.timeout(300)
def test_a_flood_of_empty_blocks_and_junk_fills_no_log_and_hides_no_other_sender(tmp_path: Path) -> None:
    hospital, stranger = Hospital(), Hospital()
    node, http = started(tmp_path, hospital.identity.certificate)

    async def run() -> dict[str, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
        writer.write(frame(b"") * BLOCKS)
        async with asyncio.timeout(PATIENCE):
            for _ in range(BLOCKS):
                await reader.readuntil(b"\x1c\r")
        writer.close()
        for _ in range(CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
            writer.write(b"JUNK")
            async with asyncio.timeout(PATIENCE):
                await reader.read()
            writer.close()
        client = await MllpClient.connect("127.0.0.1", node.port)
        for _ in range(6):
            await send_one(client, stranger.ledger, stranger.write(len(stranger.ledger.sent)))
        await client.close()
        refused = await metrics(http, "carebell_messages_total")
        return refused | await metrics(http, "carebell_connections_refused_total")

    counted = asyncio.run(run())
    assert node.stop() == 0
    lines = log(tmp_path)
    assert len(lines) < 60
    assert counted['{answer="AR",code="NOHL7",environment="production"}'] == BLOCKS
    assert counted['{answer="AR",code="SIG05",environment="production"}'] == 6
    assert [value for labels, value in counted.items() if 'reason="junk"' in labels] == [CONNECTIONS]
    for event, word, total in (
        ("message_refused", "NOHL7", BLOCKS),
        ("message_refused", "SIG05", 6),
        ("framing_error", "junk", CONNECTIONS),
    ):
        written = [line for line in lines if line["event"] == event and word in (line.get("code"), line.get("reason"))]
        summed = [line for line in lines if line["event"] == "refusals_repeated" and line["reason"] == word]
        assert written
        assert len(written) + sum(line["repeats"] for line in summed) == total
        assert {line["environment"] for line in (*written, *summed)} == {"production"}
        assert {line["of"] for line in summed} <= {event}


@pytest.mark.timeout(300)
def test_refusals_of_mutual_tls_are_told_and_counted_with_their_certificate(tmp_path: Path) -> None:
    server, known = make(tmp_path, "server.example"), make(tmp_path, "known.example")
    stranger = make(tmp_path, "stranger.example")
    server.key_file.chmod(0o400)
    tls = {"certificate": str(server.certificate_file), "key": str(server.key_file)}
    node, http = started(tmp_path / "node", known.pem, authentication="mutual-tls", listener={"tls": tls})

    async def knock(shown: Pair | None) -> None:
        context = client_context(
            anchors=[server.pem],
            certificate=shown.certificate_file if shown else None,
            key=shown.key_file if shown else None,
        )
        with pytest.raises(SendError):
            await say(context)

    async def say(context: ssl.SSLContext) -> None:
        client = await MllpClient.connect("127.0.0.1", node.port, tls=context)
        try:
            await client.send(b"MSH|")
        finally:
            await client.close()

    async def run() -> dict[str, float]:
        for shown in (stranger, stranger, stranger, None):
            await knock(shown)
        return await metrics(http, "carebell_connections_refused_total")

    counted = asyncio.run(run())
    assert node.stop() == 0
    lines = log(tmp_path / "node")
    refused = [line for line in lines if line["event"] == "connection_refused"]
    assert [(line["reason"], line.get("thumbprint"), line["environment"], line["peer"]) for line in refused] == [
        ("client_certificate_refused", stranger.thumbprint[:8], "production", "127.0.0.1"),
        ("no_client_certificate", None, "production", "127.0.0.1"),
    ]
    [summed] = [line for line in lines if line["event"] == "refusals_repeated"]
    assert (summed["reason"], summed["thumbprint"], summed["repeats"]) == (
        "client_certificate_refused",
        stranger.thumbprint[:8],
        2,
    )
    assert sorted(counted.values()) == [1.0, 3.0]


@pytest.mark.timeout(300)
def test_a_switched_off_sender_with_mutual_tls_hears_that_it_is_switched_off(tmp_path: Path) -> None:
    server, known, closed = (make(tmp_path, f"{name}.example") for name in ("server", "known", "closed"))
    server.key_file.chmod(0o400)
    tls = {"certificate": str(server.certificate_file), "key": str(server.key_file)}
    node, _ = started(
        tmp_path / "node", known.pem, authentication="mutual-tls", listener={"tls": tls}, switched_off=closed.pem
    )

    async def ask() -> bytes:
        context = client_context(anchors=[server.pem], certificate=closed.certificate_file, key=closed.key_file)
        client = await MllpClient.connect("127.0.0.1", node.port, tls=context)
        try:
            return (
                await client.send(b"MSH|^~\\&|EHR|LAMNA|APPTSMS|LAMNA|20260302||SIU^S12|1|P|2.5.1\rSCH|1\r")
            ).content
        finally:
            await client.close()

    answer = asyncio.run(ask())
    assert b"|DISABLED environment closed is switched off (enabled: false)" in answer
    assert node.stop() == 0
    [refused] = [line for line in log(tmp_path / "node") if line["event"] == "message_refused"]
    assert (refused["code"], refused["environment"], refused["thumbprint"]) == (
        "DISABLED",
        "closed",
        closed.thumbprint[:8],
    )
