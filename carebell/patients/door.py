"""The patients' door: their pages on a port of their own, for a running service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Literal

from starlette.types import ASGIApp

from carebell.bootstrap.doors import Address
from carebell.bootstrap.meeting_rooms import MeetingRooms
from carebell.bootstrap.pages_door import pages_door
from carebell.bootstrap.running_service import RunningService
from carebell.bootstrap.visit_recorder import recorder_of
from carebell.patients.device_tests import DeviceTests
from carebell.patients.launch_door import THREADS, launch_pages
from carebell.patients.waiting_room import WaitingRoom
from journal.events.service import InternalError
from journal.events.visits import JoinLinkUnknown
from journal.traces import trace
from listener.connection_register import source_of
from portal.join.app import build
from portal.join.desk import JoinWords
from portal.join.device_test import DeviceTestPages
from portal.join.guessing import PER_MINUTE
from portal.join.provider import ProviderPages
from portal.join.rendering import JoinRenderer, static_files
from portal.origin import Network

_NAME: Final = "join"
_THREADS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientsDoor:
    """`carebell.bootstrap.doors.Door` of the patients' pages."""

    @property
    def name(self) -> Literal["join"]:
        return _NAME

    @asynccontextmanager
    async def serve(self, running: RunningService) -> AsyncIterator[Address]:
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=_NAME)
        launch_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="launch")
        async with pages_door(
            running,
            _NAME,
            running.loaded().configuration.join,
            connections=running.join_connections,
            pages=lambda public_url: _pages(running, public_url, threads, launch_threads),
            pools=[threads, launch_threads],
        ) as address:
            yield address


def _pages(
    running: RunningService, public_url: str, threads: ThreadPoolExecutor, launch_threads: ThreadPoolExecutor
) -> ASGIApp:
    def unknown(address: str | None, over: bool) -> None:
        running.metrics.join_links_unknown.inc()
        running.repeats.emit(
            JoinLinkUnknown(peer=address, limit=PER_MINUTE if over else None),
            reason="over" if over else "unknown",
            source=source_of(address or ""),
        )

    def trusted_proxies() -> list[Network]:
        return [ip_network(written) for written in running.loaded().configuration.join.trusted_proxies]

    def report(error: Exception) -> None:
        running.journal.emit(InternalError(where=_NAME, trace=trace(error)))

    recorder = recorder_of(running)
    room = WaitingRoom(
        store=running.store,
        vault=running.vault,
        runtime_config=running.runtime_config,
        recorder=recorder,
        now=running.clock.now,
        meetings_of=MeetingRooms(running).meetings,
        missed=running.metrics.meetings_unavailable.inc,
    )
    words = JoinWords(
        organization=lambda: running.loaded().configuration.organization.name,
        contact=lambda: running.loaded().configuration.organization.contact,
        languages=lambda: running.runtime_config().page_words,
    )
    renderer = JoinRenderer(words, static_files())
    test = DeviceTestPages(
        desk=DeviceTests(
            store=running.store, vault=running.vault, loaded=running.loaded, recorder=recorder, now=running.clock.now
        ),
        join=room,
        renderer=renderer,
        public_url=public_url,
        threads=threads,
        trusted_proxies=trusted_proxies,
        report=report,
    )
    launch = launch_pages(
        running,
        renderer,
        public_url=public_url,
        threads=launch_threads,
        trusted_proxies=trusted_proxies,
        report=report,
    )
    provider = ProviderPages(desk=room, renderer=renderer, public_url=public_url, threads=threads, report=report)
    return build(
        room,
        words,
        public_url=public_url,
        trusted_proxies=trusted_proxies,
        now=running.clock.now,
        threads=threads,
        unknown=unknown,
        report=report,
        below={**test.below(), **provider.below()},
        further=[*test.further(), *launch.further()],
    )
