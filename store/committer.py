"""Group commit: all jobs that queued while the last fsync ran go into the next transaction. An answer is sent only after it.

There is no timer: an idle committer takes a job at once, a busy one finds many, and one that waits for another process's turn takes
what came meanwhile too. The calls that wait (BEGIN for the lock, COMMIT for
the disk) run on a separate thread, so a stuck disk stops no connection. With SQLite the work between them runs on the event loop's
thread: two threads of Python code make each other slower, because only one at a time holds the interpreter
(docs/decisions/0012). PostgreSQL answers over a socket, so there the whole transaction runs on the separate thread.

So with SQLite nothing else on the loop's thread may write while a committer runs: it would wait for a lock whose holder waits for
it.

One job that cannot be stored must not make its whole batch fail. So a batch that fails because of one of its jobs is rolled back
and done again job by job.
After a temporary fault of the database the whole batch fails: nothing of it is stored, and the senders try again. After a failed
write or fsync the committer ends: the content of the disk is no longer known, and nothing more may be acknowledged.

    CommitFault
     +- Rejected         this job cannot be stored; the other jobs of its batch were
     +- Transient        nothing was stored; the same job may succeed later
     +- Stopped          the committer has ended (on a fatal fault, or after `stop`)
     +- Overloaded       the queue is full; raised by `submit` itself
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from store.engine import Store
from store.faults import StoreFault, classify, is_fatal, is_transient

Job = TypeVar("Job")
Result = TypeVar("Result")
Value = TypeVar("Value")
JobIn = TypeVar("JobIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

BATCH: Final = 256
"""Jobs in one transaction at most. Above a hundred the cost per message no longer falls; this limits how long the lock is held."""

CAPACITY: Final = 10_000
"""Jobs in the queue at most: about two seconds of work, and a few tens of megabytes."""


CommitCode = Literal["COMMIT", "COMMIT_REJECTED", "COMMIT_TRANSIENT", "COMMIT_STOPPED", "COMMIT_OVERLOADED"]


class CommitFault(Exception):
    """A job was not stored. Attributes: code: stable, for the log."""

    code: ClassVar[CommitCode] = "COMMIT"


class Rejected(CommitFault):
    """The database refused this job's values, or the work failed. `__cause__` is set only for an exception of Carebell itself."""

    code: ClassVar[CommitCode] = "COMMIT_REJECTED"


class Transient(CommitFault):
    """`__cause__` is the `StoreFault`."""

    code: ClassVar[CommitCode] = "COMMIT_TRANSIENT"


class Stopped(CommitFault):
    code: ClassVar[CommitCode] = "COMMIT_STOPPED"


class Overloaded(CommitFault):
    code: ClassVar[CommitCode] = "COMMIT_OVERLOADED"


class Work(Protocol[JobIn, ResultOut]):
    """Does a batch's reading and writing, and returns one result per job, in order. After a rollback it is called again for a
    part."""

    def __call__(self, conn: Connection, jobs: Sequence[JobIn], /) -> Sequence[ResultOut]: ...


class Committing(Protocol[JobIn, Result]):
    """The interface of `Committer` for callers. All methods must be called on the event loop's thread."""

    @property
    def full(self) -> bool: ...
    def submit(self, job: JobIn) -> asyncio.Future[Result]: ...


Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], Awaitable[None]]


