"""The service: everything that one node runs, started and stopped as a whole. The one wiring file; tests build it with fakes.

    receiving: listeners ─> handler ─> committer (store), here or in workers      doors: webhooks, health, metrics; pages
    periodic tasks ─> dispatcher, reconciliation, retention (threads)             watch: configuration changes

Order of stopping: first the listeners drain (messages in flight are committed and answered), then the periodic tasks end, then the
database closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from carebell.bootstrap import components, preflight, service_audit
from carebell.bootstrap.active_config import ActiveConfig, activate
from carebell.bootstrap.config_sync import VersionFollower
from carebell.bootstrap.descriptors import Descriptors, share
from carebell.bootstrap.doors import Address, Door, DoorName, open_doors
from carebell.bootstrap.heartbeat import Heartbeat
from carebell.bootstrap.http_door import HttpDoor, node_health
from carebell.bootstrap.node_alarm_watch import alarm_watch
from carebell.bootstrap.outgoing import outgoing_texts, writeback_sender
from carebell.bootstrap.periodic_tasks import periodic_tasks
from carebell.bootstrap.receiving import Receiving
from carebell.bootstrap.reload import Reloader
from carebell.bootstrap.reload_watch import ReloadWatch
from carebell.bootstrap.restored_backup import hold_after_restore, marker
from carebell.bootstrap.running_service import RunningService
from carebell.bootstrap.service_manager import ServiceManager
from carebell.bootstrap.simulated_time import note_clock
from carebell.build_in_use import build_in_use
from carebell.environment_policy import RuntimeConfig
from carebell.inbound.listeners import Port, listening_ports
from carebell.maintenance.alarm_watch import AlarmWatch
from carebell.maintenance.certificates import CertificateMonitor
from carebell.maintenance.clock_differences import ClockDifferences
from carebell.maintenance.clock_guard import doubt_of
from carebell.maintenance.periodic import Pace, PeriodicTask, PeriodicTasks, in_thread
from carebell.maintenance.retention import Retention
from carebell.maintenance.supervisor import Supervisor
from carebell.outbound.dispatcher import Dispatcher
from carebell.outbound.worker_threads import WorkerThreads
from carebell.writeback.sender import WritebackSender
from config.load import Loaded
from config.load import load as load_configuration
from config.watch import Watch
from journal.events.configuration import ConfigurationLoaded, ConfigurationWarning
from journal.events.database import DatabaseUpgraded
from journal.events.service import InternalError, ServiceFailed, ServiceStarted, ServiceStopped, ServiceStopping
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from journal.traces import trace
from notifier.gateway import Gateway
from scheduler.clock import AcceleratedClock, Clock, RealClock
from store.engine import Store
from store.faults import StoreFault, classify
from store.vault import Vault

ROLES: Final = ("listener", "dispatcher", "portal", "housekeeping")


@dataclass(slots=True, kw_only=True)
class Service:
    """One node. `start()`, then `wait()` until something ends it, then `stop()`.

    Attributes:
        workers: how many processes serve HL7 connections; 1: this one does it itself.
        doors: further HTTP doors, opened after the one for webhooks and health.
        addresses: where each open door listens, once started.
        alarms: the alarm watch, once started.
        environ: the process's environment variables, for a reload.
        manager: what started this process, to be told of its life.
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
    manager: ServiceManager = field(default_factory=ServiceManager)
    workers: int = 1
    doors: Sequence[Door] = ()
    addresses: dict[DoorName, Address] = field(init=False, default_factory=dict)
    alarms: AlarmWatch = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    retention: Retention = field(init=False)
    writebacks: WritebackSender = field(init=False)
    store: Store = field(init=False)
    vault: Vault = field(init=False)
    _active: ActiveConfig = field(init=False)
    _running: RunningService = field(init=False)
    _heartbeat: Heartbeat = field(init=False)
    _receiving: Receiving = field(init=False)
    _periodic: PeriodicTasks = field(init=False)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str | None = None
    _failed: bool = False
    _up: bool = False
    _reload_asked: bool = False
    _upgraded_to: str | None = None  # the tables' version, if this start upgraded them
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _watch: ReloadWatch | None = None

    @property
    def runtime_config(self) -> RuntimeConfig:
        return self._active.runtime_config

    @property
    def ports(self) -> list[tuple[Port, int]]:
        """(port, number it listens on), once started."""
        return self._receiving.listeners.opened

    @property
    def http(self) -> Address | None:
        """Where webhooks, health and metrics are, once started."""
        return self.addresses.get("http")

    async def start(self) -> None:
        """Start everything, or raise Stop with one sentence and leave nothing half started."""
        began = time.monotonic()
        self.journal.emit(
            ConfigurationLoaded(
                configuration=self.loaded.version,
                file=str(self.loaded.path),
                environments=",".join(self.loaded.configuration.environments),
            )
        )
        try:
            await self._start()
        except BaseException as error:
            await self._stack.aclose()
            fault = classify(error)
            if fault is None:
                raise
            raise components.stop_for(fault) from None  # a page that was damaged, say, where only this start has looked
        configuration = self.loaded.configuration
        self.journal.emit(
            ServiceStarted(
                version=version("carebell"),
                build=build_in_use(),
                configuration=self.loaded.version,
                roles=",".join(sorted(self.roles)),
                environments=",".join(self.runtime_config.policies),
                database=self.store.backend,
                gateway=configuration.gateway.kind,
                node=self.node,
                speed=self.clock.speed if isinstance(self.clock, AcceleratedClock) else 1,
                seconds=round(time.monotonic() - began, 2),
            )
        )
        self.manager.ready(self._summary())

    def _summary(self) -> str:
        """For `systemctl status`: what this node does, and where."""
        heard = f"listening: {listening_ports(self.ports)}" if self.ports else ",".join(sorted(self.roles))
        return f"{heard}; gateway {self.loaded.configuration.gateway.kind}; {self.store.backend}"

    async def wait(self) -> str | None:
        """Wait for `end()`, a signal or a failure. Return the failure, or None."""
        await self._ended.wait()
        return self._failure

    def end(self, failure: str | None = None) -> None:
        """Let `wait()` return. Call it on the loop's thread."""
        self._failure = self._failure or failure
        self._ended.set()

    async def stop(self) -> None:
        """Drain, answer, finish the work under way, and close. A second call does nothing."""
        began = time.monotonic()
        if self._up:
            self._up = False
            if self._watch is not None:
                await self._watch.end()
            self.dispatcher.end()
            # Together, since each may take its seconds: what is in flight at the ports, and texts that are being posted.
            await asyncio.gather(self._receiving.listeners.close(), self._periodic.finish())
            await self._audit_end()
            with contextlib.suppress(Exception):  # the database is away, say: the heartbeat ages by itself
                await asyncio.to_thread(self._heartbeat.leave)
        await self._stack.aclose()
        self.journal.emit(ServiceStopped(reason=self._failure or "asked", seconds=round(time.monotonic() - began, 2)))

    async def _audit_end(self) -> None:
        """Record that the service ends. It ends nevertheless where the database takes no entry."""

        def record() -> None:
            self.retention.finish()
            service_audit.stopped(self._running, self._failure or "asked")
            self._heartbeat.beat()

        try:
            await asyncio.to_thread(record)
        except Exception as error:
            if classify(error) is None:
                self.journal.emit(InternalError(where="main", trace=trace(error)))

    # Starting; stopping happens in the reverse order

    async def _start(self) -> None:
        loaded, journal, stack = self.loaded, self.journal, self._stack
        self._loop = asyncio.get_running_loop()
        now = self.clock.now()
        for finding in preflight.require_sound(loaded, now):
            problem = finding.problem
            journal.emit(ConfigurationWarning(problem=problem.why, file=str(problem.place)))
        descriptors = share(loaded, self.workers, journal)
        self._active = activate(loaded, now)
        self.vault = components.open_vault(loaded)
        self.store = components.open_database(loaded, upgrade=True, on_upgrade=self._database_upgraded)
        stack.callback(self.store.close)
        components.require_own_keys(loaded, self.store, self.vault)
        clocks = ClockDifferences(
            now=self.clock.now,
            seconds=time.monotonic,
            database_time=self.store.server_time,
            is_real=isinstance(self.clock, RealClock),
        )
        gateway = self.gateway or components.open_gateway(loaded, self.clock, clocks.gateway_answered)
        stack.callback(gateway.close)
        threads = WorkerThreads(descriptors.gateway)
        stack.callback(threads.end)
        supervisor = Supervisor(journal=journal, metrics=self.metrics, seconds=time.monotonic)
        periodic = self._periodic = PeriodicTasks(
            journal=journal,
            database=self.store.backend,
            seconds=time.monotonic,
            supervisor=supervisor,
            on_fatal=self._fatal,
        )
        stack.push_async_callback(periodic.finish)
        repeats = RepeatLimiter(journal)
        stack.callback(repeats.finish_round)
        note_clock(self.store, self.clock)
        running = self._running = self._facts(supervisor, repeats, descriptors)
        self._heartbeat = Heartbeat(running, now)
        if self._upgraded_to is not None:
            service_audit.upgraded(running, self._upgraded_to)
        self._heartbeat.beat()
        hold_after_restore(running, now)
        if self.store.locks is not None:
            self.store.locks.mark(self.node)
        outgoing = outgoing_texts(running, gateway, threads, descriptors.gateway)
        self.dispatcher = outgoing.dispatcher
        self.writebacks = writeback_sender(running)
        stack.push_async_callback(self.writebacks.finish)
        rotation = CertificateMonitor(
            store=self.store, loaded=lambda: self.loaded, journal=journal, metrics=self.metrics
        )
        rotation.started(now)
        self.retention = Retention(
            store=self.store,
            vault=self.vault,
            clock=self.clock,
            node=self.node,
            marker=marker(loaded),
            journal=journal,
            certificates=rotation.look,
            keep_audit=lambda: self.loaded.configuration.audit.keep,
            forgotten=self.metrics.phones_forgotten.inc,
            doubt=doubt_of(self.clock, self.store, journal),
        )
        receiving = self._receiving = Receiving(
            running=running,
            workers=self.workers,
            active=lambda: self._active,
            descriptors=descriptors,
            clocks=clocks,
            on_end=self.end,
            on_fatal=self._fatal,
        )
        health = node_health(running, receiving, periodic, self.writebacks.silent)
        http = HttpDoor(delivery=outgoing.delivery, health=health)
        self.addresses = await open_doors([http, *self.doors], running, stack)
        await receiving.open(outgoing.in_flight, stack)
        self.alarms = alarm_watch(
            running, periodic=periodic, clocks=clocks, tasks_down=self._tasks_down, lost_lines=receiving.lost_lines
        )
        tasks = periodic_tasks(
            running,
            pace=self.pace,
            periodic=periodic,
            beat=self._heartbeat.beat,
            alarm_round=self.alarms.round,
            outgoing=outgoing,
            writebacks=self.writebacks,
            retention=self.retention,
            manager=self.manager,
            committing=receiving.committing,
        )
        for task in tasks:
            periodic.start(task)
        if self.reloads and self.store.backend != "sqlite":  # on SQLite whoever shares the database shares the file
            follow = in_thread(VersionFollower(running, self.environ).follow)
            periodic.start(PeriodicTask(name="configuration", seconds=self.pace.beat, run=follow))
        stack.callback(periodic.close)
        stack.callback(self.dispatcher.end)
        if self.reloads:
            self._start_watch(rotation)
        await asyncio.to_thread(service_audit.started, running)
        self._up = True

    def _facts(self, supervisor: Supervisor, repeats: RepeatLimiter, descriptors: Descriptors) -> RunningService:
        return RunningService(
            node=self.node,
            roles=self.roles,
            store=self.store,
            vault=self.vault,
            clock=self.clock,
            journal=self.journal,
            metrics=self.metrics,
            supervisor=supervisor,
            repeats=repeats,
            loaded=lambda: self.loaded,
            runtime_config=lambda: self.runtime_config,
            http_connections=descriptors.http,
            portal_connections=descriptors.portal,
            join_connections=descriptors.join,
        )

    def _database_upgraded(self, backend: str, version: str, seconds: float) -> None:
        self._upgraded_to = version
        self.journal.emit(DatabaseUpgraded(database=backend, version=version, seconds=round(seconds, 2)))

    def _tasks_down(self) -> dict[str, int]:
        """Background tasks that wait to be started again, of workers too: name -> restarts. A worker that is being started for the
        first time has not ended."""
        pool = self._receiving.pool
        return {**self._running.supervisor.down(), **(pool.down() if pool is not None and self._up else {})}

    def _fatal(self, fault: StoreFault) -> None:
        """The content of the database is no longer known: end the process. Called from any thread, once or more often."""
        if not self._failed:
            self._failed = True
            self.journal.emit(ServiceFailed(reason=fault.code, problem=str(fault), trace=trace(fault)))
        self._loop.call_soon_threadsafe(self.end, str(fault))

    def _start_watch(self, rotation: CertificateMonitor) -> None:
        path, environ = self.loaded.path, self.environ
        watch = Watch(self.loaded, lambda: load_configuration(path, environ))
        reloader = Reloader(
            started=self.loaded,
            present=lambda: self._active,
            put=self._put_in_force,
            listeners=self._receiving.listeners,
            rotation=rotation,
            store=self.store,
            vault=self.vault,
            clock=self.clock,
            journal=self.journal,
            metrics=self.metrics,
            replans="dispatcher" in self.roles,
            beat=self._heartbeat.beat,
            done=self.manager.reloaded,
            workers=self._receiving.pool,
        )
        if self._reload_asked:
            watch.reload()
        self._watch = ReloadWatch(watch, reloader, self._running.supervisor)
        self._stack.push_async_callback(self._watch.end)

    def _put_in_force(self, force: ActiveConfig) -> None:
        if force.loaded.version != self.loaded.version:
            self._heartbeat.configured_at = self.clock.now()
        self.loaded, self._active = force.loaded, force

    # For other code

    def reload(self) -> None:
        """SIGHUP; before there is anything to reload it is done right after the start."""
        self._reload_asked = True
        if self._watch is not None:
            self.manager.reloading()
            self._watch.reload()

    def asked_to_end(self, signal_name: str) -> None:
        """SIGTERM and SIGINT: drain, and end."""
        connections = sum(self._receiving.listeners.connections().values()) if self._up else 0
        self.journal.emit(ServiceStopping(signal=signal_name, connections=connections))
        self.manager.stopping()
        self.end()
