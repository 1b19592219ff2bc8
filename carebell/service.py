"""The service: everything one node runs, started and stopped as a whole. The one wiring file; tests build the same with fakes.

    listener ─> reception ─> committer (one writer thread)      portal: webhooks, health, metrics
    alarm ─> dispatcher, aftercare, housekeeping (threads)      watch: configuration changes

Order of stopping: the listeners drain first (what is in flight is committed and answered), then the ticks, then the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
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
from carebell.desk import Offices, offices
from carebell.exits import ConfigurationStop, Stop
from carebell.housekeeping import Housekeeper
from carebell.ids import RandomIds
from carebell.inbound import Effect, Gatekeeper, Judged, Registry
from carebell.listening import Port, limits_of, make_server, ports, start, tls_context
from carebell.outbound import Dispatcher, recipient_of
from carebell.posting import Posting
from carebell.reception import Reception
from carebell.replanning import replan
from carebell.settling import Settler
from carebell.vitals import Vitals
from carebell.webhooks import Webhooks
from config.files import twilio_tokens
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import Problem
from config.watch import Watch
from journal.events import Event
from journal.logs import Journal
from journal.metrics import Metrics
from journal.traces import trace
from listener.server import MllpServer
from notifier.callbacks import SignatureCheck
from notifier.gateway import Gateway
from portal.app import build
from portal.server import serve as serve_http
from scheduler.clock import AcceleratedClock, Alarm, Clock, RealClock, Tick
from store import holds, leases, rehearsed, restore
from store.committer import Committer
from store.engine import Store
from store.faults import StoreFault, classify
from store.holds import Hold
from store.leases import Node
from store.vault import Vault

ROLES: Final = ("listener", "dispatcher", "portal", "housekeeping")
_WORKERS: Final = 50
"""Threads for the gateway: 100 ms an answer makes 500 texts a second, more than any sender may send."""
_CLOCK_JUMP_SECONDS: Final = 30.0
_HELD_AFTER_RESTORE: Final = "the database looks like an old backup: look at `carebell outbox`, then `carebell release`"


@dataclass(slots=True, kw_only=True)
class _InForce:
    """What the present configuration means; replaced as a whole by a reload."""

    loaded: Loaded
    offices: Offices
    gatekeepers: dict[str, Gatekeeper]  # by the port's key


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds of the machine between two ticks.

    Attributes:
        dispatch: a text is at most this late on an idle service.
        keep_house: a phone is at most this long in the files after its time.
    """

    dispatch: float = 1.0
    aftercare: float = 15.0
    keep_house: float = 15.0

    @classmethod
    def at_speed(cls, speed: float) -> Pace:
        """The same pace on a clock that runs `speed` times as fast, as far as a machine can."""
        return cls(dispatch=max(0.02, 1 / speed), aftercare=max(0.1, 15 / speed), keep_house=max(0.1, 15 / speed))


