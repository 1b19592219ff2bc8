"""Half requests, crowds and strangers at the HTTP port, on real sockets; who speaks in whole requests notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from portal.http_limits import Closed, HttpLimits
from portal.server import serve

PATIENCE = 30
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HALF_HEAD = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-"
HALF_BODY = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
LARGE = 16 * 1024 * 1024
"""More than the kernel keeps for a peer that does not read."""
SOON = HttpLimits(whole_request=0.1)
NEVER = HttpLimits(whole_request=3600, connections=5)


@dataclass
class Behind:
    """The application, and who came to its door."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    gone: int = 0
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

    async def large(self, request: Request) -> PlainTextResponse:
        self.busy += 1
        return PlainTextResponse("x" * LARGE)

    async def take(self, request: Request) -> PlainTextResponse:
        try:
            return PlainTextResponse(str(len(await request.body())))
        except ClientDisconnect:
            self.gone += 1
            raise HTTPException(400) from None

    async def say(self, *parts: bytes) -> asyncio.StreamReader:
        """Open a connection and say this; it stays open."""
        reader, writer = await asyncio.open_connection(*self.address)
        self.peers.append(writer)
        for part in parts:
            writer.write(part)
            await writer.drain()
        return reader

    def reasons(self) -> list[str]:
        return [closed.reason for closed in self.closed]


@pytest.fixture
def behind() -> Behind:
    return Behind()


@asynccontextmanager
async def opened(behind: Behind, limits: HttpLimits) -> AsyncIterator[None]:
    app = Starlette(
        routes=[
            Route("/", behind.hello),
            Route("/slow", behind.slow),
            Route("/large", behind.large),
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
    received = bytearray()
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(65536):
                received += part
    return bytes(received)


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


async def deaf(behind: Behind, count: int, said: bytes) -> None:
    """Peers that ask and read nothing."""
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, behind.address)
        _, writer = await asyncio.open_connection(sock=sock, limit=16)
        behind.peers.append(writer)
        writer.write(said)


async def test_an_answer_that_nobody_reads_ends_its_connection(behind: Behind) -> None:
    async with opened(behind, HttpLimits(unread=0.1)):
        await deaf(behind, 1, WHOLE.replace(b"/ ", b"/large ", 1) * 50)
        async with asyncio.timeout(PATIENCE):
            while "unread" not in behind.reasons():  # noqa: ASYNC110  # the report rings no event
                await asyncio.sleep(0.005)
        assert behind.busy <= 2  # the requests behind the unread answer were not even looked at, but for the next one


async def test_a_reader_that_is_slow_gets_its_whole_answer(behind: Behind) -> None:
    async with opened(behind, HttpLimits(unread=3600)):
        reader = await behind.say(LAST.replace(b"/ ", b"/large ", 1))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert len(await rest(reader)) == LARGE


async def test_deaf_peers_make_room(behind: Behind) -> None:
    async with opened(behind, NEVER):
        await deaf(behind, NEVER.connections, WHOLE.replace(b"/ ", b"/large ", 1))
        async with asyncio.timeout(PATIENCE):
            while behind.busy < NEVER.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert (await rest(await behind.say(LAST))).endswith(b"hello")
        assert behind.reasons() == ["crowded_out"]


async def test_a_connection_has_so_many_requests_and_closes_with_its_last_answer(behind: Behind) -> None:
    async with opened(behind, HttpLimits(requests=3)):
        answers = (await rest(await behind.say(WHOLE * 10))).split(b"HTTP/1.1 200 OK")[1:]
        assert [b"connection: close" in answer.lower() for answer in answers] == [False, False, True]
        assert all(answer.endswith(b"hello") for answer in answers)


async def test_requests_one_behind_the_other_are_answered_in_their_order(behind: Behind) -> None:
    async with opened(behind, NEVER):
        bodies = [b"x" * size for size in (3, 50_000, 0, 7)]
        said = b"".join(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(b), b) for b in bodies)
        answers = (await rest(await behind.say(said + LAST))).split(b"HTTP/1.1 200 OK")[1:]
        assert [answer.rpartition(b"\r\n")[2] for answer in answers] == [b"3", b"50000", b"0", b"7", b"hello"]


