"""A door of pages: an application on a port of its own, whose handlers run in threads, for a running service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Thread
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from carebell.bootstrap.doors import Address, DoorName
from carebell.bootstrap.running_service import RunningService
from config.model import JoinSection, PortalSection
from journal.events.gateway import HttpClosed
from listener.connection_register import source_of
from portal.http_limits import Closed, HttpLimits
from portal.server import serve

PATIENCE: Final = 2.0
"""Seconds that handlers under way have at the end, after the server's own grace, before the database closes."""


@asynccontextmanager
async def pages_door(
    running: RunningService,
    name: DoorName,
    section: JoinSection | PortalSection,
    *,
    connections: int,
    pages: Callable[[str], ASGIApp],
    pools: Sequence[ThreadPoolExecutor],
    patience: float = PATIENCE,
) -> AsyncIterator[Address]:
    """Serve while the block runs. Yields the bound address.

    Args:
        connections: open at a time, at most.
        pages: makes the application, given where it is reached: links, cookies and the Host header depend on it.
        pools: the threads of its handlers; they are ended here.
    """
    app = _AddressedApp()

    def closed(connection: Closed) -> None:
        running.metrics.connections_refused.labels(name, connection.reason).inc()
        running.repeats.emit(
            HttpClosed(peer=connection.peer, reason=connection.reason),
            reason=connection.reason,
            source=source_of(connection.peer or ""),
        )

    try:
        async with serve(
            app,
            section.host,
            section.port,
            closed,
            HttpLimits(connections=connections),
            spawn=lambda work, is_over: running.supervisor.start(name, work, is_over=is_over),
        ) as address:
            # No request is answered before: accepting begins in a later turn of the loop.
            app.pages = pages(section.url_at(address[1]))
            yield address
    finally:
        await asyncio.to_thread(_end, pools, patience)


def _end(pools: Sequence[ThreadPoolExecutor], patience: float) -> None:
    """Start no further handler, and wait for those under way: they use the database, which closes next. Blocking."""
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)

    def wait() -> None:
        for pool in pools:
            pool.shutdown()

    waiting = Thread(target=wait, name="pages-end", daemon=True)
    waiting.start()
    waiting.join(patience)


class _AddressedApp:
    """The application, which is built when the port is known."""

    pages: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.pages(scope, receive, send)
