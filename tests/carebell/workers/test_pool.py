"""The supervisor's side of its workers, with workers that do what the test says."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from carebell.exits import ConfigurationStop
from carebell.workers.pool import FIRST_PAUSE, HUNG, LOOK_EVERY, WorkerPool
from config.load import Loaded
from journal.events import Event
from journal.events.workers import WorkerEnded, WorkerFailed, WorkerStarted
from journal.metrics import Metrics
from scheduler.clock import RealClock
from tests.story.folder import load, make

PATIENCE = 60.0
_ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class Heard:
    """A journal that keeps its events."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def all(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(make(tmp_path_factory.mktemp("pool") / "clinic"))


@dataclass(slots=True)
class Looks:
    """The time at which the pool looks whether its workers still answer, one look for each `pass_by`."""

    now: float = 0.0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def wait(self) -> None:
        self.waiting.append(looked := asyncio.get_running_loop().create_future())
        await looked

    async def pass_by(self, seconds: float) -> None:
        """Let it look after these seconds; returns when it has."""
        await self._waits()
        self.now += seconds
        self.waiting.pop().set_result(None)
        await self._waits()

    async def _waits(self) -> None:
        while not self.waiting:  # noqa: ASYNC110 (asked every turn of the loop)
            await asyncio.sleep(0)


@asynccontextmanager
async def _pool(
    word: str, monkeypatch: pytest.MonkeyPatch, count: int = 2, looks: Looks | None = None
) -> AsyncIterator[tuple[WorkerPool, Heard, list[float]]]:
    """The pool, its journal, and the pauses that it waited."""
    looks = looks or Looks()
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    journal, pauses = Heard(), list[float]()

    async def sleep(seconds: float) -> None:
        if seconds < 5.0:  # the watch looks every five seconds
            pauses.append(seconds)
            await asyncio.sleep(0)
        else:
            await looks.wait()

    pool = WorkerPool(
        count=count,
        node="node",
        clock=RealClock(),
        journal=journal,  # type: ignore[arg-type]  # only `emit` is used
        metrics=Metrics(),
        on_fatal=lambda _: None,
        arrived=lambda *_: None,
        command=[sys.executable, "-m", "tests.carebell.workers.fake_worker", word],
        seconds=lambda: looks.now,
        sleep=sleep,
    )
    try:
        yield pool, journal, pauses
    finally:
        async with asyncio.timeout(PATIENCE):
            await pool.stop()


async def test_a_changed_configuration_is_prepared_by_all_then_in_force(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(PATIENCE), _pool("good", monkeypatch) as (pool, journal, _):
        await pool.start(loaded)
        assert (pool.running().running, len(journal.all(WorkerStarted))) == (2, 2)
        assert await pool.prepare(loaded) is None
        pool.activate()
        await pool.activated()
        assert await pool.drain_port("port") == 14, "the messages of both"
    assert journal.all(WorkerEnded) == [], "what was told to end has not ended by itself"


async def test_one_refusal_is_everybody_s(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(PATIENCE), _pool("refuses", monkeypatch) as (pool, _, _):
        await pool.start(loaded)
        assert await pool.prepare(loaded) == "this one cannot use it"
        pool.abandon()
        assert await pool.prepare(loaded) == "this one cannot use it"


async def test_a_start_that_fails_ends_all_with_its_reason(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(PATIENCE), _pool("fails", monkeypatch) as (pool, journal, _):
        with pytest.raises(ConfigurationStop, match="it is wrong"):
            await pool.start(loaded)
        assert pool.running().running == 0
        assert journal.events == []


async def test_who_ends_soon_again_and_again_is_started_after_growing_pauses(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(PATIENCE), _pool("dies", monkeypatch, count=1) as (pool, journal, pauses):
        await pool.start(loaded)
        for restarts in (1, 2, 3):
            own, passed = socket.socketpair()
            own.close()
            pool.hand_over(passed, ("192.0.2.1", 4), port="port", source="192.0.2.1", limit=9, limit_per_source=9)
            while len(journal.all(WorkerStarted)) <= restarts:  # noqa: ASYNC110 (processes have no event of ours)
                await asyncio.sleep(0.01)
        ended = journal.all(WorkerEnded)
    assert [(event.reason, event.code, event.connections) for event in ended] == [("exited", 3, 1)] * 3
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert os.getpid() not in [event.pid for event in ended]


async def test_who_cannot_be_started_again_for_want_of_descriptors_is_tried_until_it_starts(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(PATIENCE), _pool("dies", monkeypatch, count=1) as (pool, journal, pauses):
        await pool.start(loaded)
        own, passed = socket.socketpair()
        own.close()
        pair, failures = socket.socketpair, [errno.EMFILE, errno.ENFILE]

        def scarce() -> tuple[socket.socket, socket.socket]:
            if failures:
                code = failures.pop(0)
                raise OSError(code, os.strerror(code))
            return pair()

        monkeypatch.setattr(socket, "socketpair", scarce)
        pool.hand_over(passed, ("192.0.2.1", 4), port="port", source="192.0.2.1", limit=9, limit_per_source=9)
        while len(journal.all(WorkerStarted)) < 2:  # noqa: ASYNC110 (processes have no event of ours)
            await asyncio.sleep(0.01)
        assert (pool.running().running, pool.running().restarts) == (1, 1)
    assert [event.problem for event in journal.all(WorkerFailed)] == [
        "no process can be started: too many open files",
        "no process can be started: too many open files in system",
    ]
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]


async def test_who_says_nothing_is_killed_but_not_where_all_processes_stood_still(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks()
    async with asyncio.timeout(PATIENCE), _pool("good", monkeypatch, count=1, looks=looks) as (pool, journal, _):
        await pool.start(loaded)
        await looks.pass_by(2 * HUNG)  # a container that was paused: the worker could say nothing
        assert await pool.drain_port("port") == 7, "it lives"
        for _ in range(int(HUNG / LOOK_EVERY) + 1):
            await looks.pass_by(LOOK_EVERY)
        while not journal.all(WorkerEnded):  # noqa: ASYNC110 (processes have no event of ours)
            await asyncio.sleep(0.01)
    assert [event.reason for event in journal.all(WorkerEnded)] == ["hung"]