async def test_pipelining_peers_that_read_nothing_keep_nobody_waiting(behind: Behind) -> None:
    """A whole request is answered while all of theirs are far from done."""
    async with opened(behind, HttpLimits(connections=50, unread=3600)):
        await deaf(behind, 40, WHOLE.replace(b"/ ", b"/large ", 1) * 100)
        for _ in range(3):
            assert (await rest(await behind.say(LAST))).endswith(b"hello")
        assert behind.reasons() == []
        assert behind.busy <= 80


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length:\r\n 5",
    ],
)
async def test_an_uncertain_end_is_refused_before_the_application(behind: Behind, fields: bytes) -> None:
    async with opened(behind, NEVER):
        said = b"POST /slow HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n0\r\n\r\n" % fields
        assert (await rest(await behind.say(said))).startswith(b"HTTP/1.1 400")
        assert (behind.reasons(), behind.busy) == (["ambiguous"], 0)


async def test_a_bad_chunk_in_a_body_is_400_and_the_application_hears_that_the_peer_is_gone(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(behind, NEVER):
        said = b"POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
        reader = await behind.say(said)
        await asyncio.sleep(0.05)
        behind.peers[0].write(b"zz\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 400")
        assert (behind.reasons(), behind.gone) == (["not_http"], 1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_bad_chunk_behind_an_answer_only_closes(behind: Behind, caplog: pytest.LogCaptureFixture) -> None:
    """The application has refused without reading the body."""
    async with opened(behind, NEVER):
        reader = await behind.say(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 405")
        behind.peers[0].write(b"zz\r\n")
        assert await rest(reader) == b"Method Not Allowed"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_end_does_not_wait_for_peers_that_read_nothing(behind: Behind) -> None:
    async with asyncio.timeout(PATIENCE):
        async with opened(behind, HttpLimits(unread=3600, whole_request=3600)):
            await deaf(behind, 5, WHOLE.replace(b"/ ", b"/large ", 1) * 3)
            await behind.say(HALF_BODY)
            await behind.say(HALF_HEAD)
            await behind.say(b"")


async def test_tls_on_the_plain_port_is_reported_and_no_warning(
    behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(behind, NEVER):
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(*behind.address, ssl=ssl.create_default_context(), server_hostname="x")
        assert (await rest(await behind.say(LAST))).endswith(b"hello")
    assert behind.closed == [Closed(reason="tls", peer="127.0.0.1")] * 3
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("said", [b"MSH|^~\\&|EPIC\r\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade:\x00\r\n\r\n"])
async def test_what_is_not_http_is_reported_and_no_warning(
    behind: Behind, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(behind, NEVER):
        for _ in range(3):
            assert (await rest(await behind.say(said))).startswith(b"HTTP/1.1 400")
    assert behind.closed == [Closed(reason="not_http", peer="127.0.0.1")] * 3
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


WORDS = (
    b"GET / HTTP/1.1\r\n",
    b"POST /in HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"Host: x\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b" folded\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"abcde",
    b"5\r\nabcde\r\n",
    b"0\r\n\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"\x00\xff",
    WHOLE,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde",
    b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
)


@pytest.mark.parametrize("seed", range(4))
async def test_no_bytes_in_no_pieces_raise_anything(
    behind: Behind, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A few hundred conversations of words of HTTP in any order; the last request of a polite peer is answered all the same."""
    rng, failures = random.Random(seed), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

    async def talk() -> None:
        reader, writer = await asyncio.open_connection(*behind.address)
        with contextlib.suppress(OSError):
            for _ in range(rng.randint(1, 8)):
                writer.write(b"".join(rng.choices(WORDS, k=rng.randint(1, 5))))
                await asyncio.sleep(rng.choice((0, 0, 0.002)))
            if rng.random() < 0.7:
                writer.write_eof()
                await rest(reader)
        writer.transport.abort()

    async with opened(behind, HttpLimits(whole_request=0.1, unread=0.1, requests=5)):
        for _ in range(10):
            await asyncio.gather(*(talk() for _ in range(20)))
        assert (await rest(await behind.say(LAST))).endswith(b"hello")
    assert failures == []
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in told if record.name != "asyncio"] == []  # its own, of this test's writers


@pytest.mark.parametrize("fields", [b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length:\r\n 5"])
async def test_an_uncertain_head_request_is_refused_without_a_body(behind: Behind, fields: bytes) -> None:
    async with opened(behind, NEVER):
        answer = await rest(await behind.say(b"HEAD / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % fields))
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.endswith(b"\r\n\r\n")
        assert behind.reasons() == ["ambiguous"]
        assert (await rest(await behind.say(LAST))).endswith(b"hello")


async def test_an_upgrade_is_answered_without_a_warning(behind: Behind, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(behind, NEVER):
        said = LAST.replace(b"close", b"upgrade, close").replace(b"Host: x", b"Host: x\r\nUpgrade: websocket")
        assert (await rest(await behind.say(said))).endswith(b"hello")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
