"""A listener on a free loopback port, with its incidents written down, stopped after the test."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from listener.framing import frame
from listener.incidents import Incident, Kind, Peer
from listener.limits import Limits
from listener.reply import Reply
from listener.server import MllpServer

SHORT = timedelta(milliseconds=50)  # only where the peer is silent anyway
SOON = 30  # s; for what must happen at once on any machine


def echo(content: bytes, peer: Peer) -> bytes:
    """The handler that answers at once."""
    return b"ACK " + content


@dataclass
class Later:
    """The handler that answers when the test says so."""

    calls: list[tuple[bytes, asyncio.Future[Reply]]] = field(default_factory=list)

    def __call__(self, content: bytes, peer: Peer) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.calls.append((content, future))
        return future

    def answer(self, index: int) -> None:
        content, future = self.calls[index]
        future.set_result(b"ACK " + content)

    async def until(self, count: int) -> None:
        await eventually(lambda: len(self.calls) >= count)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it is so; the test's own time-out decides that it never will be."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - counters of the server have no event to wait for
            await asyncio.sleep(0.002)


@dataclass
class Listening:
    """A running server and what it reported."""

    server: MllpServer
    port: int
    incidents: list[Incident]
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self.writers.append(writer)
        return reader, writer

    def kinds(self) -> list[Kind]:
        return [incident.kind for incident in self.incidents]

    async def closed(self, kind: Kind) -> None:
        """Wait until a connection has ended for that reason."""
        await eventually(lambda: self.server.statistics().closes.get(kind.code, 0) > 0)


Listen = Callable[..., Awaitable[Listening]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    started: list[Listening] = []

    async def start(
        handler: Any = echo,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        allow_from: Iterable[str] = (),
        host: str = "127.0.0.1",
        **options: Any,
    ) -> Listening:
        incidents: list[Incident] = []
        server = MllpServer(handler, report=incidents.append, limits=limits, tls=tls, allow_from=allow_from, **options)
        listening = Listening(server, await server.start(host, 0), incidents)
        started.append(listening)
        return listening

    yield start
    for listening in started:
        for writer in listening.writers:
            writer.close()
        for writer in listening.writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        listening.server.reconfigure(limits=Limits(drain=SHORT))  # what a test left hanging need not be waited for
        await listening.server.stop()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> bytes:
    """Send a block and read one answer block whole."""
    writer.write(frame(content))
    return await read_block(reader)


async def read_block(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(SOON):
        return await reader.readuntil(b"\x1c\r")


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(SOON):
        return await reader.read()
