"""The supervisor's side of all workers: starts and watches them, hands them connections, and ends them.

A worker that ends is started again: at once if it had run for a while, otherwise after a pause that grows. It gets the
configuration that is in force, not what the file says at that moment. What it had not answered is sent again by its peers.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from carebell.exits import ConfigurationStop, PermissionStop, Stop, TransientStop
from carebell.maintenance.health import RunningWorkers
from carebell.workers import messages
from carebell.workers.channel import Channel
from carebell.workers.placement import ConnectionCounts, place
from config.load import Loaded
from journal.events.workers import WorkerEnded, WorkerFailed, WorkerStarted
from journal.logs import Journal
from journal.metrics import Metrics
from listener.accepting import BACKLOG
from listener.connection_register import KnownSources
from listener.limits import Share
from scheduler.clock import Clock

START_SECONDS: Final = 60.0
"""The longest time until a worker is ready: it loads the program and reads every file of the configuration."""
PREPARE_SECONDS: Final = 35.0
"""Longer than one process may take to read all files of a configuration (`bootstrap.reload`)."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 60.0
"""Seconds that a worker must have run to be started again without a pause."""
HUNG: Final = 60.0
"""A worker is killed if its loop has not run for so long, or if a commit has not come back. It says something every second; its
start may take as long. A lock is waited for 5 s, and a silent database server 10 s."""
LOOK_EVERY: Final = 5.0
DRAIN_SECONDS: Final = 6.5
"""The workers' own limit is five seconds, and one more for what they had to reset."""
END_SECONDS: Final = 2.0


