"""The staff's door: the portal's pages on a port of their own, for a running service.

Handlers run in a few threads of their own, so that a slow page keeps neither the event loop nor the gateway's webhooks waiting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Literal
from zoneinfo import ZoneInfo

from starlette.types import ASGIApp

from carebell.bootstrap.doors import Address
from carebell.bootstrap.pages_door import PATIENCE, pages_door
from carebell.bootstrap.running_service import RunningService
from carebell.staff.desks import desks_for
from journal.events.service import InternalError
from journal.traces import trace
from portal.pages import all_pages
from portal.staff_app import build

_NAME: Final = "portal"
_THREADS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffDoor:
    """`carebell.bootstrap.doors.Door` of the staff's pages.

    Attributes:
        patience: as `PATIENCE` says; seconds.
    """

    patience: float = PATIENCE

    @property
    def name(self) -> Literal["portal"]:
        return _NAME

    @asynccontextmanager
    async def serve(self, running: RunningService) -> AsyncIterator[Address]:
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=_NAME)
        async with pages_door(
            running,
            _NAME,
            running.loaded().configuration.portal,
            connections=running.portal_connections,
            pages=lambda public_url: _pages(running, public_url, threads),
            pools=[threads],
            patience=self.patience,
        ) as address:
            yield address


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