@dataclass(slots=True, kw_only=True)
class Service:
    """One node. `start()`, then `wait()` until something ends it, then `stop()`.

    Attributes:
        ports: (port, number it listens on), once started.
        http: (host, port) of the portal, once started.
        environ: of the process, for a reload's overlay.
    """

    loaded: Loaded
    journal: Journal
    metrics: Metrics
    clock: Clock = field(default_factory=RealClock)
    roles: frozenset[str] = frozenset(ROLES)
    pace: Pace = Pace()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    gateway: Gateway | None = None
    node: str = field(default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(2)}")
    reloads: bool = True
    ports: list[tuple[Port, int]] = field(default_factory=list)
    http: tuple[str, int] | None = None
    dispatcher: Dispatcher = field(init=False)
    housekeeper: Housekeeper = field(init=False)
    store: Store = field(init=False)
    vault: Vault = field(init=False)
    _force: _InForce = field(init=False)
    _started_at: datetime = field(init=False)
    _servers: list[tuple[Port, MllpServer]] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _watch: Watch | None = None
    _down: dict[str, float] = field(default_factory=dict)
    _clocks: tuple[float, datetime] | None = None
    _rotation: Rotation = field(init=False)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def offices(self) -> Offices:
        return self._force.offices

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
            journal.emit(Event.CONFIGURATION_WARNING, problem=problem.why, file=_place(problem))
        self._force = _in_force(loaded, now)
        self.vault = wiring.open_vault(loaded)
        self.store = wiring.open_database(loaded, upgrade=True, told=self._database_upgraded)
        stack.callback(self.store.close)
        gateway = self.gateway or wiring.open_gateway(loaded, self.clock)
        stack.callback(gateway.close)
        executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="worker")
        stack.callback(executor.shutdown)
        stack.push_async_callback(self._finish_busy)
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
        rotation = self._rotation = Rotation(
            store=self.store, loaded=lambda: self.loaded, journal=journal, metrics=self.metrics
        )
        rotation.started(now)
        self.housekeeper = Housekeeper(
            store=self.store, vault=self.vault, clock=self.clock, node=self.node, marker=_marker(loaded), journal=journal,
            certificates=rotation.look,
        )  # fmt: skip
        aftercare = Aftercare(
            store=self.store, vault=self.vault, offices=lambda: self.offices, gateway=gateway, settler=settler,
            clock=self.clock, journal=journal, recipient=recipient_of,
            retries=lambda: self.loaded.configuration.gateway.twilio.on_ambiguous == "verify_then_retry",
        )  # fmt: skip
        await self._start_portal(settler)
        self._start_ticks(aftercare)
        await self._start_listeners(posting)
        if self.reloads:
            self._start_watch()

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

    async def _start_portal(self, settler: Settler) -> None:
        section = self.loaded.configuration.http
        if "portal" not in self.roles or not section.enabled:
            return
        webhooks = Webhooks(store=self.store, vault=self.vault, settler=settler, clock=self.clock, journal=self.journal)
        vitals = Vitals(
            store=self.store, clock=self.clock, metrics=self.metrics,
            connections=lambda: {port.name: server.statistics().open for port, server in self._servers},
            listens=lambda: "listener" not in self.roles or bool(self._servers),
        )  # fmt: skip
        app = build(
            check=_signature_check(self.loaded),
            on_status=webhooks.on_status,
            on_inbound=webhooks.on_inbound,
            health=vitals.health,
            metrics=vitals.render,
            report=webhooks.report,
        )
        try:
            self.http = await self._stack.enter_async_context(serve_http(app, section.host, section.port))
        except OSError as error:
            place = self.loaded.where(("http", "port"))
            why = error.strerror or error
            raise Stop(f"{place}: cannot listen on {section.host}:{section.port}: {why}") from None

    def _start_ticks(self, aftercare: Aftercare) -> None:
        pace, ticks = self.pace, []
        if "dispatcher" in self.roles:
            ticks.append(Tick(name="dispatch", seconds=pace.dispatch, run=self._guarded("dispatch", self._dispatch)))
            after = _in_thread(aftercare.round)
            ticks.append(Tick(name="aftercare", seconds=pace.aftercare, run=self._guarded("aftercare", after)))
        if "housekeeping" in self.roles:
            keep = _in_thread(self.housekeeper.round)
            ticks.append(Tick(name="housekeeping", seconds=pace.keep_house, run=self._guarded("housekeeping", keep)))
        ticks.append(Tick(name="beat", seconds=15.0, run=self._guarded("beat", _in_thread(self._beat))))
        alarm = Alarm(ticks)
        alarm.start()
        self._stack.callback(alarm.close)

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
        for port in ports(self.loaded):
            reception = Reception(
                gatekeeper=_later(self, port.key), offices=lambda: self.offices, committer=committer,
                clock=self.clock, new_control_id=_control_ids(), posting=posting, journal=self.journal,
                metrics=self.metrics, seconds=time.monotonic,
            )  # fmt: skip
            server = make_server(self.loaded, port, reception, self.clock, self.journal)
            try:
                number = await start(server, self.loaded, port)
            except Stop as stop:
                self.journal.emit(Event.LISTENER_FAILED, listener=port.name, reason=str(stop))
                raise
            self._servers.append((port, server))
            self.ports.append((port, number))
            self._stack.push_async_callback(self._stop_listener, server, port, number)
            self.journal.emit(
                Event.LISTENER_STARTED, listener=f"{port.section.host}:{number}",
                environments=",".join(port.environments), tls=port.section.tls is not None,
            )  # fmt: skip

    async def _stop_listener(self, server: MllpServer, port: Port, number: int) -> None:
        before = server.statistics()
        self.journal.emit(Event.LISTENER_DRAINING, listener=f"{port.section.host}:{number}", connections=before.open)
        await server.stop()
        after = server.statistics()
        self.journal.emit(Event.LISTENER_STOPPED, listener=f"{port.section.host}:{number}", messages=after.frames)

    # Ticks

    async def _dispatch(self) -> None:
        self._compare_clocks()
        await self.dispatcher.tick()

    def _compare_clocks(self) -> None:
        """Say so when the machine's clock was set: texts leave by the new time from now on."""
        if not isinstance(self.clock, RealClock):
            return
        here = (time.monotonic(), self.clock.now())
        before, self._clocks = self._clocks, here
        if before is not None:
            shift = (here[1] - before[1]).total_seconds() - (here[0] - before[0])
            if abs(shift) > _CLOCK_JUMP_SECONDS:
                self.journal.emit(Event.CLOCK_JUMPED, shift_seconds=round(shift, 1))

    def _guarded(self, where: str, run: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """A tick whose failure is logged and does not end the next one."""

        async def guarded() -> None:
            task = asyncio.current_task()
            if task is not None:
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)
            try:
                await run()
            except Exception as error:
                self._tell_failure(where, error)
            else:
                self._tell_recovery(where)

        return guarded

    def _tell_failure(self, where: str, error: Exception) -> None:
        fault = classify(error)
        if fault is not None and fault.transient:
            if where not in self._down:
                self._down[where] = time.monotonic()
                self.journal.emit(Event.DATABASE_UNAVAILABLE, database=self.store.backend, reason=fault.code)
        elif where == "housekeeping":
            self.journal.emit(
                Event.PURGE_FAILED, reason=fault.code if fault is not None else "INTERNAL", **trace(error)
            )
        else:
            self.journal.emit(Event.INTERNAL_ERROR, where=where, **trace(error))

    def _tell_recovery(self, where: str) -> None:
        since = self._down.pop(where, None)
        if since is not None:
            seconds = round(time.monotonic() - since, 1)
            self.journal.emit(Event.DATABASE_RECOVERED, database=self.store.backend, seconds=seconds)

    async def _finish_busy(self) -> None:
        """Let ticks that are under way end: a text handed to the gateway must be recorded."""
        while self._busy:
            await asyncio.wait(set(self._busy), timeout=10)

    def _beat(self) -> None:
        node = Node(
            name=self.node, roles=",".join(sorted(self.roles)), version=version("carebell"), started_at=self._started_at,
            seen_at=self.clock.now(),
        )  # fmt: skip
        with self.store.write() as conn:
            leases.beat(conn, node)

    # Reload

    def _start_watch(self) -> None:
        path, environ = self.loaded.path, self.environ
        watch = self._watch = Watch(self.loaded, lambda: load_configuration(path, environ))
        task = asyncio.get_running_loop().create_task(self._follow(watch))

        async def end() -> None:
            watch.stop()
            await task

        self._stack.push_async_callback(end)

    def reload(self) -> None:
        """SIGHUP."""
        if self._watch is not None:
            self._watch.reload()

    async def _follow(self, watch: Watch) -> None:
        async for outcome in watch:
            if isinstance(outcome, Loaded):
                await self._take(outcome)
            else:
                first = outcome.problems[0]
                self.metrics.configuration_refused.inc()
                self.journal.emit(
                    Event.CONFIGURATION_REFUSED, problem=first.why, problems=len(outcome.problems), file=_place(first),
                    configuration=self.loaded.version,
                )  # fmt: skip

    async def _take(self, loaded: Loaded) -> None:
        """Put a changed configuration in force, or keep the old one where it is unsound; then plan pending texts again."""
        now = self.clock.now()
        try:
            await asyncio.to_thread(wiring.require_sound, loaded, now)
            force = await asyncio.to_thread(_in_force, loaded, now)
        except ConfigurationStop as stop:
            self.metrics.configuration_refused.inc()
            first = str(stop).splitlines()[0]
            self.journal.emit(Event.CONFIGURATION_REFUSED, problem=first, configuration=self.loaded.version)
            return
        previous = self.loaded
        restart = _needs_restart(previous, loaded)
        for (
            port,
            _,
        ) in self._servers:  # a port whose environments are all gone refuses everything, until a restart closes it
            force.gatekeepers.setdefault(port.key, wiring.gatekeeper(loaded, (), now))
        self.loaded, self._force = loaded, force
        self._reconfigure_listeners(loaded)
        self.journal.emit(
            Event.CONFIGURATION_CHANGED, configuration=loaded.version, previous=previous.version, file=str(loaded.path),
            environments=",".join(force.offices.desks),
        )  # fmt: skip
        self._rotation.changed(now)
        if restart:
            self.journal.emit(Event.RESTART_NEEDED, keys=",".join(restart), configuration=loaded.version)
        if loaded.version != previous.version and "dispatcher" in self.roles:
            for one in force.offices.desks.values():
                await asyncio.to_thread(replan, self.store, self.vault, self.clock, one, self.journal)

    def _reconfigure_listeners(self, loaded: Loaded) -> None:
        """Limits, allow-lists and TLS (certificate renewed, client certificates rotated) count for new connections."""
        now_there = {port.key: port for port in ports(loaded)}
        for before, server in self._servers:
            port = now_there.get(before.key)
            if port is None:
                continue
            section = port.section
            context = tls_context(loaded, port, self.clock) if before.section.tls is not None else None
            server.reconfigure(limits=limits_of(section), allow_from=section.allow_from, tls=context)

    def take_signals(self) -> None:
        """SIGTERM and SIGINT drain, SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _asked(self, number: signal.Signals) -> None:
        self.journal.emit(Event.SERVICE_STOPPING, signal=number.name)
        self.end()


def _in_force(loaded: Loaded, now: datetime) -> _InForce:
    return _InForce(
        loaded=loaded,
        offices=offices(loaded),
        gatekeepers={port.key: wiring.gatekeeper(loaded, port.environments, now) for port in ports(loaded)},
    )


def _later(service: Service, key: str) -> Callable[[], Gatekeeper]:
    """The gatekeeper as configured when it is asked for."""
    return lambda: service._force.gatekeepers[key]


def _needs_restart(before: Loaded, after: Loaded) -> list[str]:
    """Top-level things that a reload does not change."""
    one, other = before.configuration, after.configuration
    changed = [name for name in ("storage", "gateway", "http", "log") if getattr(one, name) != getattr(other, name)]
    if [(port.key, port.section.tls is None) for port in ports(before)] != [
        (port.key, port.section.tls is None) for port in ports(after)
    ]:
        changed.append("listener")
    return changed


def _signature_check(loaded: Loaded) -> SignatureCheck | None:
    account = loaded.configuration.gateway.twilio
    tokens = tuple(token.get_secret_value() for token in twilio_tokens(loaded))
    if not tokens or account.public_url is None:
        return None
    return SignatureCheck(public_url=account.public_url, tokens=tokens)


def _place(problem: Problem) -> str:
    return f"{problem.file}:{problem.line}:{problem.column}"


def _marker(loaded: Loaded) -> Path:
    key_file = loaded.configuration.storage.key_file
    return key_file.with_name(f".{key_file.name}.pulse")


def _control_ids() -> Callable[[], str]:
    """MSH-10 of our answers: unique, 20 characters at most for old receivers."""
    start, count = secrets.token_hex(4).upper(), iter(range(1, 10**11))
    return lambda: f"{start}{next(count):011d}"


def _in_thread(work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    return lambda: asyncio.to_thread(work)
