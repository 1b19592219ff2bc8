"""Background tasks that must not end: if one ends, it is logged, counted, shown in `/health` and started again.

`is_over` says whether a task was told to end. Any other end (an exception, a return, a cancellation from elsewhere) is a bug in
Carebell. The task is started again after a second, then after twice as long each time, up to half a minute. After a task has run
for a minute, the wait is one second again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from journal.events.service import BackgroundTaskEnded
from journal.events.shared import NO_TRACE
from journal.logs import Journal
from journal.metrics import Metrics
from journal.traces import trace

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
STEADY: Final = 60.0
"""Seconds that a task must run for its next failure to count as the first."""

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True, kw_only=True)
class BackgroundTask:
    """One task. Awaiting it is the same as `ended()`.

    Attributes:
        is_over: whether it was told to end.
        running: False while it waits to be started again, and once it is over.
        restarts: how often it was started again.
    """

    name: str
    work: Work = field(repr=False)
    is_over: Callable[[], bool] = field(repr=False)
    running: bool = False
    restarts: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def ended(self) -> None:
        """Wait for the end of a task that was told to end. If it waits to be started again, it is not started."""
        if self.task is None:
            return
        if not self.running:
            self.task.cancel()
        await asyncio.wait({self.task})

    def __await__(self) -> Generator[Any, None, None]:
        return self.ended().__await__()


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """Attributes:
    seconds: a monotonic counter. sleep: waits that many seconds; injected by tests.
    tasks: every task that was started, by name.
    """

    journal: Journal
    metrics: Metrics
    seconds: Callable[[], float]
    sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
    tasks: dict[str, BackgroundTask] = field(default_factory=dict, init=False)

    def start(self, name: str, work: Work, *, is_over: Callable[[], bool]) -> BackgroundTask:
        """Run `work` on the running loop until it is over."""
        background = self.tasks[name] = BackgroundTask(name=name, work=work, is_over=is_over, running=True)
        self.metrics.background_task_restarts.labels(name)  # shown as 0 from the start
        background.task = asyncio.get_running_loop().create_task(self._keep(background), name=name)
        return background

    def down(self) -> Mapping[str, int]:
        """Tasks that wait to be started again: name -> restarts so far."""
        return {
            name: background.restarts
            for name, background in self.tasks.items()
            if not background.running and not background.is_over()
        }

    async def _keep(self, background: BackgroundTask) -> None:
        pause = FIRST_PAUSE
        while True:
            began, background.running = self.seconds(), True
            failure = await _outcome(background.work)
            background.running = False
            if background.is_over():
                return
            if self.seconds() - began >= STEADY:
                pause = FIRST_PAUSE
            self.journal.emit(
                BackgroundTaskEnded(
                    name=background.name,
                    reason="returned" if failure is None else "failed",
                    count=background.restarts + 1,
                    seconds=pause,
                    trace=NO_TRACE if failure is None else trace(failure),
                )
            )
            await self.sleep(pause)
            background.restarts += 1
            self.metrics.background_task_restarts.labels(background.name).inc()
            pause = min(2 * pause, LONGEST_PAUSE)


async def _outcome(work: Work) -> BaseException | None:
    """How the work ended; None: it returned. It runs as a task of its own, so that cancelling the work does not cancel the
    supervisor."""
    task = asyncio.get_running_loop().create_task(work())
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:  # the supervisor itself is cancelled: the loop is closing
        task.cancel()
        await asyncio.wait({task})
        raise
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception()
