"""No background task ends in silence, whatever ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carebell.maintenance.supervisor import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Supervisor
from journal.logs import Journal, setup
from journal.metrics import Metrics

End = Callable[[], object]


def _raise(error: BaseException) -> object:
    raise error


ENDS: dict[str, End] = {
    "an exception": lambda: _raise(RuntimeError("a value")),
    "an error of the system": lambda: _raise(OSError(24, "Too many open files")),
    "a return": lambda: None,
    "a cancellation": lambda: _raise(asyncio.CancelledError()),
    "an exhausted iterator": lambda: _raise(StopAsyncIteration()),
    "no memory": lambda: _raise(MemoryError()),
}


class Scene:
    """A supervisor whose pauses are noted and take no time."""

    def __init__(self, journal: Journal) -> None:
        self.pauses: list[float] = []
        self.now = 0.0
        self.over = False
        self.metrics = Metrics()
        self.supervisor = Supervisor(journal=journal, metrics=self.metrics, seconds=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def play(self, ends: list[tuple[float, End]]) -> None:
        """Run a task that ends so many times, each after so many seconds, and then goes on until it is told to end."""
        left = iter(ends)
        goes_on, go = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            step = next(left, None)
            if step is None:
                goes_on.set()
                await go.wait()
                return
            self.now += step[0]
            step[1]()

        background = self.supervisor.start("work", work, is_over=lambda: self.over)
        await goes_on.wait()
        assert self.supervisor.down() == {}
        self.over = True
        go.set()
        await background

    def restarts(self) -> float:
        value = self.metrics.registry.get_sample_value("carebell_background_task_restarts_total", {"name": "work"})
        assert value is not None
        return value


def _journal(log: Path) -> Journal:
    return setup(now=lambda: datetime(2026, 3, 2, tzinfo=UTC), file=log)


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_a_task_that_ends_is_logged_counted_and_started_again(end: End, tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with _journal(log) as journal:
        scene = Scene(journal)
        await scene.play([(0, end)])
    [line] = _lines(log)
    assert (line["event"], line["level"], line["name"]) == ("background_task_ended", "error", "work")
    assert line["seconds"] == FIRST_PAUSE
    assert "a value" not in log.read_text()
    assert scene.restarts() == scene.supervisor.tasks["work"].restarts == 1


@given(ends=st.lists(st.tuples(st.floats(0, 2 * STEADY), st.sampled_from(list(ENDS.values()))), max_size=12))
def test_every_end_is_one_line_and_pauses_grow_and_begin_anew(
    ends: list[tuple[float, End]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("supervised") / "service.log"
    with _journal(log) as journal:
        scene = Scene(journal)
        asyncio.run(scene.play(ends))
    assert len(_lines(log)) == len(ends) == scene.restarts()
    expected, pause = [], FIRST_PAUSE
    for ran, _ in ends:
        pause = FIRST_PAUSE if ran >= STEADY else pause
        expected.append(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    assert scene.pauses == expected


async def test_a_task_that_was_told_to_end_is_no_fault(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with _journal(log) as journal:
        scene = Scene(journal)
        await scene.play([])
    assert _lines(log) == []
    assert scene.restarts() == 0


async def test_the_end_does_not_wait_for_a_pause(tmp_path: Path) -> None:
    with _journal(tmp_path / "service.log") as journal:
        pausing = asyncio.Event()

        async def sleep(_: float) -> None:
            pausing.set()
            await asyncio.Event().wait()

        supervisor = Supervisor(journal=journal, metrics=Metrics(), seconds=lambda: 0.0, sleep=sleep)
        over = False

        async def work() -> None:
            raise RuntimeError

        background = supervisor.start("work", work, is_over=lambda: over)
        await pausing.wait()
        assert supervisor.down() == {"work": 0}
        over = True
        await background
        assert supervisor.down() == {}
