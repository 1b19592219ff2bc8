"""Further HTTP doors of a service: opened after the one for webhooks, closed while the database is still open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from carebell.bootstrap.doors import Address
from carebell.bootstrap.running_service import RunningService
from carebell.exits import Stop
from portal.server import serve
from store import outbox
from tests.story.clinic import opened
from tests.story.folder import make

ON = {"enabled": True, "port": 0, "public_url": "http://127.0.0.1"}
WEBHOOKS = {"enabled": True, "port": 0}


@dataclass(slots=True)
class CountingDoor:
    """Answers with how many texts the database has. `events`: what happened to it."""

    events: list[str] = field(default_factory=list)

    @property
    def name(self) -> Literal["portal"]:
        return "portal"

    @asynccontextmanager
    async def serve(self, running: RunningService) -> AsyncIterator[Address]:
        async def answer(request: Request) -> Response:
            with running.store.read() as conn:
                return PlainTextResponse(f"{len(list(outbox.rows(conn)))} texts")

        section = running.loaded().configuration.portal
        async with serve(
            Starlette(routes=[Route("/", answer)]),
            section.host,
            section.port,
            spawn=lambda work, is_over: running.supervisor.start("portal", work, is_over=is_over),
        ) as address:
            self.events.append("open")
            yield address
        with running.store.read() as conn:  # raises where the database is closed
            outbox.next_due(conn)
        self.events.append("closed")


async def _get(address: Address) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_door_uses_the_service_and_closes_before_its_database(tmp_path: Path) -> None:
    door = CountingDoor()
    async with opened(make(tmp_path, {"http": WEBHOOKS, "portal": ON}), doors=[door]) as clinic:
        assert list(clinic.service.addresses) == ["http", "portal"]
        assert (await _get(clinic.service.addresses["portal"])).endswith(b"\r\n\r\n0 texts")
        assert clinic.service.addresses["portal"] != clinic.service.http
        assert door.events == ["open"]
    assert door.events == ["open", "closed"]


async def test_a_door_that_is_off_stays_closed(tmp_path: Path) -> None:
    door = CountingDoor()
    async with opened(make(tmp_path, {"http": WEBHOOKS}), doors=[door]) as clinic:
        assert list(clinic.service.addresses) == ["http"]
    assert door.events == []


async def test_a_port_that_is_taken_stops_the_start_at_its_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        path = make(tmp_path, {"portal": ON | {"port": port}})
        with pytest.raises(Stop, match=rf"carebell\.yaml:\d+:\d+: cannot listen on 127\.0\.0\.1:{port}: "):
            async with opened(path, doors=[CountingDoor()]):
                pass
