"""The service: everything that one node runs, started and stopped as a whole. The one wiring file; tests build it with fakes.

    listeners ─> handler ─> committer (store), here or in workers           portal: webhooks, health, metrics
    periodic tasks ─> dispatcher, reconciliation, retention (threads)       watch: configuration changes

Order of stopping: first the listeners drain (messages in flight are committed and answered), then the periodic tasks end, then the
database closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from carebell import authors
from carebell.bootstrap import components, config_record, preflight
from carebell.bootstrap.active_config import ActiveConfig, activate, note_in_force, waits_for_restart
from carebell.bootstrap.descriptors import Descriptors, raise_limit, share_out, share_out_to_workers, too_large
from carebell.bootstrap.intake import MessageIntake
from carebell.bootstrap.reload import Reloader
from carebell.bootstrap.service_manager import ServiceManager
from carebell.build_in_use import build_in_use
from carebell.environment_policy import RuntimeConfig
from carebell.exits import Stop
from carebell.inbound.listeners import Listeners, Port, PortServers, listening_ports, ports, tls_contexts, why_not
from carebell.inbound.own_servers import OwnServers
from carebell.maintenance.alarm_watch import AlarmWatch
from carebell.maintenance.certificates import CertificateMonitor
from carebell.maintenance.clock_differences import ClockDifferences
from carebell.maintenance.clock_guard import doubt_of
from carebell.maintenance.health import NodeHealth, RunningWorkers
from carebell.maintenance.node_alarms import NodeAlarms
from carebell.maintenance.overdue import OverdueWatch
from carebell.maintenance.periodic import ClockComparison, Pace, PeriodicTask, PeriodicTasks, in_thread
from carebell.maintenance.retention import Retention
from carebell.maintenance.signs_of_life import SignsOfLife
from carebell.maintenance.supervisor import BackgroundTask, Supervisor
from carebell.outbound.delivery import DeliveryRecorder
from carebell.outbound.dispatcher import LEASE, Dispatcher, recipient_of
from carebell.outbound.in_flight import InFlight
from carebell.outbound.invalid_numbers import InvalidNumbers
from carebell.outbound.posting import WorkerThreads
from carebell.outbound.posts_elsewhere import PostsElsewhere
from carebell.outbound.reconciliation import Reconciliation
from carebell.outbound.replan import ReminderReplanner
from carebell.outbound.webhooks import Webhooks
from carebell.workers.pool import WorkerPool
from carebell.workers.shared_port import SharedPorts
from config.load import Loaded
from config.load import load as load_configuration
from config.watch import Watch
from journal.events.configuration import ConfigurationLoaded, ConfigurationWarning, DescriptorsShared
from journal.events.database import DatabaseUpgraded
from journal.events.gateway import HoldStarted
from journal.events.service import (
    AuditHead,
    InternalError,
    ServiceFailed,
    ServiceStarted,
    ServiceStopped,
    ServiceStopping,
)
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import ROUND_SECONDS, RepeatLimiter
from journal.traces import trace
from listener.connection import Connection
from listener.connection_register import ConnectionRegister
from notifier.gateway import Gateway
from portal.app import build
from portal.http_limits import HttpLimits
from portal.server import serve as serve_http
from scheduler.clock import AcceleratedClock, Clock, RealClock
from scheduler.sms import HoldScope
from store import audit, holds, leases, restore_detection, simulated_clock
from store.audit import RESTORED, AuditAction, Head
from store.engine import Store
from store.faults import StoreFault, classify
from store.holds import Hold
from store.leases import Node
from store.vault import Vault

_NOTE_EVERY: Final = timedelta(days=1)
_RELOAD_ENDS: Final = 1.0
"""Seconds that a reload under way has when the service is told to end."""
ROLES: Final = ("listener", "dispatcher", "portal", "housekeeping")
_HELD_AFTER_RESTORE: Final = (
    "the database looks like an old backup, or like a new database instead of one that this key file has seen"
)


@dataclass(slots=True, kw_only=True)
class Service:
    """One node. `start()`, then `wait()` until something ends it, then `stop()`.

    Attributes:
        workers: how many processes serve HL7 connections; 1: this one does it itself.
        http: (host, port) of the portal, once started.
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
    http: tuple[str, int] | None = None
    dispatcher: Dispatcher = field(init=False)
    retention: Retention = field(init=False)
    store: Store = field(init=False)
    vault: Vault = field(init=False)
    _active: ActiveConfig = field(init=False)
    _listeners: Listeners = field(init=False)
    _clocks: ClockDifferences = field(init=False)
    _supervisor: Supervisor = field(init=False)
    _periodic: PeriodicTasks = field(init=False)
    _intake: MessageIntake | None = None
    _repeats: RepeatLimiter = field(init=False)
    _started_at: datetime = field(init=False)
    _configured_at: datetime = field(init=False)
    _started_with: Loaded = field(init=False)
    _noted: tuple[Loaded, datetime] | None = None  # the configuration last stored as in force, and when
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str | None = None
    _failed: bool = False
    _up: bool = False
    _reload_asked: bool = False
    _audit_head: Head | None = None  # of the audit log, as last written to the log
    _upgraded_to: str | None = None  # the tables' version, if this start upgraded them
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _pool: WorkerPool | None = None
    _watch: Watch | None = None
    _following: BackgroundTask | None = None

    @property
    def runtime_config(self) -> RuntimeConfig:
        return self._active.runtime_config

    @property
    def ports(self) -> list[tuple[Port, int]]:
        """(port, number it listens on), once started."""
        return self._listeners.opened

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
            await self._end_reload()
            self.dispatcher.end()
            # Together, since each may take its seconds: what is in flight at the ports, and texts that are being posted.
            await asyncio.gather(self._listeners.close(), self._periodic.finish())
            await self._audit_end()
            with contextlib.suppress(Exception):  # the database is away, say: the heartbeat ages by itself
                await asyncio.to_thread(self._leave)
        await self._stack.aclose()
        self.journal.emit(ServiceStopped(reason=self._failure or "asked", seconds=round(time.monotonic() - began, 2)))

    def _audit_start(self) -> None:
        """Record that the service has started. Blocking."""
        roles = ",".join(sorted(self.roles))
        after = f"version {version('carebell')}, roles {roles}, configuration {self.loaded.version}"
        self._audit(AuditAction.SERVICE_START, subject=self.node, after=after)

    async def _audit_end(self) -> None:
        """Record that the service ends. It ends nevertheless where the database takes no entry."""

        def record() -> None:
            self.retention.finish()
            self._audit(AuditAction.SERVICE_STOP, subject=self.node, after=self._failure or "asked")
            self._beat()

        try:
            await asyncio.to_thread(record)
        except Exception as error:
            if classify(error) is None:
                self.journal.emit(InternalError(where="main", trace=trace(error)))

    # Starting; stopping happens in the reverse order

    async def _start(self) -> None:
        loaded, journal, stack = self.loaded, self.journal, self._stack
        self._started_with = loaded
        self._loop = asyncio.get_running_loop()
        now = self.clock.now()
        for finding in preflight.require_sound(loaded, now):
            problem = finding.problem
            journal.emit(ConfigurationWarning(problem=problem.why, file=str(problem.place)))
        descriptors = self._share_descriptors()
        self._active = activate(loaded, now)
        self.vault = components.open_vault(loaded)
        self.store = components.open_database(loaded, upgrade=True, on_upgrade=self._database_upgraded)
        stack.callback(self.store.close)
        components.require_own_keys(loaded, self.store, self.vault)
        self._clocks = ClockDifferences(
            now=self.clock.now,
            seconds=time.monotonic,
            database_time=self.store.server_time,
            is_real=isinstance(self.clock, RealClock),
        )
        gateway = self.gateway or components.open_gateway(loaded, self.clock, self._clocks.gateway_answered)
        stack.callback(gateway.close)
        threads = WorkerThreads(descriptors.gateway)
        stack.callback(threads.end)
        supervisor = self._supervisor = Supervisor(journal=journal, metrics=self.metrics, seconds=time.monotonic)
        self._periodic = PeriodicTasks(
            journal=journal,
            database=self.store.backend,
            seconds=time.monotonic,
            supervisor=supervisor,
            on_fatal=self._fatal,
        )
        stack.push_async_callback(self._periodic.finish)
        self._note_clock()
        self._started_at = self._configured_at = now
        if self._upgraded_to is not None:
            self._audit(AuditAction.DB_UPGRADE, subject=self.store.backend, after=self._upgraded_to)
        self._beat()
        self._hold_after_restore(now)
        if self.store.locks is not None:
            self.store.locks.mark(self.node)
        in_flight = InFlight(PostsElsewhere(self.store, self.clock, journal, node=self.node, longest=LEASE))
        delivery = DeliveryRecorder(
            journal,
            self.metrics,
            InvalidNumbers(vault=self.vault, runtime_config=lambda: self.runtime_config),
            ReminderReplanner(vault=self.vault, runtime_config=lambda: self.runtime_config),
        )
        self.dispatcher = Dispatcher(
            store=self.store,
            vault=self.vault,
            runtime_config=lambda: self.runtime_config,
            gateway=gateway,
            delivery=delivery,
            clock=self.clock,
            node=self.node,
            threads=threads,
            at_once=descriptors.gateway,
            in_flight=in_flight,
            journal=journal,
            metrics=self.metrics,
            seconds=time.monotonic,
        )
        rotation = CertificateMonitor(
            store=self.store, loaded=lambda: self.loaded, journal=journal, metrics=self.metrics
        )
        rotation.started(now)
        self.retention = Retention(
            store=self.store,
            vault=self.vault,
            clock=self.clock,
            node=self.node,
            marker=_marker(loaded),
            journal=journal,
            certificates=rotation.look,
            keep_audit=lambda: self.loaded.configuration.audit.keep,
            forgotten=self.metrics.phones_forgotten.inc,
            doubt=doubt_of(self.clock, self.store, journal),
        )
        reconciliation = Reconciliation(
            store=self.store,
            vault=self.vault,
            runtime_config=lambda: self.runtime_config,
            gateway=gateway,
            delivery=delivery,
            clock=self.clock,
            journal=journal,
            recipient=recipient_of,
        )
        self._repeats = RepeatLimiter(journal)
        stack.callback(self._repeats.finish_round)
        self._listeners = Listeners(journal)
        await self._start_portal(delivery, descriptors)
        await self._start_listeners(in_flight, descriptors)
        self._start_periodic(reconciliation)
        if self.reloads:
            self._start_watch(rotation)
        await asyncio.to_thread(self._audit_start)
        self._up = True

    def _share_descriptors(self) -> Descriptors:
        """Divide the descriptors of this process, and log how many connections are possible."""
        limit, listeners = raise_limit(), len(ports(self.loaded))
        shared = self.workers > 1
        descriptors = share_out_to_workers(limit, listeners, self.workers) if shared else share_out(limit, listeners)
        self.journal.emit(
            DescriptorsShared(
                limit=descriptors.limit,
                kept=descriptors.kept,
                connections=descriptors.connections,
                per_peer=descriptors.per_source,
            )
        )
        for problem in too_large(self.loaded, descriptors):
            self.journal.emit(ConfigurationWarning(problem=problem.why, file=str(problem.place)))
        return descriptors

    def _audit(self, action: AuditAction, *, subject: str, after: str) -> None:
        with self.store.write() as conn:
            audit.append(conn, authors.service(self.node), action, subject=subject, after=after, at=self.clock.now())

    def _database_upgraded(self, backend: str, version: str, seconds: float) -> None:
        self._upgraded_to = version
        self.journal.emit(DatabaseUpgraded(database=backend, version=version, seconds=round(seconds, 2)))

    def _note_clock(self) -> None:
        """Store a rehearsal's clock, so that commands use the same time."""
        with self.store.write() as conn:
            if isinstance(self.clock, AcceleratedClock):
                simulated_clock.note(conn, shown=self.clock.now(), real=datetime.now(UTC), speed=self.clock.speed)
            else:
                simulated_clock.clear(conn)

    def _hold_after_restore(self, now: datetime) -> None:
        """Hold texts after an old backup was restored: it does not know what was sent since, so a person must decide (F21)."""
        with self.store.write() as conn:
            finding = restore_detection.assess(conn, _marker(self.loaded), now)
            if finding == "fine":
                return
            held = Hold(scope=HoldScope.ALL, name="", reason=_HELD_AFTER_RESTORE, actor="service", since=now)
            placed = holds.hold(conn, held)
            # Recorded also where the backup holds texts already: `audit verify` must tell a restore from tampering.
            audit.append(
                conn,
                authors.service(self.node),
                AuditAction.HOLD_PLACE,
                subject="all",
                after=f"{RESTORED}: {finding}",
                at=now,
            )
            if placed:
                self.journal.emit(HoldStarted(environment=None, reason=finding, source="restore", actor=None))

    async def _start_portal(self, delivery: DeliveryRecorder, descriptors: Descriptors) -> None:
        section = self.loaded.configuration.http
        if "portal" not in self.roles or not section.enabled:
            return
        webhooks = Webhooks(
            store=self.store,
            vault=self.vault,
            delivery=delivery,
            clock=self.clock,
            journal=self.journal,
            repeats=self._repeats,
            metrics=self.metrics,
        )
        node_health = NodeHealth(
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            supervisor=self._supervisor,
            periodic=self._periodic,
            connections=self._listeners.connections,
            listens=lambda: "listener" not in self.roles or bool(self._listeners.opened),
            workers=self._running_workers,
            overdue_after=self._overdue_after,
        )
        app = build(
            webhooks=components.open_webhooks(self.loaded),
            on_status=webhooks.on_status,
            on_inbound=webhooks.on_inbound,
            health=node_health.health,
            metrics=node_health.render,
            report=webhooks.report,
        )
        limits = HttpLimits(connections=descriptors.http)
        try:
            self.http = await self._stack.enter_async_context(
                serve_http(
                    app,
                    section.host,
                    section.port,
                    webhooks.closed,
                    limits,
                    spawn=lambda work, is_over: self._supervisor.start("http", work, is_over=is_over),
                )
            )
        except OSError as error:
            place = self.loaded.where(("http", "port"))
            raise Stop(f"{place}: cannot listen on {section.host}:{section.port}: {why_not(error)}") from None

    def _running_workers(self) -> RunningWorkers | None:
        if "listener" not in self.roles:
            return None
        return RunningWorkers() if self._pool is None else self._pool.running()

    def _overdue_after(self) -> timedelta:
        return self.loaded.configuration.alarms.overdue_after

    def _tasks_down(self) -> dict[str, int]:
        """Background tasks that wait to be started again, of workers too: name -> restarts. A worker that is being started for the
        first time has not ended."""
        return {**self._supervisor.down(), **(self._pool.down() if self._pool is not None and self._up else {})}

    def _unreadable_days(self) -> int:
        with self.store.read() as conn:
            return len(self.vault.unreadable_days(conn))

    def _alarm_watch(self) -> AlarmWatch:
        own = NodeAlarms(
            loaded=lambda: self.loaded,
            node=self.node,
            host=os.uname().nodename,
            down=self._tasks_down,
            stalled=self._periodic.stalled,
            signature_failures=self.metrics.signature_failures,
            lost_lines=lambda: self.journal.lost_lines + (self._pool.lost_lines if self._pool else 0),
            dropped_fields=self.metrics.dropped_fields,
            clock_differences=self._clocks,
            unreadable_days=self._unreadable_days,
            seconds=time.monotonic,
        )
        return AlarmWatch(
            store=self.store,
            clock=self.clock,
            loaded=lambda: self.loaded,
            node=self.node,
            host=own.host,
            own=own,
            journal=self.journal,
            metrics=self.metrics,
        )

    def _start_periodic(self, reconciliation: Reconciliation) -> None:
        pace, periodic = self.pace, self._periodic

        async def tell_repeats() -> None:
            self._repeats.finish_round()

        clocks = ClockComparison(self.clock, self.journal, time.monotonic, periodic.run_now)
        tasks = [
            PeriodicTask(name="clock", seconds=pace.clock, run=clocks.look),
            PeriodicTask(name="beat", seconds=pace.beat, run=in_thread(self._beat)),
            PeriodicTask(name="repeats", seconds=ROUND_SECONDS, run=tell_repeats),
            PeriodicTask(name="alarms", seconds=pace.alarms, run=in_thread(self._alarm_watch().round)),
        ]
        if "dispatcher" in self.roles:
            overdue = OverdueWatch(
                store=self.store,
                clock=self.clock,
                journal=self.journal,
                metrics=self.metrics,
            )

            async def dispatch() -> None:
                await self.dispatcher.tick()

            tasks.append(PeriodicTask(name="dispatch", seconds=pace.dispatch, run=dispatch))
            tasks.append(PeriodicTask(name="overdue", seconds=pace.overdue, run=in_thread(overdue.round)))
            tasks.append(
                PeriodicTask(name="reconciliation", seconds=pace.reconciliation, run=in_thread(reconciliation.round))
            )
        if "housekeeping" in self.roles:
            tasks.append(PeriodicTask(name="housekeeping", seconds=pace.purge, run=in_thread(self.retention.round)))
        if self.manager.ping_every is not None:
            signs = SignsOfLife(
                supervisor=self._supervisor,
                periodic=periodic,
                committing=lambda: 0.0 if self._intake is None else self._intake.committing,
                send=self.manager.alive,
                journal=self.journal,
            )
            tasks.append(PeriodicTask(name="watchdog", seconds=self.manager.ping_every, run=signs.look))
        for task in tasks:
            periodic.start(task)
        self._stack.callback(periodic.close)
        self._stack.callback(self.dispatcher.end)

    def _beat(self) -> None:
        """This node lives, and on which configuration; where the database is away the next beat makes up for it."""
        now, loaded, since = self.clock.now(), self.loaded, self._configured_at
        self.vault.close_before(now)  # of a node that does not forget itself
        node = Node(
            name=self.node,
            roles=",".join(sorted(self.roles)),
            version=version("carebell"),
            started_at=self._started_at,
            seen_at=now,
            configuration=loaded.version,
            configured_at=since,
            restart_for=",".join(waits_for_restart(self._started_with, loaded)) or None,
        )
        noted = self._noted
        due = noted is None or noted[0] is not loaded or not noted[1] <= now < noted[1] + _NOTE_EVERY
        facts = config_record.facts_of(loaded, self.vault.ring, now) if due else None
        with self.store.write() as conn:
            leases.beat(conn, node)
            if facts is not None:
                note_in_force(conn, loaded, since=since, now=now)
                config_record.record(conn, facts, authors.editor(loaded.path, self.node), at=now)
            head = audit.head(conn)
        if due:
            self._noted = (loaded, now)
        if head != self._audit_head:
            self._audit_head = head
            self.journal.emit(AuditHead(seq=head.seq, hash=head.hash))

    def _leave(self) -> None:
        """This node no longer runs: `status` and `doctor` need not wait until its heartbeat is old."""
        with self.store.write() as conn:
            leases.leave(conn, self.node)

    async def _start_listeners(self, in_flight: InFlight, descriptors: Descriptors) -> None:
        if "listener" not in self.roles:
            return
        contexts = tls_contexts(self.loaded, self.clock.now())
        servers: PortServers
        ready: Callable[[], Awaitable[None]] | None = None
        if self.workers > 1:
            pool = self._pool = WorkerPool(
                count=self.workers,
                node=self.node,
                clock=self.clock,
                journal=self.journal,
                metrics=self.metrics,
                on_fatal=self.end,
                arrived=self._clocks.messages_arrived,
            )
            self._stack.push_async_callback(pool.stop)
            servers = SharedPorts(pool=pool, repeats=self._repeats, metrics=self.metrics)
            ready = partial(pool.start, self.loaded)
        else:
            shared = ConnectionRegister[Connection](
                limit=descriptors.connections, limit_per_source=descriptors.per_source
            )
            intake = self._own_intake(in_flight, shared.known.add)
            servers = OwnServers(handler=intake.handler, shared=shared, repeats=self._repeats, metrics=self.metrics)
        self._stack.push_async_callback(self._listeners.close)
        await self._listeners.open(self.loaded, contexts, servers, ready)

    def _own_intake(self, in_flight: InFlight, known_source: Callable[[str], None]) -> MessageIntake:
        intake = self._intake = MessageIntake(
            store=self.store,
            vault=self.vault,
            runtime_config=lambda: self.runtime_config,
            validator=lambda key: self._active.validators.get(key, self._active.idle),
            clock=self.clock,
            in_flight=in_flight,
            known_source=known_source,
            journal=self.journal,
            repeats=self._repeats,
            metrics=self.metrics,
            on_fatal=self._fatal,
            arrived=self._clocks.message_arrived,
        )
        intake.start(self._supervisor)
        self._stack.push_async_callback(intake.stop)
        return intake

    def _fatal(self, fault: StoreFault) -> None:
        """The content of the database is no longer known: end the process. Called from any thread, once or more often."""
        if not self._failed:
            self._failed = True
            self.journal.emit(ServiceFailed(reason=fault.code, problem=str(fault), trace=trace(fault)))
        self._loop.call_soon_threadsafe(self.end, str(fault))

    def _start_watch(self, rotation: CertificateMonitor) -> None:
        path, environ = self.loaded.path, self.environ
        watch = self._watch = Watch(self.loaded, lambda: load_configuration(path, environ))
        reloading = Reloader(
            started=self._started_with,
            present=lambda: self._active,
            put=self._put_in_force,
            listeners=self._listeners,
            rotation=rotation,
            store=self.store,
            vault=self.vault,
            clock=self.clock,
            journal=self.journal,
            metrics=self.metrics,
            replans="dispatcher" in self.roles,
            beat=self._beat,
            done=self.manager.reloaded,
            workers=self._pool,
        )
        if self._reload_asked:
            watch.reload()
        self._following = self._supervisor.start(
            "reload", lambda: reloading.follow(watch), is_over=lambda: watch.stopped
        )
        self._stack.push_async_callback(self._end_reload)

    async def _end_reload(self) -> None:
        """A reload under way has a moment to come to its end; a file server may never let it."""
        following, watch = self._following, self._watch
        if following is None or following.task is None or watch is None:
            return
        watch.stop()
        await asyncio.wait({following.task}, timeout=_RELOAD_ENDS)
        following.task.cancel()
        await following

    def _put_in_force(self, force: ActiveConfig) -> None:
        if force.loaded.version != self.loaded.version:
            self._configured_at = self.clock.now()
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
        connections = sum(self._listeners.connections().values()) if self._up else 0
        self.journal.emit(ServiceStopping(signal=signal_name, connections=connections))
        self.manager.stopping()
        self.end()


def _marker(loaded: Loaded) -> Path:
    storage = loaded.configuration.storage
    return storage.marker_file or storage.key_file.with_name(f".{storage.key_file.name}.pulse")
