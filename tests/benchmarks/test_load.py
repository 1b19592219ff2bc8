"""The load client keeps as many messages under way as it was told, and accounts for every one."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from benchmarks.load import measure
from listener.framing import frame

_ANSWER = frame(b"MSH|^~\\&|\rMSA|AA|1\r")


@dataclass
class Seen:
    """Attributes: most: messages that came together on one connection. open: connections that stand."""

    most: int = 0
    open: int = 0


class Listener(asyncio.Protocol):
    """Takes whatever has come, then answers it, or hangs up."""

    def __init__(self, seen: Seen, *, answers: bool) -> None:
        self._seen = seen
        self._answers = answers
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._seen.open += 1
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._answers:
            self._transport.abort()
            return
        *messages, self._partial = (self._partial + data).split(b"\x1c\r")
        self._seen.most = max(self._seen.most, len(messages))
        self._transport.write(_ANSWER * len(messages))

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.open -= 1


@asynccontextmanager
async def listening(seen: Seen, *, answers: bool = True) -> AsyncIterator[int]:
    """Its port; every connection is over at the end."""
    server = await asyncio.get_running_loop().create_server(lambda: Listener(seen, answers=answers), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    while seen.open:  # noqa: ASYNC110  # the kernel says when
        await asyncio.sleep(0.01)


def messages(file: Path, count: int) -> Path:
    frames = [frame(b"MSH|^~\\&|%d\r" % number) for number in range(count)]
    file.write_bytes(b"".join(struct.pack("=I", len(one)) + one for one in frames))
    return file


@pytest.mark.parametrize(("outstanding", "connections"), [(1, 1), (1, 7), (4, 3), (50, 1)])
async def test_every_message_is_answered_and_no_more_are_under_way_than_allowed(
    tmp_path: Path, outstanding: int, connections: int
) -> None:
    seen = Seen()
    async with listening(seen) as port:
        found = await measure(
            port, connections, messages(tmp_path / "messages", 50), 60.0, None, 0, outstanding, held=False
        )
    assert (found["answered"], found["accepted"], found["lost"]) == (50, 50, 0)
    assert 1 <= seen.most <= outstanding
    assert found["p50"] <= found["p99"] <= found["max"]


async def test_what_a_listener_that_hangs_up_did_not_answer_is_lost(tmp_path: Path) -> None:
    async with listening(Seen(), answers=False) as port:
        found = await measure(port, 1, messages(tmp_path / "messages", 3), 0.2, None, 0, 2, held=False)
    assert found["answered"] == 0
    assert found["lost"] == 2