class CommitThread:
    """A separate thread for calls that wait: for a lock, for the disk, for a server."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], object], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Value]) -> asyncio.Future[Value]:
        """Run the function on the thread. The future has its result or its exception."""
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._calls.put((function, future))
        return future

    async def end(self) -> None:
        """End the thread after its present call."""
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, future = call
            try:
                settle = partial(_succeed, future, function())
            except BaseException as fault:
                settle = partial(_fail, future, fault)
            try:
                future.get_loop().call_soon_threadsafe(settle)
            except RuntimeError:  # the loop was closed, so nobody waits for the result
                return
            del call, function, future, settle  # no data of a job stays in memory here while the thread waits


def _succeed(future: asyncio.Future[Value], value: Value) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], fault: BaseException) -> None:
    if future.done():
        return
    # A future cannot hold a StopIteration, and a future that is never resolved would block everything.
    future.set_exception(RuntimeError(repr(fault)) if isinstance(fault, StopIteration) else fault)


class _Group(Generic[Job, Result]):
    """The jobs that are committed together: those that wait when the transaction begins, at most `most`."""

    def __init__(self, waiting: deque[tuple[Job, asyncio.Future[Result]]], most: int) -> None:
        self._waiting = waiting
        self._most = most
        self._first = len(waiting)
        self._taken: list[tuple[Job, asyncio.Future[Result]]] = []

    @property
    def size(self) -> int:
        """Of those that were taken."""
        return len(self._taken)

    def jobs(self) -> list[Job]:
        """Take what waits now, if nothing was taken before."""
        return self._jobs(len(self._waiting))

    def first_jobs(self) -> list[Job]:
        """Take only what waited when the group was made, if nothing was taken before: for a transaction that did not begin."""
        return self._jobs(self._first)

    def futures(self) -> list[asyncio.Future[Result]]:
        """In the order of the jobs."""
        return [future for _, future in self._taken]

    def _jobs(self, waiting: int) -> list[Job]:
        if not self._taken:
            self._taken = [self._waiting.popleft() for _ in range(min(self._most, waiting))]
        return [job for job, _ in self._taken]


class Committer(Generic[Job, Result]):
    """Commits what the loop submits, one group after the other.

    Attributes:
        stopping: whether it was told to end: queued jobs are committed, no new job is taken.

    Args:
        work: see `Work`; runs on the loop's thread, with PostgreSQL on the committer's.
        on_fatal: called once after a failed write or fsync; it must end the process.
        capacity: the largest number of jobs waiting or being committed; when `full`, stop reading from the peers.
        apart: run the work on the committer's thread too.
        on_commit: called after each commit with its number of jobs and the seconds that COMMIT took; from the loop's thread, with
            PostgreSQL from the committer's.
    """

    def __init__(
        self,
        store: Store,
        work: Work[Job, Result],
        *,
        on_fatal: Callable[[StoreFault], None],
        batch: int = BATCH,
        capacity: int = CAPACITY,
        apart: bool | None = None,
        on_commit: Callable[[int, float], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._work = work
        self._on_fatal = on_fatal
        self._on_commit = on_commit
        self._batch = batch
        self._capacity = capacity
        self._apart = store.backend != "sqlite" if apart is None else apart
        self._waiting: deque[tuple[Job, asyncio.Future[Result]]] = deque()
        self._group: _Group[Job, Result] | None = None  # the one under way
        self._began: float | None = None  # when its turn to write was asked for, by the loop's monotonic clock
        self._dead = False
        self.stopping = False
        self._woken = asyncio.Event()
        self._aside: CommitThread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: Awaitable[None] | None = None

    @property
    def full(self) -> bool:
        """Whether `submit` would refuse a job."""
        return self.pending >= self._capacity

    @property
    def pending(self) -> int:
        """Jobs submitted and not answered yet."""
        return len(self._waiting) + (0 if self._group is None else self._group.size)

    @property
    def committing(self) -> float:
        """Seconds since the turn to write was asked for the group that is being committed; 0: none is."""
        return 0.0 if self._began is None or self._loop is None else self._loop.time() - self._began

    def start(self, spawn: Spawn | None = None) -> None:
        """Start; to be called in the loop that will submit.

        Args:
            spawn: runs the committer's coroutine function on the loop, and again if it ends before `stopping`; None: once.
        """
        self._aside, self.stopping = CommitThread(), False
        self._loop = asyncio.get_running_loop()
        spawned = partial(self._run, self._aside)
        self._running = spawn(spawned) if spawn is not None else self._loop.create_task(spawned(), name="committer")

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """Queue a job; the future holds its result after the commit, or a `CommitFault`."""
        if self.stopping or self._loop is None:
            raise Stopped("the committer is not running")
        if self.full:
            raise Overloaded("the commit queue is full")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._waiting.append((job, future))
        self._woken.set()
        return future

    async def stop(self) -> None:
        """Commit the queued jobs, resolve their futures, and end the thread."""
        aside, self._aside = self._aside, None
        if aside is None or self._running is None:
            return
        self.stopping = True
        self._woken.set()
        await self._running
        await aside.end()

    async def _run(self, aside: CommitThread) -> None:
        while self._waiting or not self.stopping:
            if not self._waiting:
                self._woken.clear()
                await self._woken.wait()
                continue
            group = _Group(self._waiting, self._batch)
            self._group, self._began = group, asyncio.get_running_loop().time()
            try:
                outcomes = await self._commit(aside, group)
            except BaseException:  # a bug in Carebell: resolve the futures of this group before the committer ends
                ended = [Rejected("the committer ended") for _ in group.first_jobs()]
                self._deliver(group.futures(), ended)
                raise
            finally:
                self._group, self._began = None, None
            self._deliver(group.futures(), outcomes)
            del group, outcomes  # keep no message in memory while waiting for the next one
            await asyncio.sleep(0)  # jobs that came meanwhile belong to the next group

    def _deliver(self, futures: Sequence[asyncio.Future[Result]], outcomes: Sequence[Result | CommitFault]) -> None:
        for future, outcome in zip(futures, outcomes, strict=True):
            if future.done():  # the peer hung up; the work is stored nevertheless
                continue
            if isinstance(outcome, CommitFault):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    async def _commit(self, aside: CommitThread, group: _Group[Job, Result]) -> list[Result | CommitFault]:
        """One outcome per job. Raises nothing."""
        if self._dead:
            return [_stopped() for _ in group.first_jobs()]
        try:
            return list(await self._transaction(aside, group.jobs))
        except Exception as fault:
            jobs = group.first_jobs()
            if len(jobs) == 1 and not _worth_another_try(fault):
                return [self._fault(fault)]
            if _fails_all(fault):
                return [self._fault(fault) for _ in jobs]
        return [await self._alone(aside, job) for job in jobs]

    async def _alone(self, aside: CommitThread, job: Job) -> Result | CommitFault:
        """Commit one job in a transaction of its own. Try twice if another node may have been first."""
        if self._dead:
            return _stopped()
        for attempt in (1, 2):
            try:
                [result] = await self._transaction(aside, lambda: [job])
            except Exception as fault:
                if attempt == 1 and _worth_another_try(fault):
                    continue
                return self._fault(fault)
            else:
                return result
        raise AssertionError("the second attempt returns")

    async def _transaction(self, aside: CommitThread, take: Callable[[], Sequence[Job]]) -> Sequence[Result]:
        """`take`: the jobs; asked when they can be written, so that what came during the wait for the lock is among them."""
        if self._apart:
            return await aside.call(partial(self._whole, take()))
        transaction = self._store.write(at_once=True)
        try:
            conn = transaction.__enter__()
        except Exception as fault:
            if not _is_locked(fault):
                raise
            transaction = self._store.write()
            conn = await aside.call(transaction.__enter__)
        try:
            jobs = take()
            results = self._worked(conn, jobs)
        except Exception as fault:
            await aside.call(partial(transaction.__exit__, type(fault), fault, fault.__traceback__))
            raise
        began = time.monotonic()
        await aside.call(partial(transaction.__exit__, None, None, None))
        self._on_commit(len(jobs), time.monotonic() - began)
        return results

    def _whole(self, jobs: Sequence[Job]) -> Sequence[Result]:
        with self._store.write() as conn:
            results = self._worked(conn, jobs)
            began = time.monotonic()
        self._on_commit(len(jobs), time.monotonic() - began)
        return results

    def _worked(self, conn: Connection, jobs: Sequence[Job]) -> Sequence[Result]:
        results = self._work(conn, jobs)
        if len(results) != len(jobs):
            raise ValueError("the work must give one result per job")
        return results

    def _fault(self, fault: Exception) -> CommitFault:
        cause = classify(fault)
        if is_fatal(fault):
            if not self._dead:
                self._dead = True
                self._on_fatal(cause or StoreFault("STORE_IO"))
            return _stopped()
        if cause is not None and cause.transient:
            transient = Transient(str(cause))
            transient.__cause__ = cause
            return transient
        rejected = Rejected(f"the work failed with {type(fault).__name__}")
        if not isinstance(fault, DBAPIError):  # a driver's message may contain the row's values
            rejected.__cause__ = fault
        return rejected


def _stopped() -> Stopped:
    return Stopped("the committer has ended; nothing more is stored")


def _is_locked(fault: Exception) -> bool:
    """Whether another writer has the lock, so that it must be waited for."""
    cause = fault if isinstance(fault, StoreFault) else classify(fault)
    return cause is not None and cause.code == "STORE_LOCKED"


def _fails_all(fault: Exception) -> bool:
    """Whether the jobs one by one would fail with the same fault."""
    return is_fatal(fault) or (is_transient(fault) and not _worth_another_try(fault))


def _worth_another_try(fault: Exception) -> bool:
    """Whether another node was first, or two transactions conflicted: a second attempt then sees the other's result."""
    state = getattr(getattr(fault, "orig", None), "sqlstate", None)
    return isinstance(fault, IntegrityError) or state in ("40001", "40P01")