def command_line() -> list[str]:
    """This process's own command line, to be run again as a worker."""
    return [sys.executable, *sys.orig_argv[1:]]


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerHandle:
    """One worker process, from the supervisor's side.

    Attributes:
        counts: its connections.
        started: set when it is ready; its exception says why it is not.
        heard: when it last said something, by the pool's counter.
        is_ready: whether it takes connections. was_ready: whether it did until its end.
        code: its exit code, once ended; negative: the signal that ended it.
        prepared, activated, drained: what the supervisor waits for.
    """

    index: int
    process: subprocess.Popen[bytes]
    channel: Channel
    counts: ConnectionCounts
    started: asyncio.Future[None]
    began: float
    heard: float
    is_ready: bool = False
    was_ready: bool = False
    hung: bool = False
    committing: float = 0.0
    down: Mapping[str, int] = field(default_factory=dict)
    code: int = 0
    prepared: asyncio.Future[str | None] | None = None
    activated: asyncio.Future[None] | None = None
    drained: dict[str, asyncio.Future[int]] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class WorkerPool:
    """The workers of a service.

    Attributes:
        restarts: how often a worker was started again.
        lost_lines: of the log, by workers.

    Args:
        count: how many.
        node: the service's name in the database. clock: the service's.
        command: what runs a worker; `--worker N` with the number of its descriptor is added.
        on_fatal: called if a worker no longer knows the content of the database; it must end the service.
        arrived: gets an environment, how many of its messages arrived, and their least delay since they were sent.
        seconds: a monotonic counter. sleep: waits so many seconds.
    """

    def __init__(
        self,
        *,
        count: int,
        node: str,
        clock: Clock,
        journal: Journal,
        metrics: Metrics,
        on_fatal: Callable[[str], None],
        arrived: Callable[[str, int, timedelta], None],
        command: Sequence[str] | None = None,
        seconds: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self.count = count
        self.restarts = self.lost_lines = 0
        self._node = node
        self._clock = clock
        self._command = list(command) if command is not None else command_line()
        self._journal = journal
        self._metrics = metrics
        self._on_fatal = on_fatal
        self._arrived = arrived
        self._seconds = seconds
        self._sleep = sleep
        self._loaded: Loaded | None = None
        self._preparing: Loaded | None = None
        self._attempts = 0
        self._settled = asyncio.Event()  # no configuration is being prepared
        self._settled.set()
        self._known = KnownSources()
        self._workers: dict[int, WorkerHandle] = {}
        self._homeless: deque[tuple[socket.socket, Any, str, str, int, int]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._burying: set[asyncio.Task[None]] = set()
        self._closing = False

    # Starting and ending

    async def start(self, loaded: Loaded) -> None:
        """Start all workers, and wait until they are ready. If one cannot start, end all and raise Stop with its reason."""
        self._loaded = loaded
        workers = [self._spawn(index) for index in range(self.count)]
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*(worker.started for worker in workers))
        except TimeoutError:
            await self.stop()
            raise Stop(f"a worker was not ready within {START_SECONDS:g} s") from None
        except BaseException:
            await self.stop()
            raise
        for worker in workers:
            self._run(self._keep(worker))
        self._run(self._watch())

    async def stop(self) -> None:
        """End all workers. Their ports are drained before (`drain_port`). Whoever does not end in time is killed."""
        self._closing = True
        for task in tuple(self._tasks):
            task.cancel()
        workers = list(self._workers.values())
        for worker in workers:
            worker.channel.send(messages.EndWorker())
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await asyncio.gather(*(worker.ended.wait() for worker in workers))
        for worker in workers:
            if not worker.ended.is_set():
                worker.process.kill()
        await asyncio.gather(*(worker.ended.wait() for worker in workers))
        while self._homeless:
            self._homeless.popleft()[0].close()

    def down(self) -> dict[str, int]:
        """What is not there and is started again: `worker 2`, or a task, `committer of worker 1` -> restarts."""
        down = {}
        for worker in tuple(self._workers.values()):
            if not worker.is_ready:
                down[f"worker {worker.index + 1}"] = self.restarts
            down |= {f"{name} of worker {worker.index + 1}": restarts for name, restarts in worker.down.items()}
        return down

    def running(self) -> RunningWorkers:
        """How many take connections."""
        running = sum(worker.is_ready for worker in self._workers.values())
        return RunningWorkers(running=running, wanted=self.count, restarts=self.restarts)

    def connections(self, port: str | None = None) -> int:
        """Open connections of all workers, at one port or at all."""
        counts = [worker.counts for worker in self._workers.values()]
        return sum(own.total if port is None else own.ports[port] for own in counts)

    # Connections

    def hand_over(
        self, sock: socket.socket, address: Any, *, port: str, source: str, limit: int, limit_per_source: int
    ) -> None:
        """Give an accepted socket to a worker. While none is ready, it waits for the first one that is."""
        ready = [worker for worker in self._workers.values() if worker.is_ready]
        if not ready:
            if self._closing or len(self._homeless) >= BACKLOG:
                sock.close()
            else:
                self._homeless.append((sock, address, port, source, limit, limit_per_source))
            return
        counts = [worker.counts for worker in ready]
        worker = ready[place(counts, port, source, limit=limit, limit_per_source=limit_per_source)]
        worker.counts.add(port, source)
        worker.channel.send(messages.ConnectionPassed(port=port, address=address), sock)

    # The configuration

    async def prepare(self, loaded: Loaded) -> str | None:
        """Let every worker read a changed configuration. None: all can use it. Otherwise the problem of the first that cannot."""
        loop = asyncio.get_running_loop()
        self._preparing = loaded
        self._attempts += 1
        self._settled.clear()
        futures = []
        for worker in self._workers.values():
            if not worker.ended.is_set():
                worker.prepared = loop.create_future()
                worker.channel.send(messages.PrepareConfig(attempt=self._attempts, loaded=loaded))
                futures.append(worker.prepared)
        done, pending = await asyncio.wait(futures, timeout=PREPARE_SECONDS) if futures else (set(), set())
        problems = [problem for future in done if (problem := future.result()) is not None]
        if pending:
            problems.append(
                f"{len(pending)} of the workers did not read the configuration within {PREPARE_SECONDS:g} s"
            )
        return problems[0] if problems else None

    def abandon(self) -> None:
        """The prepared configuration is not put in force."""
        self._preparing = None
        self._settled.set()
        for worker in self._workers.values():
            worker.prepared = None
            worker.channel.send(messages.AbandonConfig())

    def activate(self) -> None:
        """Put the prepared configuration in force with every worker. Connections that are handed over later find it there."""
        loop = asyncio.get_running_loop()
        self._loaded, self._preparing = self._preparing, None
        self._settled.set()
        for worker in self._workers.values():
            if not worker.ended.is_set():
                worker.prepared = None
                worker.activated = loop.create_future()
                worker.channel.send(messages.ActivateConfig())

    async def activated(self) -> None:
        """Wait until every worker has put it in force, or has ended."""
        futures = [worker.activated for worker in self._workers.values() if worker.activated is not None]
        if futures:
            await asyncio.wait(futures, timeout=PREPARE_SECONDS)

    async def drain_port(self, port: str) -> int:
        """Let every worker answer what is in flight at a port, and close its connections. Return how many messages it had."""
        loop, drained = asyncio.get_running_loop(), []
        for worker in self._workers.values():
            if not worker.ended.is_set():
                future = worker.drained[port] = loop.create_future()
                worker.channel.send(messages.DrainPort(port=port))
                drained.append(future)
        if not drained:
            return 0
        done, _ = await asyncio.wait(drained, timeout=DRAIN_SECONDS)
        return sum(future.result() for future in done)

    # One worker

    def _spawn(self, index: int) -> WorkerHandle:
        own, others = socket.socketpair()
        try:
            process = subprocess.Popen(  # noqa: S603 (our own command line)
                [*self._command, "--worker", str(others.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # its rows, if any, are the supervisor's; log lines for people go to stderr
                pass_fds=[others.fileno()],
            )
        except BaseException:
            own.close()
            raise
        finally:
            others.close()
        now = self._seconds()
        worker: WorkerHandle
        worker = self._workers[index] = WorkerHandle(
            index=index,
            process=process,
            channel=Channel(own, lambda message, _: self._hear(worker, message), lambda: self._lost(worker)),
            counts=ConnectionCounts(share=Share(index=index, count=self.count)),
            started=asyncio.get_running_loop().create_future(),
            began=now,
            heard=now,
        )
        worker.started.add_done_callback(_seen)
        assert self._loaded is not None
        worker.channel.send(
            messages.StartWorker(
                index=index,
                count=self.count,
                node=self._node,
                clock=self._clock,
                loaded=self._loaded,
                sources=tuple(self._known),
            )
        )
        return worker

    def _hear(self, worker: WorkerHandle, message: object) -> None:
        worker.heard = self._seconds()
        match message:
            case messages.WorkerReported():
                self._metrics.sums.add(message.changes)
                for environment, (count, least) in message.arrived.items():
                    self._arrived(environment, count, least)
                worker.committing, worker.down = message.committing, message.down
                self.lost_lines += message.lost_lines
            case messages.ConnectionEnded():
                worker.counts.remove(message.port, message.source)
            case messages.SourceKnown():
                self._known.add(message.source)
                for other in self._workers.values():
                    if other is not worker:
                        other.channel.send(message)
            case messages.WorkerReady():
                self._started(worker)
            case messages.StartFailed():
                if not worker.started.done():
                    worker.started.set_exception(_stop(message))
            case messages.ConfigPrepared():
                if message.attempt == self._attempts:
                    _settle(worker.prepared, message.problem)
            case messages.ConfigActivated():
                _settle(worker.activated, None)
            case messages.PortDrained():
                _settle(worker.drained.pop(message.port, None), message.messages)
            case messages.DatabaseLost():
                self._on_fatal(message.problem)

    def _started(self, worker: WorkerHandle) -> None:
        worker.is_ready = True
        worker.started.set_result(None)
        self._journal.emit(
            WorkerStarted(
                worker=worker.index + 1,
                pid=worker.process.pid,
                count=self.restarts,
                seconds=round(self._seconds() - worker.began, 2),
            )
        )
        while self._homeless and not self._closing:
            sock, address, port, source, limit, limit_per_source = self._homeless.popleft()
            self.hand_over(sock, address, port=port, source=source, limit=limit, limit_per_source=limit_per_source)

    def _lost(self, worker: WorkerHandle) -> None:
        """Its channel is closed: it has ended, or is ending."""
        worker.was_ready, worker.is_ready = worker.is_ready, False
        self._burying.add(task := asyncio.get_running_loop().create_task(self._bury(worker)))
        task.add_done_callback(self._burying.discard)

    async def _bury(self, worker: WorkerHandle) -> None:
        """Wait for its end, and answer everybody who waits for it."""
        worker.code = await asyncio.to_thread(_wait_for_end, worker.process)
        if not worker.started.done():
            worker.started.set_exception(Stop(f"a worker {_how(worker.code)} before it was ready; the log says more"))
        _settle(worker.prepared, None)
        _settle(worker.activated, None)
        for future in worker.drained.values():
            _settle(future, 0)
        worker.ended.set()

    async def _keep(self, worker: WorkerHandle) -> None:
        """Start a worker again whenever it ends."""
        pause = 0.0
        while True:
            await worker.ended.wait()
            lasted = self._seconds() - worker.began
            pause = 0.0 if worker.was_ready and lasted >= STEADY else min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._report_end(worker, pause)
            worker = await self._start_again(worker.index, pause)

    async def _start_again(self, index: int, pause: float) -> WorkerHandle:
        """Start a worker after a pause. While the machine has no process, memory or descriptor for it, try again."""
        while True:
            await self._sleep(pause)
            await self._settled.wait()  # it begins with what a reload under way comes to
            try:
                worker = self._spawn(index)
            except OSError as error:
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
                problem = f"no process can be started: {(error.strerror or 'no reason given').lower()}"
                self._journal.emit(WorkerFailed(worker=index + 1, problem=problem, seconds=round(pause, 1)))
                continue
            self.restarts += 1
            return worker

    def _report_end(self, worker: WorkerHandle, pause: float) -> None:
        number, seconds = worker.index + 1, round(pause, 1)
        failure = worker.started.exception()
        if failure is not None:
            self._journal.emit(WorkerFailed(worker=number, problem=str(failure).splitlines()[0], seconds=seconds))
            return
        by_signal = worker.code < 0
        self._journal.emit(
            WorkerEnded(
                worker=number,
                pid=worker.process.pid,
                reason="hung" if worker.hung else "killed" if by_signal else "exited",
                signal=signal.Signals(-worker.code).name if by_signal else None,
                code=None if by_signal else worker.code,
                connections=worker.counts.total,
                count=self.restarts + 1,
                seconds=seconds,
            )
        )

    async def _watch(self) -> None:
        """Kill workers that no longer answer."""
        while True:
            before = self._seconds()
            await self._sleep(LOOK_EVERY)
            now = self._seconds()
            if now - before > HUNG / 2:  # this process stood still, as in a paused container: it could hear nobody
                for worker in self._workers.values():
                    worker.heard = now
                continue
            for worker in self._workers.values():
                if not worker.ended.is_set() and max(now - worker.heard, worker.committing) > HUNG:
                    worker.hung = True
                    worker.process.kill()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _wait_for_end(process: subprocess.Popen[bytes]) -> int:
    """The exit code; negative: the signal. A process that has given up its channel and goes on is killed."""
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _settle(future: asyncio.Future[Any] | None, value: object) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _seen(future: asyncio.Future[None]) -> None:
    """Nobody may wait for the start of a worker that is started again."""
    if not future.cancelled():
        future.exception()


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def _stop(failed: messages.StartFailed) -> Stop:
    kinds: dict[int, type[Stop]] = {kind.exit_code: kind for kind in (TransientStop, PermissionStop, ConfigurationStop)}
    return kinds.get(failed.code, Stop)(failed.problem)
