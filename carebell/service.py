"""The service: everything one node runs, started and stopped as a whole. The one wiring file; tests build the same with fakes.

    listener ─> reception ─> committer (store)                  portal: webhooks, health, metrics
    alarm ─> dispatcher, aftercare, housekeeping (threads)      watch: configuration changes

What is a theme of its own stands beside it: `listening` (ports and listeners), `ticking`, `reloading` and `in_force`.

Order of stopping: the listeners drain first (what is in flight is committed and answered), then the ticks, then the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from carebell import wiring
from carebell.aftercare import Aftercare
from carebell.bad_numbers import BadNumbers
from carebell.certificates import Rotation
from carebell.clock_doubt import doubt_of
from carebell.descriptors import Descriptors, raise_limit, share_out, too_large
from carebell.desk import Offices
from carebell.exits import Stop
from carebell.housekeeping import Housekeeper
from carebell.ids import RandomIds, control_ids
from carebell.in_force import InForce, in_force
from carebell.inbound import Effect, Gatekeeper, Judged, Registry
from carebell.listening import Listeners, Port, ports, why_not
from carebell.outbound import Dispatcher, recipient_of
from carebell.posting import Posting
from carebell.reception import Reception
from carebell.reloading import Reloading
from carebell.settling import Settler
from carebell.ticking import ClockComparison, Pace, Ticking, in_thread
from carebell.vitals import Vitals
from carebell.webhooks import Webhooks
from config.load import Loaded
from config.load import load as load_configuration
from config.watch import Watch
from journal.events import Event
from journal.logs import Journal
from journal.metrics import Metrics
from listener.connection import Connection
from listener.sources import ConnectionRegister
from notifier.gateway import Gateway
from portal.app import build
from portal.door import DoorLimits
from portal.server import serve as serve_http
from scheduler.clock import AcceleratedClock, Alarm, Clock, RealClock
from store import holds, leases, rehearsed, restore
from store.committer import Committer
from store.engine import Store
from store.faults import StoreFault
from store.holds import Hold
from store.leases import Node
from store.vault import Vault

ROLES: Final = ("listener", "dispatcher", "portal", "housekeeping")
_HELD_AFTER_RESTORE: Final = "the database looks like an old backup: look at `carebell outbox`, then `carebell release`"


@dataclass(slots=True, kw_only=True)
class Service:
    """One node. `start()`, then `wait()` until something ends it, then `stop()`.

    Attributes:
        http: (host, port) of the portal, once started.
        environ: of the process, for a reload's overlay.
    """

    loaded: Loaded
    journal: Journal
    metrics: Metrics
    clock: Clock = field(default_factory=RealClock)
    roles: frozenset[str] = frozenset(ROLES)
    pace: Pace = field(default_factory=Pace)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    gateway: Gateway | None = None
    node: str = field(default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(2)}")
    reloads: bool = True
    http: tuple[str, int] | None = None
    dispatcher: Dispatcher = field(init=False)
    housekeeper: Housekeeper = field(init=False)
    store: Store = field(init=False)
    vault: Vault = field(init=False)
    _force: InForce = field(init=False)
    _listeners: Listeners = field(init=False)
    _ticking: Ticking = field(init=False)
    _started_at: datetime = field(init=False)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _watch: Watch | None = None

    @property
    def offices(self) -> Offices:
        return self._force.offices

    @property
    def ports(self) -> list[tuple[Port, int]]:
        """(port, number it listens on), once started."""
        return self._listeners.opened

    async def start(self) -> None:
        """Bring everything up, or stop with one sentence and nothing half started."""
        began = time.monotonic()
        self.journal.emit(
            Event.CONFIGURATION_LOADED, configuration=self.loaded.version, file=str(self.loaded.path),
            environments=",".join(self.loaded.configuration.environments),
        )  # fmt: skip
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        configuration = self.loaded.configuration
        self.journal.emit(
            Event.SERVICE_STARTED, version=version("carebell"), configuration=self.loaded.version,
            roles=",".join(sorted(self.roles)), environments=",".join(self.offices.desks), database=self.store.backend,
            gateway=configuration.gateway.kind, node=self.node, seconds=round(time.monotonic() - began, 2),
        )  # fmt: skip

    async def wait(self) -> str | None:
        """Until `end()`, a signal or a failure; the failure, or None."""
        await self._ended.wait()
        return self._failure

    def end(self, failure: str | None = None) -> None:
        """Let `wait()` return. On the loop's thread."""
        self._failure = self._failure or failure
        self._ended.set()

    async def stop(self) -> None:
        """Drain, answer, finish what is under way, close. A second call does nothing."""
        began = time.monotonic()
        if self._watch is not None:
            self._watch.stop()
        await self._stack.aclose()
        self.journal.emit(
            Event.SERVICE_STOPPED, reason=self._failure or "asked", seconds=round(time.monotonic() - began, 2)
        )

    # Starting, in the order that stopping undoes

    async def _start(self) -> None:
        loaded, journal, stack = self.loaded, self.journal, self._stack
        now = self.clock.now()
        for finding in wiring.require_sound(loaded, now):
            problem = finding.problem
            journal.emit(Event.CONFIGURATION_WARNING, problem=problem.why, file=str(problem.place))
        descriptors = self._share_descriptors()
        self._force = in_force(loaded, now)
        self.vault = wiring.open_vault(loaded)
        self.store = wiring.open_database(loaded, upgrade=True, told=self._database_upgraded)
        stack.callback(self.store.close)
        gateway = self.gateway or wiring.open_gateway(loaded, self.clock)
        stack.callback(gateway.close)
        executor = ThreadPoolExecutor(descriptors.gateway, thread_name_prefix="worker")
        stack.callback(executor.shutdown)
        ticking = self._ticking = Ticking(journal=journal, database=self.store.backend, seconds=time.monotonic)
        stack.push_async_callback(ticking.finish)
        self._note_clock()
        self._started_at = now
        self._beat()
        self._hold_after_restore(now)
        posting = Posting()
        settler = Settler(journal, self.metrics, BadNumbers(vault=self.vault, offices=lambda: self.offices))
        self.dispatcher = Dispatcher(
            store=self.store, vault=self.vault, offices=lambda: self.offices, gateway=gateway, settler=settler,
            clock=self.clock, node=self.node, executor=executor, posting=posting, journal=journal, metrics=self.metrics,
            seconds=time.monotonic,
        )  # fmt: skip
        rotation = Rotation(store=self.store, loaded=lambda: self.loaded, journal=journal, metrics=self.metrics)
        rotation.started(now)
        self.housekeeper = Housekeeper(
            store=self.store, vault=self.vault, clock=self.clock, node=self.node, marker=_marker(loaded), journal=journal,
            certificates=rotation.look, doubt=doubt_of(self.clock, self.store, journal),
        )  # fmt: skip
        aftercare = Aftercare(
            store=self.store, vault=self.vault, offices=lambda: self.offices, gateway=gateway, settler=settler,
            clock=self.clock, journal=journal, recipient=recipient_of,
        )  # fmt: skip
        shared = ConnectionRegister[Connection](limit=descriptors.connections, limit_per_source=descriptors.per_source)
        self._listeners = Listeners(self.clock, journal, shared)
        await self._start_portal(settler, descriptors)
        self._start_ticks(aftercare)
        await self._start_listeners(posting)
        if self.reloads:
            self._start_watch(rotation)

    def _share_descriptors(self) -> Descriptors:
        """What this process may open, and what that leaves for connections, in words."""
        descriptors = share_out(raise_limit(), len(ports(self.loaded)))
        self.journal.emit(
            Event.DESCRIPTORS_SHARED, limit=descriptors.limit, kept=descriptors.kept, connections=descriptors.connections,
            per_peer=descriptors.per_source,
        )  # fmt: skip
        for problem in too_large(self.loaded, descriptors):
            self.journal.emit(Event.CONFIGURATION_WARNING, problem=problem.why, file=str(problem.place))
        return descriptors

    def _database_upgraded(self, backend: str, version: str) -> None:
        self.journal.emit(Event.DATABASE_UPGRADED, database=backend, version=version)

    def _note_clock(self) -> None:
        """A rehearsal tells the commands what time it is for it."""
        with self.store.write() as conn:
            if isinstance(self.clock, AcceleratedClock):
                rehearsed.note(conn, shown=self.clock.now(), real=datetime.now(UTC), speed=self.clock.speed)
            else:
                rehearsed.clear(conn)

    def _hold_after_restore(self, now: datetime) -> None:
        """An old backup does not know what was sent since: its overdue texts wait for a person (F21)."""
        with self.store.write() as conn:
            finding = restore.assess(conn, _marker(self.loaded), now)
            if finding == "fine":
                return
            held = Hold(scope="all", name="", reason=_HELD_AFTER_RESTORE, actor="carebell", since=now)
            if holds.hold(conn, held):
                self.journal.emit(Event.HOLD_STARTED, reason=finding, source="restore")

    async def _start_portal(self, settler: Settler, descriptors: Descriptors) -> None:
        section = self.loaded.configuration.http
        if "portal" not in self.roles or not section.enabled:
            return
        webhooks = Webhooks(
            store=self.store, vault=self.vault, settler=settler, clock=self.clock, journal=self.journal,
            metrics=self.metrics,
        )  # fmt: skip
        vitals = Vitals(
            store=self.store, clock=self.clock, metrics=self.metrics,
            connections=self._listeners.connections,
            listens=lambda: "listener" not in self.roles or bool(self._listeners.opened),
        )  # fmt: skip
        app = build(
            webhooks=wiring.open_webhooks(self.loaded),
            on_status=webhooks.on_status,
            on_inbound=webhooks.on_inbound,
            health=vitals.health,
            metrics=vitals.render,
            report=webhooks.report,
        )
        limits = DoorLimits(connections=descriptors.http)
        try:
            self.http = await self._stack.enter_async_context(
                serve_http(app, section.host, section.port, webhooks.closed, limits)
            )
        except OSError as error:
            place = self.loaded.where(("http", "port"))
            raise Stop(f"{place}: cannot listen on {section.host}:{section.port}: {why_not(error)}") from None

    def _start_ticks(self, aftercare: Aftercare) -> None:
        pace, tick, ticks = self.pace, self._ticking.tick, []
        if "dispatcher" in self.roles:
            clocks = ClockComparison(self.clock, self.journal, time.monotonic)

            async def dispatch() -> None:
                clocks.look()
                await self.dispatcher.tick()

            ticks.append(tick("dispatch", pace.dispatch, dispatch))
            ticks.append(tick("aftercare", pace.aftercare, in_thread(aftercare.round)))
        if "housekeeping" in self.roles:
            ticks.append(tick("housekeeping", pace.keep_house, in_thread(self.housekeeper.round)))
        ticks.append(tick("beat", 15.0, in_thread(self._beat)))
        alarm = Alarm(ticks)
        alarm.start()
        self._stack.callback(alarm.close)
        self._stack.callback(self.dispatcher.end)

    def _beat(self) -> None:
        node = Node(
            name=self.node, roles=",".join(sorted(self.roles)), version=version("carebell"), started_at=self._started_at,
            seen_at=self.clock.now(),
        )  # fmt: skip
        with self.store.write() as conn:
            leases.beat(conn, node)

    async def _start_listeners(self, posting: Posting) -> None:
        if "listener" not in self.roles:
            return
        loop = asyncio.get_running_loop()

        def fatal(fault: StoreFault) -> None:
            self.journal.emit(Event.SERVICE_FAILED, reason=fault.code, problem=str(fault))
            loop.call_soon_threadsafe(self.end, str(fault))

        registry = Registry(self.vault, lambda: self.offices.desks, RandomIds())
        committer: Committer[Judged, Effect] = Committer(self.store, registry.commit_group, on_fatal=fatal)
        committer.start()
        self._stack.push_async_callback(committer.stop)
        self._stack.push_async_callback(self._listeners.close)
        for port in ports(self.loaded):
            reception = Reception(
                gatekeeper=self._gatekeeper(port.key), offices=lambda: self.offices, committer=committer,
                clock=self.clock, new_control_id=control_ids(), posting=posting, journal=self.journal,
                metrics=self.metrics, seconds=time.monotonic,
            )  # fmt: skip
            await self._listeners.open(self.loaded, port, reception)

    def _gatekeeper(self, key: str) -> Callable[[], Gatekeeper]:
        """The port's gatekeeper as configured when it is asked for."""
        return lambda: self._force.gatekeepers[key]

    def _start_watch(self, rotation: Rotation) -> None:
        path, environ = self.loaded.path, self.environ
        watch = self._watch = Watch(self.loaded, lambda: load_configuration(path, environ))
        reloading = Reloading(
            present=lambda: self._force, put=self._put_in_force, listeners=self._listeners, rotation=rotation,
            store=self.store, vault=self.vault, clock=self.clock, journal=self.journal, metrics=self.metrics,
            replans="dispatcher" in self.roles,
        )  # fmt: skip
        task = asyncio.get_running_loop().create_task(reloading.follow(watch))

        async def end() -> None:
            watch.stop()
            await task

        self._stack.push_async_callback(end)

    def _put_in_force(self, force: InForce) -> None:
        self.loaded, self._force = force.loaded, force

    # Asked from outside

    def reload(self) -> None:
        """SIGHUP."""
        if self._watch is not None:
            self._watch.reload()

    def take_signals(self) -> None:
        """SIGTERM and SIGINT drain, SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _asked(self, number: signal.Signals) -> None:
        self.journal.emit(Event.SERVICE_STOPPING, signal=number.name)
        self.end()


def _marker(loaded: Loaded) -> Path:
    key_file = loaded.configuration.storage.key_file
    return key_file.with_name(f".{key_file.name}.pulse")
