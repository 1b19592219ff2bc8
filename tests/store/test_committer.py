"""Group commit: one bad job harms only itself, a passing fault stores nothing, a failed disk ends it all."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from store.committer import Committer, CommitThread, Overloaded, Rejected, Stopped, Transient
from store.engine import Store
from store.faults import StoreFault
from store.tables import meta

Kind = Callable[..., Any]
BOTH = pytest.mark.parametrize(
    "kind", [partial(Committer, apart=True), partial(Committer, apart=False)], ids=["apart", "on-loop"]
)


@dataclass
class Writing:
    """Work that writes each job's name; jobs named after a fault raise it."""

    faults: dict[str, Callable[[], Exception]] = field(default_factory=dict)
    batches: list[list[str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __call__(self, conn: Connection, jobs: Sequence[str], /) -> list[str]:
        self.gate.wait(60)
        self.batches.append(list(jobs))
        for job in jobs:
            conn.execute(meta.insert().values(name=job, value="x"))
            if job in self.faults:
                raise self.faults[job]()
        return [job.upper() for job in jobs]


def _sqlite_fault(number: int) -> Exception:
    cause = sqlite3.OperationalError("a fake fault")
    cause.sqlite_errorcode = number
    return OperationalError("INSERT", {}, cause)


def _stored(store: Store) -> set[str]:
    with store.read() as conn:
        return set(conn.execute(select(meta.c.name)).scalars())


async def _run(store: Store, kind: Kind, work: Writing, jobs: Sequence[str]) -> tuple[list[Any], list[StoreFault]]:
    """Queue all jobs behind the gate, open it, and give every outcome."""
    fatal: list[StoreFault] = []
    committer = kind(store, work, on_fatal=fatal.append)
    committer.start()
    futures = [committer.submit(job) for job in jobs]
    work.gate.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    await committer.stop()
    with pytest.raises(Stopped):
        committer.submit("late")
    return outcomes, fatal


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_the_loop_goes_on_while_a_program_that_is_not_ours_has_the_lock(store: Store) -> None:
    work, turns = Writing(), 0
    work.gate.set()
    committer = Committer[str, str](store, work, on_fatal=lambda _: None)
    committer.start()
    assert store.file is not None
    with closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        future = committer.submit("a")
        for _ in range(100):
            await asyncio.sleep(0.001)
            turns += not future.done()
        other.execute("ROLLBACK")
        assert (turns, await future, _stored(store)) == (100, "A", {"a"})
    await committer.stop()


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_only_what_waits_leaves_the_loops_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    work, called = Writing(), []
    work.gate.set()
    real = CommitThread.call

    def call(self: CommitThread, function: Callable[[], Any]) -> asyncio.Future[Any]:
        called.append(function)
        return real(self, function)

    monkeypatch.setattr(CommitThread, "call", call)
    committer = Committer[str, str](store, work, on_fatal=lambda _: None)
    committer.start()
    assert await committer.submit("a") == "A"
    assert len(called) == 1  # the commit; nobody had the lock
    await committer.stop()


@BOTH
async def test_each_commit_is_measured_and_a_failed_one_is_not(store: Store, kind: Kind) -> None:
    work, commits = Writing(faults={"bad": lambda: ValueError("x")}), []
    committer = kind(
        store, work, on_fatal=lambda _: None, on_commit=lambda jobs, seconds: commits.append((jobs, seconds >= 0))
    )
    committer.start()
    futures = [committer.submit(job) for job in ("a", "b", "bad")]
    work.gate.set()
    await asyncio.gather(*futures, return_exceptions=True)
    await committer.stop()
    assert commits == [(1, True), (1, True)]  # the whole group failed, and then its two good jobs were committed alone


@pytest.mark.parametrize("backend", ["sqlite"])  # which has one lock for all; PostgreSQL's transaction is the thread's
async def test_the_loop_goes_on_while_the_lock_is_waited_for(store: Store) -> None:
    work, turns = Writing(), 0
    work.gate.set()
    committer = Committer[str, str](store, work, on_fatal=lambda _: None)
    committer.start()
    with store.write():
        future = committer.submit("a")
        for _ in range(100):
            await asyncio.sleep(0.001)
            turns += not future.done()
        assert committer.committing > 0
    assert (turns, await future, _stored(store)) == (100, "A", {"a"})
    assert committer.committing == 0
    await committer.stop()


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_what_comes_while_the_lock_is_waited_for_is_committed_with_the_rest(store: Store) -> None:
    work = Writing()
    work.gate.set()
    committer = Committer[str, str](store, work, on_fatal=lambda _: None)
    committer.start()
    with store.write():
        first = committer.submit("a")
        await asyncio.sleep(0.05)  # the committer waits for the lock on its thread
        assert committer.pending == 1
        second = committer.submit("b")
        assert committer.pending == 2
    assert (await first, await second, work.batches) == ("A", "B", [["a", "b"]])
    await committer.stop()


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_who_came_while_the_lock_was_waited_for_in_vain_waits_for_it_too(store: Store) -> None:
    work = Writing()
    work.gate.set()
    committer = Committer[str, str](_Impatient(store), work, on_fatal=lambda _: None)  # type: ignore[arg-type]
    committer.start()
    first = committer.submit("a")
    await asyncio.sleep(0)  # the committer has begun to wait
    second = committer.submit("b")
    with pytest.raises(Transient):
        await first
    assert (await second, work.batches) == ("B", [["b"]])
    await committer.stop()


@dataclass
class _Impatient:
    """A store whose lock is not free in time for the first transaction."""

    store: Store
    backend: str = "sqlite"
    asked: int = 0

    @contextmanager
    def write(self, *, at_once: bool = False) -> Iterator[Connection]:
        self.asked += 1
        if self.asked <= 2:  # at once, and then with patience
            raise StoreFault("STORE_LOCKED")
        with self.store.write(at_once=at_once) as conn:
            yield conn


@BOTH
async def test_what_is_queued_is_committed_together(store: Store, kind: Kind) -> None:
    work = Writing()
    outcomes, fatal = await _run(store, kind, work, ["a", "b", "c", "d"])
    assert (outcomes, fatal) == (["A", "B", "C", "D"], [])
    assert _stored(store) == {"a", "b", "c", "d"}
    assert work.batches == [["a", "b", "c", "d"]]


@BOTH
async def test_a_poisoned_job_does_not_take_its_batch_with_it(store: Store, kind: Kind) -> None:
    work = Writing(faults={"bad": lambda: ValueError("ours")})
    outcomes, _ = await _run(store, kind, work, ["a", "b", "bad", "c"])
    assert (outcomes[:2], outcomes[3:]) == (["A", "B"], ["C"])
    assert isinstance(outcomes[2], Rejected)
    assert isinstance(outcomes[2].__cause__, ValueError)
    assert _stored(store) == {"a", "b", "c"}


@BOTH
async def test_work_that_stops_an_iteration_is_a_fault_like_any_other(store: Store, kind: Kind) -> None:
    """asyncio's futures do not take a StopIteration: a stray `next()` must not leave a group without its answers."""
    outcomes, _ = await _run(store, kind, Writing(faults={"bad": StopIteration}), ["a", "bad", "b"])
    assert [isinstance(outcome, Rejected) for outcome in outcomes] == [False, True, False]
    assert _stored(store) == {"a", "b"}


@BOTH
async def test_what_is_committed_is_not_kept(store: Store, kind: Kind) -> None:
    class Letter(str):
        __slots__ = ("__weakref__",)

    committer = kind(store, lambda _, jobs: ["A"] * len(jobs), on_fatal=lambda _: None)
    committer.start()
    letter = Letter("a")
    kept = weakref.ref(letter)
    assert await committer.submit(letter) == "A"
    del letter
    for _ in range(500):  # the thread that committed lets go of it when it is its turn
        await asyncio.sleep(0.01)
        gc.collect()
        if kept() is None:
            break
    assert kept() is None
    await committer.stop()


@BOTH
async def test_two_jobs_that_exclude_each_other(store: Store, kind: Kind) -> None:
    outcomes, _ = await _run(store, kind, Writing(), ["a", "same", "same"])
    assert outcomes[:2] == ["A", "SAME"]
    assert isinstance(outcomes[2], Rejected)
    assert outcomes[2].__cause__ is None, "a driver's message quotes the row"
    assert _stored(store) == {"a", "same"}


@BOTH
@pytest.mark.parametrize("number", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL], ids=["locked", "full"])
async def test_a_passing_fault_stores_nothing(store: Store, kind: Kind, number: int) -> None:
    work = Writing(faults={"a": lambda: _sqlite_fault(number)})
    outcomes, fatal = await _run(store, kind, work, ["a"])
    assert isinstance(outcomes[0], Transient)
    assert (fatal, _stored(store)) == ([], set())


@BOTH
async def test_a_failed_fsync_ends_everything(store: Store, kind: Kind) -> None:
    work = Writing(faults={"io": lambda: _sqlite_fault(1034)})  # SQLITE_IOERR_FSYNC
    outcomes, fatal = await _run(store, kind, work, ["io", "b", "c"])
    assert [type(outcome) for outcome in outcomes] == [Stopped] * 3
    assert [fault.code for fault in fatal] == ["STORE_IO"]
    assert _stored(store) == set()


@BOTH
async def test_a_full_queue_says_so_and_refuses(store: Store, kind: Kind) -> None:
    work = Writing()
    committer = kind(store, work, on_fatal=lambda _: None, capacity=2)
    committer.start()
    futures = [committer.submit(job) for job in ("a", "b")]
    assert committer.full
    with pytest.raises(Overloaded):
        committer.submit("c")
    work.gate.set()
    await asyncio.gather(*futures)
    assert not committer.full
    await committer.stop()


@BOTH
async def test_stopping_commits_what_is_queued(store: Store, kind: Kind) -> None:
    work = Writing()
    committer = kind(store, work, on_fatal=lambda _: None, batch=2)
    committer.start()
    futures = [committer.submit(job) for job in "abcde"]
    futures[1].cancel()  # its peer hung up
    work.gate.set()
    await committer.stop()
    assert [future.done() for future in futures] == [True] * 5
    assert _stored(store) == set("abcde")
    assert max(map(len, work.batches)) <= 2


@BOTH
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_mistake_in_the_committer_answers_who_waits_and_it_goes_on(
    store: Store, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Writing()
    work.gate.set()
    committer = kind(store, work, on_fatal=lambda _: None)
    commit, ends = committer._commit, ["once"]

    async def stumble(*arguments: Any) -> Any:
        if ends:
            raise MemoryError(ends.pop())
        return await commit(*arguments)

    async def restarted(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not committer.stopping:
            with suppress(MemoryError):
                await run()

    monkeypatch.setattr(committer, "_commit", stumble)
    committer.start(lambda run: asyncio.get_running_loop().create_task(restarted(run)))
    with pytest.raises(Rejected):
        await committer.submit("a")
    assert await committer.submit("b") == "B"
    await committer.stop()
    assert _stored(store) == {"b"}
