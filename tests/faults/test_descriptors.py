"""One peer that opens every connection it can: others get in, `/health` answers, texts leave, and the end is in time."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from listener.framing import frame
from tests.faults.node import PATIENCE, FastTime, Node, write_configuration
from tests.faults.senders import Hospital
from tests.faults.test_bad_peers import FLOOD

FILES: Final = 256
CROWD: Final = 270
"""Connections, more than the process may open files."""
_LIMITED: Final = ("sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh")


def started(folder: Path, hospital: Hospital) -> tuple[Node, int]:
    """A node with all roles that may open few files, and its HTTP port."""
    path = write_configuration(folder, [hospital.identity.certificate])
    yaml = YAML(typ="safe")
    content = yaml.load(path)
    content["http"] = {"host": "127.0.0.1", "port": 0}
    yaml.dump(content, path)
    roles = "listener,dispatcher,portal,housekeeping"
    node = Node(path, roles=roles, more=FastTime().options(), before=_LIMITED)
    return node, int(node.wait_for(r"http://127\.0\.0\.1:(\d+)/health")[1])


@asynccontextmanager
async def crowd(port: int, said: bytes = b"", addresses: int = 1, count: int = CROWD) -> AsyncIterator[None]:
    """Connections from so many addresses, 127.0.0.10 and up, that say this and then nothing."""
    writers = []
    for number in range(count):
        local = (f"127.0.0.{10 + number % addresses}", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
        writer.write(said)
        writers.append(writer)
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


async def booked(port: int, hospital: Hospital) -> bytes:
    """The answer to a booking from 127.0.0.2."""
    content = hospital.ledger.sent[hospital.write(len(hospital.ledger.sent))]
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        writer.write(frame(content))
        answer = await reader.readuntil(b"\x1c\r")
        writer.close()
    return answer


async def health(port: int) -> bytes:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    return answer


async def texts(folder: Path, count: int) -> None:
    """Until so many have left."""
    async with asyncio.timeout(PATIENCE):
        sent = folder / "sent.jsonl"
        while not sent.exists() or len(sent.read_text("utf-8").splitlines()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "carebell.log").read_text("utf-8").splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("said", "addresses"),
    [(b"", 1), (b"\x0bMSH|^~\\&|never done", 1), (b"", 5)],
    ids=["idle", "half a message", "idle, from five addresses"],
)
def test_a_crowd_keeps_nobody_out(tmp_path: Path, said: bytes, addresses: int) -> None:
    hospital = Hospital()
    node, http = started(tmp_path, hospital)

    async def run() -> None:
        half = said and b"GET / HTTP/1.1\r\n"
        async with crowd(node.port, said, addresses), crowd(http, half, addresses):
            for number in range(3):
                assert b"MSA|AA|" in await booked(node.port, hospital)
                assert (await health(http)).startswith(b"HTTP/1.1 200")
                await texts(tmp_path, number + 1)
        for number in range(3, 6):
            assert b"MSA|AA|" in await booked(node.port, hospital)
            await texts(tmp_path, number + 1)

    asyncio.run(run())
    assert node.stop() == 0
    lines = log(tmp_path)
    [shared] = [line for line in lines if line["event"] == "descriptors_shared"]
    assert shared["limit"] == FILES
    assert shared["kept"] + shared["connections"] == FILES
    reasons = {line["reason"] for line in lines if line["event"] in ("connection_refused", "connection_lost")}
    assert ("too_many_from_peer" if addresses == 1 else "crowded_out") in reasons
    warned = [line["problem"] for line in lines if line["event"] == "configuration_warning"]
    assert [f"this process may open, {shared['kept']} are kept" in problem for problem in warned] == [True, True]
    assert {line["event"] for line in lines} & {
        "internal_error",
        "purge_failed",
        "database_unavailable",
        "library",
        "log_resumed",
    } == set()


@pytest.mark.timeout(300)
def test_the_end_is_in_time_whatever_peers_do(tmp_path: Path) -> None:
    """Idle, half-spoken and deaf peers at both ports when the signal comes."""
    hospital = Hospital()
    node, http = started(tmp_path, hospital)
    asks = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500

    async def run() -> int:
        deaf, half = crowd(node.port, FLOOD, count=10), crowd(node.port, b"\x0bMSH|" + b"x" * 1000)
        async with deaf, half, crowd(http, asks, count=100), crowd(http, b"POST /", count=100):
            return await asyncio.to_thread(node.stop)

    assert asyncio.run(run()) == 0
    assert [line["reason"] for line in log(tmp_path) if line["event"] == "service_stopped"] == ["asked"]


@pytest.mark.timeout(300)
def test_when_descriptors_did_run_out_everything_goes_on_once_there_are_some(tmp_path: Path) -> None:
    """The limit is lowered under the running process to what it has open: nothing can be accepted, opened or sent."""
    hospital = Hospital()
    node, http = started(tmp_path, hospital)
    _, hard = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)

    async def run() -> None:
        assert b"MSA|AA|" in await booked(node.port, hospital)
        await texts(tmp_path, 1)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (1, hard))
        waiting = [await asyncio.open_connection("127.0.0.1", port) for port in (node.port, http) for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            while {line.get("reason") for line in log(tmp_path)} & {"too_many"} == set():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (hard, hard))
        for _, writer in waiting:
            writer.close()
        assert b"MSA|AA|" in await booked(node.port, hospital)
        assert (await health(http)).startswith(b"HTTP/1.1 200")
        await texts(tmp_path, 2)

    asyncio.run(run())
    assert node.stop() == 0
    refused = {(line["event"], line.get("text", "")) for line in log(tmp_path) if line.get("reason") == "too_many"}
    assert refused <= {("connection_refused", "cannot accept: Too many open files"), ("http_closed", "")}


def test_too_few_files_to_work_with_is_one_sentence(tmp_path: Path) -> None:
    path = write_configuration(tmp_path, [Hospital().identity.certificate])
    few = ("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh")
    with pytest.raises(AssertionError, match=r"may open 64 files, which leaves no room"):
        Node(path, before=few)
