"""Starting, stopping and leaving the process's signals alone."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import portal.server
from carebell.maintenance.supervisor import BackgroundTask, Supervisor
from journal.logs import setup
from journal.metrics import Metrics
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


async def test_a_server_that_ends_is_started_again_and_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What accepts is not what serves: without its server the port would look open and every request would wait."""
    serves_again = asyncio.Event()
    stumbles = [RuntimeError("its text may hold a query")]
    real = portal.server._QuietServer.main_loop

    async def main_loop(self: portal.server._QuietServer) -> None:
        if stumbles:
            raise stumbles.pop()
        serves_again.set()
        await real(self)

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(portal.server._QuietServer, "main_loop", main_loop)
    log = tmp_path / "carebell.log"
    with setup(now=lambda: datetime(2026, 3, 2, tzinfo=UTC), file=log) as journal:
        supervisor = Supervisor(journal=journal, metrics=Metrics(), seconds=lambda: 0.0, sleep=at_once)

        def spawn(work: Callable[[], Coroutine[Any, Any, None]], is_over: Callable[[], bool]) -> BackgroundTask:
            return supervisor.start("http", work, is_over=is_over)

        async with serve(APP, "127.0.0.1", 0, spawn=spawn) as (host, port):
            async with asyncio.timeout(60):
                await serves_again.wait()
            assert (await fetch(host, port)).endswith(b"hello")
        assert not supervisor.tasks["http"].running
    [line] = [json.loads(line) for line in log.read_text("ascii").splitlines()]
    assert (line["event"], line["name"], line["exception"]) == ("background_task_ended", "http", "RuntimeError")
