"""A network and engines that misbehave: a proxy in front of the listener that treats each connection in its manner.

    async with proxies(port) as doors:
        client = await MllpClient.connect("127.0.0.1", doors.ports[Manner.SLOW])
        await doors.reached.get()             # a connection of the proxy's to the service stands

What the proxy holds open stays open until the block ends: whatever the service lets go of before, it let go of by itself.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final


class Manner(Enum):
    """How a connection behaves."""

    SLOW = "in small pieces, with pauses"
    HALF_CLOSED = "says that it has ended, and waits for its answer"
    GONE = "half-open: gone after its message, and nobody told the service"
    UNFINISHED = "half-open: gone in the middle of its message"
    TRICKLING = "byte by byte, and never done"
    STUCK = "sends on and on, and reads no answer"
    CUT = "reset in the middle of its message"


OWED: Final = frozenset({Manner.SLOW, Manner.HALF_CLOSED})
"""These get their answer."""
NEVER_WHOLE: Final = frozenset({Manner.UNFINISHED, Manner.TRICKLING, Manner.CUT})
"""Of these no message ever arrives whole."""

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER 0: close sends a reset
_PIECE: Final = 64
_PAUSE: Final = 0.02
_SMALL: Final = 4096  # bytes of answers that a stuck peer's kernel takes, and twice that many this proxy
_MESSAGE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Doors:
    """Attributes: ports: where to send in each manner. reached: one item for each connection that reached the service."""

    ports: Mapping[Manner, int]
    reached: asyncio.Queue[Manner]


@asynccontextmanager
async def proxies(service: int) -> AsyncIterator[Doors]:
    """A proxy for each manner; at the end every connection is closed."""
    reached: asyncio.Queue[Manner] = asyncio.Queue()
    conversations: set[asyncio.Task[None]] = set()

    async def welcome(manner: Manner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await _converse(manner, service, reader, writer, reached)
        writer.transport.abort()
        conversations.discard(task)

    async with AsyncExitStack() as stack:
        ports = {}
        for manner in Manner:
            server = await asyncio.start_server(partial(welcome, manner), "127.0.0.1", 0)
            stack.callback(server.close)
            ports[manner] = server.sockets[0].getsockname()[1]
        yield Doors(ports, reached)
        for task in tuple(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


async def _converse(
    manner: Manner,
    service: int,
    peer_in: asyncio.StreamReader,
    peer_out: asyncio.StreamWriter,
    reached: asyncio.Queue[Manner],
) -> None:
    """Between one peer and the service."""
    sock = socket.socket()
    if manner is Manner.STUCK:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        # Loopback's segments of 64 KB would make the service's kernel take 2.6 MB; over a network it takes far less.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", service))
    answers, onward = await asyncio.open_connection(sock=sock, limit=_SMALL)
    reached.put_nowait(manner)
    try:
        match manner:
            case Manner.SLOW:
                await asyncio.gather(_forward(peer_in, onward, piece=_PIECE), _forward(answers, peer_out, piece=_PIECE))
            case Manner.HALF_CLOSED:
                onward.write(await peer_in.readuntil(b"\x1c\r"))
                onward.write_eof()
                await _forward(answers, peer_out, piece=_MESSAGE)
            case Manner.STUCK:
                await _forward(peer_in, onward, piece=_MESSAGE)
                await _for_ever()
            case Manner.GONE:
                onward.write(await peer_in.readuntil(b"\x1c\r"))
                await _for_ever()
            case Manner.UNFINISHED:
                onward.write(_half(await peer_in.readuntil(b"\x1c\r")))
                await _for_ever()
            case Manner.TRICKLING:
                for byte in _half(await peer_in.readuntil(b"\x1c\r")):
                    onward.write(bytes([byte]))
                    await onward.drain()
                    await asyncio.sleep(_PAUSE)
                await _for_ever()
            case Manner.CUT:
                onward.write(_half(await peer_in.readuntil(b"\x1c\r")))
                await onward.drain()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    finally:
        onward.transport.abort()


def _half(block: bytes) -> bytes:
    return block[: len(block) // 2]


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def _forward(source: asyncio.StreamReader, to: asyncio.StreamWriter, *, piece: int) -> None:
    while data := await source.read(piece):
        to.write(data)
        await to.drain()
        if piece < _MESSAGE:
            await asyncio.sleep(_PAUSE)
