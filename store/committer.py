"""Group commit: whatever queued while the last fsync ran goes into the next transaction; an answer leaves only after it.

One thread writes. There is no timer: an idle committer takes a job at once, a busy one finds many. A job that cannot be stored
must not take its batch with it, so a batch that fails for a reason of its own is rolled back and done again job by job.
A passing fault of the database fails the whole batch at once - nothing of it is stored, the senders try again. A failed
write or fsync is the end: what the disk holds is no longer known, and nothing more may be acknowledged.

    CommitFault
     +- Rejected         this job cannot be stored; the others of its batch were
     +- Transient        nothing was stored, the same job may succeed later
     +- Stopped          the committer has ended (on a fatal fault, or after `stop`)
     +- Overloaded       the queue is full; raised by `submit` itself
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from store.engine import Store
from store.faults import StoreFault, classify, is_fatal, is_transient

Job = TypeVar("Job")
Result = TypeVar("Result")
JobIn = TypeVar("JobIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

BATCH: Final = 256
"""Past a hundred the cost per message no longer falls; this bounds how long one transaction holds the lock."""

CAPACITY: Final = 10_000
"""Jobs in the queue at most: about two seconds of work, and a few tens of megabytes."""


class CommitFault(Exception):
    """A job was not stored. Attributes: code: stable, for the log."""

    code = "COMMIT"


class Rejected(CommitFault):
    """The database refused this job's values, or the work failed on it; `__cause__` only where it is our own exception."""

    code = "COMMIT_REJECTED"


class Transient(CommitFault):
    """`__cause__` is the `StoreFault`."""

    code = "COMMIT_TRANSIENT"


class Stopped(CommitFault):
    code = "COMMIT_STOPPED"


class Overloaded(CommitFault):
    code = "COMMIT_OVERLOADED"


class Work(Protocol[JobIn, ResultOut]):
    """Does a batch's reading and writing; one result per job, in order. Run again for a part of it after a rollback."""

    def __call__(self, conn: Connection, jobs: Sequence[JobIn], /) -> Sequence[ResultOut]: ...


class Committing(Protocol[JobIn, Result]):
    """What a caller sees of `Committer` and `InlineCommitter`. All methods belong to the event loop's thread."""

    @property
    def full(self) -> bool: ...
    def start(self) -> None: ...
    def submit(self, job: JobIn) -> asyncio.Future[Result]: ...
    async def stop(self) -> None: ...


class _Batches(Generic[Job, Result]):
    """Commits batches and says what became of each job; knows no thread and no loop."""

    def __init__(self, store: Store, work: Work[Job, Result], on_fatal: Callable[[StoreFault], None]) -> None:
        self._store = store
        self._work = work
        self._on_fatal = on_fatal
        self.dead = False

    def commit(self, jobs: Sequence[Job]) -> list[Result | CommitFault]:
        """One outcome per job. Never raises."""
        if self.dead:
            return [_stopped() for _ in jobs]
        try:
            return list(self._transaction(jobs))
        except Exception as fault:
            if len(jobs) == 1 and not _worth_another_try(fault):
                return [self._fault(fault)]
            if _fails_all(fault):
                return [self._fault(fault) for _ in jobs]
        return [outcome for job in jobs for outcome in self._alone(job)]

    def _alone(self, job: Job) -> list[Result | CommitFault]:
        """One job in a transaction of its own; twice where another node may have been first."""
        if self.dead:
            return [_stopped()]
        for attempt in (1, 2):
            try:
                return list(self._transaction([job]))
            except Exception as fault:
                if attempt == 1 and _worth_another_try(fault):
                    continue
                return [self._fault(fault)]
        raise AssertionError("the second attempt returns")

    def _transaction(self, jobs: Sequence[Job]) -> Sequence[Result]:
        with self._store.write() as conn:
            results = self._work(conn, jobs)
            if len(results) != len(jobs):
                raise ValueError("the work must give one result per job")
        return results

    def _fault(self, fault: Exception) -> CommitFault:
        found = classify(fault)
        if is_fatal(fault):
            if not self.dead:
                self.dead = True
                self._on_fatal(found or StoreFault("STORE_IO"))
            return _stopped()
        if found is not None and found.transient:
            transient = Transient(str(found))
            transient.__cause__ = found
            return transient
        rejected = Rejected(f"the work failed with {type(fault).__name__}")
        if not isinstance(fault, DBAPIError):  # a driver's message may quote the row
            rejected.__cause__ = fault
        return rejected


