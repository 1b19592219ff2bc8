"""The staff's door: the portal's pages on a port of their own, for a running service.

Handlers run in a few threads of their own, so that a slow page keeps neither the event loop nor the gateway's webhooks waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from threading import Thread
from typing import Final, Literal
from zoneinfo import ZoneInfo

from starlette.types import ASGIApp, Receive, Scope, Send

from carebell.bootstrap.doors import Address
from carebell.bootstrap.running_service import RunningService
from carebell.staff.desks import desks_for
from journal.events.gateway import HttpClosed
from journal.events.service import InternalError
from journal.traces import trace
from listener.connection_register import source_of
from portal.http_limits import Closed, HttpLimits
from portal.pages import all_pages
from portal.server import serve
from portal.staff_app import build

_NAME: Final = "portal"
_THREADS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffDoor:
    """`carebell.bootstrap.doors.Door` of the staff's pages.

    Attributes:
        patience: seconds that handlers under way have at the end, after the server's own grace, before the database closes.
    """

    patience: float = 2.0

    @property
    def name(self) -> Literal["portal"]:
        return _NAME

    @asynccontextmanager
    async def serve(self, running: RunningService) -> AsyncIterator[Address]:
        section = running.loaded().configuration.portal
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=_NAME)
        app = _AddressedApp()

        def closed(connection: Closed) -> None:
            running.metrics.connections_refused.labels(_NAME, connection.reason).inc()
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
                HttpLimits(connections=running.portal_connections),
                spawn=lambda work, is_over: running.supervisor.start(_NAME, work, is_over=is_over),
            ) as address:
                # No request is answered before: accepting begins in a later turn of the loop.
                app.pages = _pages(running, section.url_at(address[1]), threads)
                yield address
        finally:
            await asyncio.to_thread(_end, threads, self.patience)


def _end(threads: ThreadPoolExecutor, patience: float) -> None:
    """Start no further handler, and wait for those under way: they use the database, which closes next. Blocking."""
    threads.shutdown(wait=False, cancel_futures=True)
    waiting = Thread(target=threads.shutdown, name=f"{_NAME}-end", daemon=True)
    waiting.start()
    waiting.join(patience)


class _AddressedApp:
    """The application, which is built when the port is known: links, cookies and the Host header depend on it."""

    pages: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.pages(scope, receive, send)


def _pages(running: RunningService, public_url: str, threads: ThreadPoolExecutor) -> ASGIApp:
    desks = desks_for(running, public_url)
    return build(
        all_pages(desks),
        sessions=desks.access.people,
        organization=lambda: running.loaded().configuration.organization.name,
        zone=lambda: _zone(running),
        public_url=public_url,
        trusted_proxies=lambda: [
            ip_network(written) for written in running.loaded().configuration.portal.trusted_proxies
        ],
        now=running.clock.now,
        threads=threads,
        report=lambda path, error: running.journal.emit(InternalError(where=_NAME, trace=trace(error))),
    )


def _zone(running: RunningService) -> ZoneInfo:
    """The first environment's; the pages of one environment use its own."""
    return next(iter(running.loaded().configuration.environments.values())).zone
