"""A worker: one of the processes that serve the connections of a service's ports. Its supervisor started it (`carebell.workers`).

It has the listeners' share of the service and nothing else: it receives, verifies, commits and answers. It binds no address, sends
no text and watches no file. It ends when its supervisor says so, and at once when its supervisor is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap import components
from carebell.bootstrap.active_config import ActiveConfig, activate
from carebell.bootstrap.descriptors import of_worker, raise_limit
from carebell.bootstrap.intake import MessageIntake
from carebell.bootstrap.process_setup import event_loop_factory, open_journal
from carebell.exits import OK, REFUSED, ConfigurationStop, Stop
from carebell.inbound.listeners import TlsContexts, ports, tls_contexts
from carebell.inbound.own_servers import OwnServers
from carebell.maintenance.supervisor import Supervisor
from carebell.outbound.dispatcher import LEASE
from carebell.outbound.in_flight import InFlight
from carebell.outbound.posts_elsewhere import PostsElsewhere
from carebell.workers import messages
from carebell.workers.channel import Channel
from config.bounded_work import BoundedThread
from config.digests import digests_of
from config.load import Loaded
from journal.events.service import ServiceFailed
from journal.logs import Journal
from journal.metric_changes import MetricChanges
from journal.metrics import Metrics
from journal.repeats import ROUND_SECONDS, RepeatLimiter
from journal.traces import Hooks, trace
from listener.connection import Connection
from listener.connection_register import ConnectionRegister, source_of
from listener.incidents import Peer
from listener.limits import Share
from listener.server import MllpServer
from scheduler.clock import Clock
from store.faults import StoreFault, classify

READ_SECONDS: Final = 30.0
REPORT_EVERY: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1


def run(descriptor: int) -> int:
    """Work until the supervisor says that it is over. `descriptor`: of the channel to it."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # sent to the whole group; the supervisor acts on them
        signal.signal(number, signal.SIG_IGN)
    # The closed channel ends a worker too, but only if its loop still runs.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        return runner.run(_main(sock))


async def _main(sock: socket.socket) -> int:
    inbox: asyncio.Queue[tuple[Any, socket.socket | None]] = asyncio.Queue()
    channel = Channel(sock, lambda message, passed: inbox.put_nowait((message, passed)), _supervisor_is_gone)
    start, _ = await inbox.get()
    if not isinstance(start, messages.StartWorker):
        return REFUSED
    metrics, clock = Metrics(), start.clock
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(open_journal(start.loaded, clock, metrics))
            hooks = stack.enter_context(Hooks(journal))
            asyncio.get_running_loop().set_exception_handler(hooks.loop_handler)
            worker = Worker(start, channel, journal, metrics, clock)
            await worker.open()
        except Exception as error:
            channel.send(_failed(error))
            await channel.flush()
            return REFUSED
        gc.collect()
        gc.freeze()  # as `serve` does
        channel.send(messages.WorkerReady())
        await worker.run(inbox)
        await channel.flush()
    return OK


def _supervisor_is_gone() -> None:
    """Nobody drains or replaces this process any more. What it has not answered is sent again."""
    os._exit(REFUSED)


def _failed(error: Exception) -> messages.StartFailed:
    if not isinstance(error, Stop):
        fault = classify(error)
        if fault is None:
            return messages.StartFailed(problem=f"a worker cannot start: {type(error).__name__}", code=REFUSED)
        error = components.stop_for(fault)
    return messages.StartFailed(problem=str(error), code=error.exit_code)


