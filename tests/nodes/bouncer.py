"""A connection pooler of a hundred lines that pools by transaction, as PgBouncer does, and is less kind than it.

Each transaction of a client goes to another server connection than its last one, and everything a session may hold - settings,
prepared statements, advisory locks, LISTEN, temporary tables - is discarded between two transactions. What leans on any of it
fails. Protocol: PostgreSQL's documentation, chapter "Frontend/Backend Protocol": typed messages `type, Int32 length, body`;
ReadyForQuery carries `I` when no transaction is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LENGTH: Final = struct.Struct("!I")
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_CONNECTIONS: Final = 6
_DISCARD: Final = b"Q" + _LENGTH.pack(16) + b"DISCARD ALL\0"


@dataclass(slots=True)
class _Backend:
    """A server connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes

    async def discard(self) -> None:
        self.writer.write(_DISCARD)
        while (await _message(self.reader))[0:1] != b"Z":
            pass


class Bouncer:
    """Attributes:
    port: on 127.0.0.1. transactions: how many were handed on. moved: those that went to another connection than the last one.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket / ".s.PGSQL.5432"
        self._idle: deque[_Backend] = deque()
        self._opened: list[_Backend] = []
        self._freed = asyncio.Condition()
        self.port = 0
        self.transactions = 0
        self.moved = 0

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Until `stop`; `ready` is set when it listens."""
        conversations: set[asyncio.Task[None]] = set()

        def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._client(reader, writer))
            conversations.add(task)
            task.add_done_callback(conversations.discard)

        server = await asyncio.start_server(welcome, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        for backend in self._opened:
            backend.writer.close()
            await backend.writer.wait_closed()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            startup = await _startup(reader, writer)
            first = await self._take(startup, None)
            writer.write(first.greeting)
            await self._give_back(first)
            last: _Backend | None = None
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while (begun := await _message(reader))[0:1] != b"X":
                    backend = await self._take(startup, last)
                    self.transactions += 1
                    self.moved += last is not None and backend is not last
                    last = backend
                    await _transaction(begun, backend, reader, writer)
                    await self._give_back(backend)

    async def _take(self, startup: bytes, last: _Backend | None) -> _Backend:
        """The connection that has rested longest, but not the last one while there can be another."""
        async with self._freed:
            while not any(backend is not last for backend in self._idle):
                if len(self._opened) < _CONNECTIONS:
                    self._opened.append(backend := await self._open(startup))
                    return backend
                await self._freed.wait()
            if self._idle[0] is last:
                self._idle.rotate(-1)
            return self._idle.popleft()

    async def _give_back(self, backend: _Backend) -> None:
        await backend.discard()
        async with self._freed:
            self._idle.append(backend)
            self._freed.notify_all()

    async def _open(self, startup: bytes) -> _Backend:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        writer.write(startup)
        greeting = message = await _message(reader)
        while message[0:1] != b"Z":
            greeting += (message := await _message(reader))
        return _Backend(reader=reader, writer=writer, greeting=greeting)


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The client's first real message; encryption is declined."""
    while True:
        (length,) = _LENGTH.unpack(head := await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        if _LENGTH.unpack(body[:4])[0] not in (_SSL_REQUEST, _GSS_REQUEST):
            return head + body
        writer.write(b"N")


async def _transaction(
    begun: bytes, backend: _Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Hand messages on, both ways, until the server is idle outside a transaction."""
    backend.writer.write(begun)

    async def upwards() -> None:
        while (message := await _message(reader))[0:1] != b"X":
            backend.writer.write(message)

    onwards = asyncio.create_task(upwards())
    try:
        while True:
            message = await _message(backend.reader)
            writer.write(message)
            if message[0:1] == b"Z" and message[5:6] == b"I":
                break
    finally:
        onwards.cancel()
        await asyncio.gather(onwards, return_exceptions=True)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(_LENGTH.unpack(head[1:])[0] - 4)


@contextlib.contextmanager
def pooled(socket: Path) -> Iterator[Bouncer]:
    """A running pooler in front of the server with this socket folder, on a thread of its own."""
    ready, running = threading.Event(), []

    async def main() -> None:
        bouncer, stop = Bouncer(socket), asyncio.Event()
        running.append((bouncer, asyncio.get_running_loop(), stop))
        await bouncer.serve(ready, stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(60)
    bouncer, loop, stop = running[0]
    try:
        yield bouncer
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
