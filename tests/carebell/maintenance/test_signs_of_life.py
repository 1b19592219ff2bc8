"""When the watchdog gets its sign of life, and when not, with the real tasks and a clock turned by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from carebell.maintenance.periodic import PATIENCE, PeriodicTask, PeriodicTasks
from carebell.maintenance.signs_of_life import COMMIT_PATIENCE, SignsOfLife
from carebell.maintenance.supervisor import Supervisor
from journal.logs import setup
from journal.metrics import Metrics


@dataclass(slots=True)
class Node:
    """A node's tasks.

    Attributes:
        now: its monotonic seconds. committing: see SignsOfLife. sent: how many signs of life were sent.
    """

    supervisor: Supervisor
    periodic: PeriodicTasks
    log: Path
    now: list[float]
    signs: SignsOfLife = field(init=False)
    committing: float = 0.0
    sent: int = 0

    async def alive(self) -> bool:
        before = self.sent
        await self.signs.look()
        return self.sent > before

    def send(self) -> None:
        self.sent += 1

    def problems(self) -> list[str]:
        return [
            json.loads(line)["problem"] for line in self.log.read_text().splitlines() if "watchdog_withheld" in line
        ]


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[Node]:
    log, now = folder / "log", [1000.0]
    with setup(now=lambda: datetime(2026, 3, 2, tzinfo=UTC), file=log) as journal:
        supervisor = Supervisor(journal=journal, metrics=Metrics(), seconds=lambda: now[0])
        periodic = PeriodicTasks(journal=journal, database="sqlite", seconds=lambda: now[0], supervisor=supervisor)
        running = Node(supervisor, periodic, log, now)
        running.signs = SignsOfLife(
            supervisor=supervisor,
            periodic=periodic,
            committing=lambda: running.committing,
            send=running.send,
            journal=journal,
        )
        yield running
        await periodic.finish()


async def test_a_run_that_does_not_come_back_ends_the_signs_and_its_return_brings_them_back(tmp_path: Path) -> None:
    began, free = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        await free.wait()

    async with node(tmp_path) as running:
        running.periodic.start(PeriodicTask(name="housekeeping", seconds=0.001, run=work))
        await began.wait()
        assert await running.alive()
        running.now[0] += PATIENCE + 1
        assert [await running.alive() for _ in range(3)] == [False] * 3
        assert running.problems() == ["runs that do not come back: housekeeping"]  # once, not at each look
        free.set()
        running.periodic.close()
        await running.periodic.finish()
        assert await running.alive()


async def test_a_task_that_fails_all_the_time_is_no_reason(tmp_path: Path) -> None:
    """A database that is away, say: a new start would not bring it back."""
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise OSError

    async with node(tmp_path) as running:
        running.periodic.start(PeriodicTask(name="beat", seconds=0.001, run=work))
        while runs < 2:  # noqa: ASYNC110  # it rings no event
            await asyncio.sleep(0.001)
        running.now[0] += 100 * PATIENCE
        assert running.periodic.stalled()
        assert await running.alive()


async def test_a_committer_that_is_down_ends_the_signs(tmp_path: Path) -> None:
    over = False

    async def work() -> None:
        raise OSError

    async with node(tmp_path) as running:
        background = running.supervisor.start("committer", work, is_over=lambda: over)
        assert await running.alive()
        while background.running:  # noqa: ASYNC110  # it rings no event
            await asyncio.sleep(0.001)
        assert not await running.alive()
        assert running.problems() == ["the committer is down: no message can be stored"]
        over = True
        await background.ended()


async def test_a_commit_that_does_not_come_back_ends_the_signs(tmp_path: Path) -> None:
    async with node(tmp_path) as running:
        running.committing = COMMIT_PATIENCE
        assert await running.alive()
        running.committing = COMMIT_PATIENCE + 1
        assert not await running.alive()
        assert running.problems() == ["a commit has not come back for 60 s"]