class Worker:
    """One worker, once it knows what to run."""

    def __init__(
        self, start: messages.StartWorker, channel: Channel, journal: Journal, metrics: Metrics, clock: Clock
    ) -> None:
        self._channel = channel
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._loaded = start.loaded
        self._share = Share(index=start.index, count=start.count)
        self._node = start.node
        self._repeats = RepeatLimiter(journal, start.count)
        self._changes = MetricChanges(metrics.registry)
        self._reader = BoundedThread("reload", READ_SECONDS)
        self._prepared: tuple[ActiveConfig, TlsContexts] | None = None
        self._servers: dict[str, MllpServer] = {}  # by the port's key
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = False
        self._lost_lines = 0  # as reported
        self._arrived: dict[str, tuple[int, timedelta]] = {}
        descriptors = of_worker(raise_limit())
        self._shared = ConnectionRegister[Connection](
            limit=descriptors.connections, limit_per_source=descriptors.per_source
        )
        for source in start.sources:
            self._shared.known.add(source)

    async def open(self) -> None:
        """Open the database and everything that the configuration needs. Stop: it cannot be used."""
        loaded = self._loaded
        self._active, contexts = await self._reader.run(partial(_read, loaded, self._clock))
        self._store = components.open_database(loaded, upgrade=False)
        self._vault = components.open_vault(loaded)
        self._loop = asyncio.get_running_loop()
        self._supervisor = Supervisor(journal=self._journal, metrics=self._metrics, seconds=self._loop.time)
        in_flight = InFlight(PostsElsewhere(self._store, self._clock, self._journal, node=None, longest=LEASE))
        self._intake = MessageIntake(
            store=self._store,
            vault=self._vault,
            runtime_config=lambda: self._active.runtime_config,
            validator=lambda key: self._active.validators.get(key, self._active.idle),
            clock=self._clock,
            in_flight=in_flight,
            known_source=self._known_source,
            journal=self._journal,
            repeats=self._repeats,
            metrics=self._metrics,
            on_fatal=self._fatal,
            arrived=self._message_arrived,
        )
        self._intake.start(self._supervisor)
        self._own = OwnServers(
            handler=self._intake.handler,
            shared=self._shared,
            repeats=self._repeats,
            metrics=self._metrics,
            share=self._share,
            closed_one=self._closed_one,
        )
        self._serve(contexts)

    async def run(self, inbox: asyncio.Queue[tuple[Any, socket.socket | None]]) -> None:
        """Do what the supervisor says, until it is `EndWorker`."""
        reporting = asyncio.create_task(self._report())
        while True:
            message, passed = await inbox.get()
            match message:
                case messages.ConnectionPassed():
                    self._connected(message, passed)
                case messages.SourceKnown():
                    self._shared.known.add(message.source)
                case messages.PrepareConfig():
                    self._start(self._prepare(message.attempt, message.loaded))
                case messages.AbandonConfig():
                    self._prepared = None
                case messages.ActivateConfig():
                    self._activate()
                case messages.DrainPort():
                    self._start(self._drain(message.port))
                case messages.EndWorker():
                    break
        reporting.cancel()
        await self._intake.stop()
        self._repeats.finish_round()
        self._say()
        self._store.close()

    def _connected(self, message: messages.ConnectionPassed, sock: socket.socket | None) -> None:
        server = self._servers.get(message.port)
        if server is None or sock is None:  # the port was drained meanwhile; or no descriptor was free
            if sock is not None:
                sock.close()
            self._channel.send(messages.ConnectionEnded(port=message.port, source=source_of(message.address[0])))
            return
        server.admit(sock, message.address)

    def _closed_one(self, port: str, peer: Peer) -> None:
        self._channel.send(messages.ConnectionEnded(port=port, source=peer.source))

    def _known_source(self, source: str) -> None:
        if source not in self._shared.known:
            self._channel.send(messages.SourceKnown(source=source))
        self._shared.known.add(source)

    # The configuration

    async def _prepare(self, attempt: int, loaded: Loaded) -> None:
        problem: str | None = None
        try:
            self._prepared = await self._reader.run(partial(_read, loaded, self._clock))
        except Stop as stop:
            problem = str(stop)
        except TimeoutError as error:
            problem = f"a file that it names cannot be read: {error}"
        self._channel.send(messages.ConfigPrepared(attempt=attempt, problem=problem))

    def _activate(self) -> None:
        assert self._prepared is not None
        self._active, contexts = self._prepared
        self._loaded, self._prepared = self._active.loaded, None
        self._serve(contexts)
        self._channel.send(messages.ConfigActivated())

    def _serve(self, contexts: TlsContexts) -> None:
        """Make the servers of new ports and change the others. Those of removed ports stay until they are drained."""
        for port in ports(self._loaded):
            server = self._servers.get(port.key)
            if server is None:
                self._servers[port.key] = self._own.make(port, contexts[port.key])
            else:
                self._own.reconfigure(server, port, contexts[port.key])

    async def _drain(self, key: str) -> None:
        server = self._servers.pop(key, None)
        frames = 0
        if server is not None:
            await server.stop()
            frames = server.frames
        self._channel.send(messages.PortDrained(port=key, messages=frames))

    # The rest

    async def _report(self) -> None:
        """Say every second that this process lives, and what it counted. Every half minute write how many log lines were held back,
        and keep no key of a day that is over."""
        rounds = 0.0
        while True:
            self._say()
            await asyncio.sleep(REPORT_EVERY)
            rounds += REPORT_EVERY
            if rounds >= ROUND_SECONDS:
                rounds = 0.0
                self._repeats.finish_round()
                self._vault.close_before(self._clock.now())

    def _say(self) -> None:
        arrived, self._arrived = self._arrived, {}
        lost, self._lost_lines = self._journal.lost_lines - self._lost_lines, self._journal.lost_lines
        self._channel.send(
            messages.WorkerReported(
                changes=self._changes.take(),
                arrived=arrived,
                committing=self._intake.committing,
                down=dict(self._supervisor.down()),
                lost_lines=lost,
            )
        )

    def _message_arrived(self, environment: str, delay: timedelta) -> None:
        count, least = self._arrived.get(environment, (0, delay))
        self._arrived[environment] = count + 1, min(least, delay)

    def _fatal(self, fault: StoreFault) -> None:
        """The content of the database is no longer known. Called from any thread, once or more often."""
        if not self._failed:
            self._failed = True
            self._journal.emit(ServiceFailed(reason=fault.code, problem=str(fault), trace=trace(fault)))
        self._loop.call_soon_threadsafe(self._channel.send, messages.DatabaseLost(problem=str(fault)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _read(loaded: Loaded, clock: Clock) -> tuple[ActiveConfig, TlsContexts]:
    """Read what a configuration needs.

    ConfigurationStop: it cannot be used, or a certificate or TLS file is not what it was when the configuration was read, so that
    this worker would trust others than the rest of the service does.
    """
    changed = [path.name for path in _trusted(loaded) if digests_of([path])[path] != loaded.digests.get(path)]
    if changed:
        raise ConfigurationStop(
            f"{', '.join(changed)}: changed since the configuration was read, and that change is not in force"
        )
    now = clock.now()
    return activate(loaded, now), tls_contexts(loaded, now)


def _trusted(loaded: Loaded) -> Iterable[Path]:
    for environment in loaded.configuration.environments.values():
        yield from environment.certificates
        tls = environment.listener.tls
        if tls is not None:
            yield from (path for path in (tls.certificate, tls.key, tls.client_ca) if path is not None)
