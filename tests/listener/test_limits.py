"""The deadline that is cheap to move: when it expires and when it must not, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from listener.limits import Deadline


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Steered:
    """The two methods of a loop that a deadline uses; the test moves its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.when <= self.now]
        self.timers = [timer for timer in self.timers if timer.when > self.now]
        for timer in due:
            if not timer.cancelled:
                timer.callback()


@pytest.fixture
def loop() -> Steered:
    return Steered()


def deadline(loop: Steered, expired: list[float]) -> Deadline:
    return Deadline(cast(asyncio.AbstractEventLoop, loop), timedelta(seconds=10), lambda: expired.append(loop.now))


def test_it_expires_once_after_its_time(loop: Steered) -> None:
    expired: list[float] = []
    timer = deadline(loop, expired)
    timer.restart()
    loop.advance(9)
    assert timer.running
    loop.advance(1)
    loop.advance(100)
    assert expired == [110.0]
    assert not timer.running


def test_stopping_and_restarting_many_times_sets_one_timer(loop: Steered) -> None:
    expired: list[float] = []
    timer = deadline(loop, expired)
    for _ in range(1000):
        timer.restart()
        timer.stop()
    assert len(loop.timers) == 1
    loop.advance(100)
    assert expired == []


def test_a_moved_deadline_expires_at_its_new_time(loop: Steered) -> None:
    expired: list[float] = []
    timer = deadline(loop, expired)
    timer.restart()
    loop.advance(6)
    timer.restart()
    loop.advance(4)
    assert expired == []
    loop.advance(6)
    assert expired == [116.0]


def test_a_cancelled_deadline_lets_go(loop: Steered) -> None:
    expired: list[float] = []
    timer = deadline(loop, expired)
    timer.restart()
    timer.cancel()
    loop.advance(100)
    assert expired == []
    assert not timer.running
