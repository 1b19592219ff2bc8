"""Whoever waits for a run sees what is under way and about how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from benchmarks.progress import RunProgress
from benchmarks.themes import Theme


@dataclass
class Watch:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def themes() -> list[Theme]:
    return [
        Theme(name=name, run=lambda _: iter(()), minutes=minutes, quick=minutes / 2)
        for name, minutes in (("one", 3.0), ("two", 5.0))
    ]


@pytest.mark.parametrize(
    ("at", "spent", "line"),
    [
        (0, 0.0, "[1/2 one, about 8 min left] work"),
        (0, 120.0, "[1/2 one, about 6 min left] work"),
        (0, 900.0, "[1/2 one, about 5 min left] work"),
        (1, 60.0, "[2/2 two, about 4 min left] work"),
        (1, 290.0, "[2/2 two, less than a minute left] work"),
    ],
)
def test_what_is_left_counts_down_and_waits_for_a_slow_theme(at: int, spent: float, line: str) -> None:
    shown: list[str] = []
    watch, of = Watch(), themes()
    progress = RunProgress(of, shown.append, minutes=lambda theme: theme.minutes, seconds=watch)
    progress.begin(of[at])
    watch.now = spent
    progress.say("work")
    assert shown == [line]


def test_a_short_run_promises_no_time() -> None:
    shown: list[str] = []
    of = themes()
    progress = RunProgress(of, shown.append, minutes=None)
    progress.begin(of[0])
    progress.say("work")
    assert shown == ["[1/2 one] work"]