class Committer(Generic[Job, Result]):
    """Commits on a thread of its own.

    Args:
        work: see `Work`; runs on the writer thread.
        on_fatal: called once, on the writer thread, after a failed write or fsync: end the process.
        capacity: jobs waiting or being committed; at `full` stop reading from the peers.
    """

    def __init__(
        self,
        store: Store,
        work: Work[Job, Result],
        *,
        on_fatal: Callable[[StoreFault], None],
        batch: int = BATCH,
        capacity: int = CAPACITY,
    ) -> None:
        self._batches = _Batches(store, work, on_fatal)
        self._batch = batch
        self._capacity = capacity
        self._queue: SimpleQueue[tuple[Job, asyncio.Future[Result]] | None] = SimpleQueue()
        self._pending = 0  # touched by the loop's thread alone
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def full(self) -> bool:
        """Whether `submit` would refuse."""
        return self._pending >= self._capacity

    @property
    def pending(self) -> int:
        """Jobs submitted and not answered yet."""
        return self._pending

    def start(self) -> None:
        """Start the thread; to be called in the loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """Queue a job; the future holds its result after the commit, or a `CommitFault`."""
        if self._loop is None or self._thread is None:
            raise Stopped("the committer is not running")
        if self.full:
            raise Overloaded("the commit queue is full")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._pending += 1
        self._queue.put((job, future))
        return future

    async def stop(self) -> None:
        """Commit what is queued, answer it, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._queue.put(None)
        await asyncio.to_thread(thread.join)
        # The last answers were handed to this loop before the thread ended: they run before what is scheduled now.
        drained = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(drained.set_result, None)
        await drained

    def _run(self) -> None:
        assert self._loop is not None
        going = True
        while going:
            taken = [self._queue.get()]
            try:
                while len(taken) < self._batch:
                    taken.append(self._queue.get_nowait())
            except Empty:
                pass
            going = None not in taken
            entries = [entry for entry in taken if entry is not None]
            if entries:
                outcomes = self._batches.commit([job for job, _ in entries])
                try:
                    self._loop.call_soon_threadsafe(self._deliver, [future for _, future in entries], outcomes)
                except RuntimeError:  # the loop was closed without `stop`: nobody waits for these answers any more
                    return

    def _deliver(self, futures: Sequence[asyncio.Future[Result]], outcomes: Sequence[Result | CommitFault]) -> None:
        self._pending -= len(futures)
        _answer(futures, outcomes)


class InlineCommitter(Generic[Job, Result]):
    """Commits on the event loop's thread what was submitted in one round of it. Fastest, but a slow disk stalls the loop."""

    def __init__(
        self,
        store: Store,
        work: Work[Job, Result],
        *,
        on_fatal: Callable[[StoreFault], None],
        batch: int = BATCH,
        capacity: int = CAPACITY,
    ) -> None:
        self._batches = _Batches(store, work, on_fatal)
        self._batch = batch
        self._capacity = capacity
        self._waiting: list[tuple[Job, asyncio.Future[Result]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._capacity

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """As `Committer.submit`."""
        if self._loop is None:
            raise Stopped("the committer is not running")
        if self.full:
            raise Overloaded("the commit queue is full")
        future: asyncio.Future[Result] = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._run)
        self._waiting.append((job, future))
        return future

    async def stop(self) -> None:
        """As `Committer.stop`."""
        self._loop = None
        while self._waiting:
            self._run()

    def _run(self) -> None:
        entries, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._run)
        _answer([future for _, future in entries], self._batches.commit([job for job, _ in entries]))


def _answer(futures: Sequence[asyncio.Future[Result]], outcomes: Sequence[Result | CommitFault]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():  # its peer hung up; the work is stored all the same and will be repeated as a replay
            continue
        if isinstance(outcome, CommitFault):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _stopped() -> Stopped:
    return Stopped("the committer has ended; nothing more is stored")


def _fails_all(fault: Exception) -> bool:
    """Trying the jobs one by one would meet the same fault."""
    return is_fatal(fault) or (is_transient(fault) and not _worth_another_try(fault))


def _worth_another_try(fault: Exception) -> bool:
    """Another node was first, or two transactions were in each other's way: again, and it sees what the other did."""
    state = getattr(getattr(fault, "orig", None), "sqlstate", None)
    return isinstance(fault, IntegrityError) or state in ("40001", "40P01")
