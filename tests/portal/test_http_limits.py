"""Half requests, crowds and strangers at the HTTP port, on real sockets; who speaks in whole requests notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from portal.http_limits import Closed, HttpLimits
from portal.server import serve

PATIENCE = 30
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HALF_HEAD = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-"
HALF_BODY = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
SOON = HttpLimits(whole_request=0.1)
NEVER = HttpLimits(whole_request=3600, connections=5)


@dataclass
class Behind:
    """The application, and who came to its door."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    closed: list[Closed] = field(default_factory=list)
    peers: list[asyncio.StreamWriter] = field(default_factory=list)
    address: tuple[str, int] = ("", 0)

    async def hello(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def slow(self, request: Request) -> PlainTextResponse:
        self.started.set()
        self.busy += 1
        await self.release.wait()
        return PlainTextResponse("late")

    async def take(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    async def say(self, *parts: bytes) -> asyncio.StreamReader:
        """Open a connection and say this; it stays open."""
        reader, writer = await asyncio.open_connection(*self.address)
        self.peers.append(writer)
        for part in parts:
            writer.write(part)
            await writer.drain()
        return reader

    def reasons(self) -> list[str]:
        return [one.reason for one in self.closed]


@pytest.fixture
def behind() -> Behind:
    return Behind()


@asynccontextmanager
async def opened(behind: Behind, limits: HttpLimits) -> AsyncIterator[None]:
    app = Starlette(
        routes=[
            Route("/", behind.hello),
            Route("/slow", behind.slow),
            Route("/in", behind.take, methods=["POST"]),
        ]
    )
    async with serve(app, "127.0.0.1", 0, behind.closed.append, limits) as behind.address:
        try:
            yield
        finally:
            behind.release.set()
            for writer in behind.peers:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes."""
    got = bytearray()
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(65536):
                got += part
    return bytes(got)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer of a connection that is kept."""
    async with asyncio.timeout(PATIENCE):
        return await reader.readuntil(b"hello")


@pytest.mark.parametrize(
    ("said", "reasons"),
    [(b"", []), (b"P", ["too_slow"]), (HALF_HEAD, ["too_slow"]), (HALF_BODY, ["too_slow"])],
    ids=["nothing", "a byte", "half a head", "half a body"],
)
async def test_a_request_that_does_not_end_is_closed(behind: Behind, said: bytes, reasons: list[str]) -> None:
    async with opened(behind, SOON):
        assert await rest(await behind.say(said)) == b""
        assert behind.reasons() == reasons


async def test_dripping_bytes_buys_no_time(behind: Behind) -> None:
    async with opened(behind, SOON):
        reader = await behind.say(b"GET / HTTP/1.1\r\n")
        ended = asyncio.create_task(rest(reader))
        while not ended.done():
            with contextlib.suppress(ConnectionError):
                behind.peers[0].write(b"A: b\r\n")
            await asyncio.sleep(0.01)
        assert await ended == b""


async def test_half_a_request_after_a_whole_one_is_closed_too(behind: Behind) -> None:
    async with opened(behind, SOON):
        reader = await behind.say(WHOLE)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")
        behind.peers[0].write(HALF_HEAD)
        assert await rest(reader) == b""
        assert behind.reasons() == ["too_slow"]


async def test_an_answer_may_take_longer_than_its_request(behind: Behind) -> None:
    async with opened(behind, SOON):
        reader = await behind.say(LAST.replace(b"/ ", b"/slow ", 1))
        await behind.started.wait()
        await asyncio.sleep(3 * SOON.whole_request)
        behind.release.set()
        assert (await rest(reader)).endswith(b"late")
        assert behind.closed == []


async def test_two_hundred_half_requests_keep_nobody_out(behind: Behind) -> None:
    async with opened(behind, HttpLimits(whole_request=3600)):
        for number in range(210):
            await behind.say((b"", HALF_HEAD, HALF_BODY)[number % 3])
        for _ in range(3):
            assert (await rest(await behind.say(LAST))).endswith(b"hello")
        assert (await rest(await behind.say(HALF_BODY.replace(b"Host: x", b"Connection: close\r\nHost: x"), b" done")))[
            -1:
        ] == b"9"
        assert set(behind.reasons()) == {"crowded_out"}


async def test_a_kept_connection_makes_room_as_well(behind: Behind) -> None:
    async with opened(behind, NEVER):
        kept = [await behind.say(WHOLE) for _ in range(NEVER.connections)]
        for reader in kept:
            await answer(reader)
        assert (await rest(await behind.say(LAST))).endswith(b"hello")
        assert await rest(kept[0]) == b""


async def test_a_connection_whose_answer_is_on_its_way_makes_no_room(behind: Behind) -> None:
    async with opened(behind, NEVER):
        slow = [await behind.say(LAST.replace(b"/ ", b"/slow ", 1)) for _ in range(NEVER.connections)]
        async with asyncio.timeout(PATIENCE):
            while behind.busy < NEVER.connections:  # noqa: ASYNC110  # the application rings no event for the last one
                await asyncio.sleep(0.005)
        assert (await rest(await behind.say(LAST))).startswith(b"HTTP/1.1 503")
        assert behind.reasons() == ["too_many"]
        behind.release.set()
        assert [(await rest(reader))[-4:] for reader in slow] == [b"late"] * NEVER.connections


async def test_tls_on_the_plain_port_is_one_event_and_no_warning(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(behind, NEVER):
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(*behind.address, ssl=ssl.create_default_context(), server_hostname="x")
        assert (await rest(await behind.say(LAST))).endswith(b"hello")
    assert behind.closed == [Closed(reason="tls", peer="127.0.0.1", repeats=0)]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("said", [b"MSH|^~\\&|EPIC\r\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade:\x00\r\n\r\n"])
async def test_what_is_not_http_is_one_event_and_no_warning(
    behind: Behind, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(behind, NEVER):
        for _ in range(3):
            assert (await rest(await behind.say(said))).startswith(b"HTTP/1.1 400")
    assert behind.closed == [Closed(reason="not_http", peer="127.0.0.1", repeats=0)]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_upgrade_is_answered_without_a_warning(behind: Behind, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(behind, NEVER):
        said = LAST.replace(b"close", b"upgrade, close").replace(b"Host: x", b"Host: x\r\nUpgrade: websocket")
        assert (await rest(await behind.say(said))).endswith(b"hello")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
