"""Starting, stopping and leaving the process's signals alone."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from portal.server import serve


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


async def fetch(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_port_zero_is_told_and_given_back() -> None:
    async with serve(APP, "127.0.0.1", 0) as (host, port):
        assert (await fetch(host, port)).endswith(b"hello")
    with pytest.raises(ConnectionRefusedError):
        await fetch(host, port)


async def test_a_taken_port_is_an_oserror_before_anything_is_served() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            async with serve(APP, "127.0.0.1", taken.getsockname()[1]):
                pass


async def test_signals_stay_with_the_service() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    async with serve(APP, "127.0.0.1", 0):
        assert {number: signal.getsignal(number) for number in before} == before


async def test_an_open_request_is_answered_before_the_end() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> PlainTextResponse:
        started.set()
        await release.wait()
        return PlainTextResponse("late")

    async with serve(Starlette(routes=[Route("/", slow)]), "127.0.0.1", 0) as (host, port):
        pending = asyncio.create_task(fetch(host, port))
        await started.wait()
        asyncio.get_running_loop().call_later(0.1, release.set)
    assert (await pending).endswith(b"late")


async def test_a_failure_inside_the_block_stops_the_server_too() -> None:
    with pytest.raises(RuntimeError, match="inside"):
        async with serve(APP, "127.0.0.1", 0) as (host, port):
            raise RuntimeError("inside")
    with pytest.raises(ConnectionRefusedError):
        await fetch(host, port)
