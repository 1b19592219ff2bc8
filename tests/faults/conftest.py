"""`tally` counts a fault's rounds and what they saw; `python -m tests.faults` reads it while the tests run.

With RESULTS set, each of these is a line of JSON in that file, with `fault` and `test`:

    {"planned": true}                                          before anything runs, for each test that will
    {"begun": true}                                            when it begins
    {"done": 3, "of": 30}                                      after a round
    {"outcome": "passed", "why": "", "seconds": 4.2, "proof": false, "rounds": 30, "seen": {...}}    at its end
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.counts import FAULTS, Fault, number_of, share_with
from tests.faults.disk import Disk, NoDisk
from tests.faults.node import kill_all

RESULTS: Final = "CAREBELL_FAULTS_RESULTS"
"""Names the file of lines; unset: nobody reads them."""
ONLY: Final = "CAREBELL_FAULTS_ONLY"
"""Faults to run, `F3,F16`; unset: all."""


class Tally:
    """Rounds done and things seen by one test.

    Attributes:
        fault: its row of `counts.FAULTS`.
        seen: what -> how often; add to it.
        done: rounds so far.
    """

    def __init__(self, row: str, test: str) -> None:
        self.fault: Fault = FAULTS[row]
        self.seen: Counter[str] = Counter()
        self.done = 0
        self._about = {"fault": row, "test": test}
        _report({**self._about, "begun": True})

    def rounds_with(self, workers: int) -> Iterator[int]:
        """As `rounds`: CI's count is divided among one process and two workers, the full count is for two workers."""
        return self.rounds(share_with(workers))

    def rounds(self, share: float = 1.0) -> Iterator[int]:
        """0, 1, ... as often as the fault's row says, or a share of it, once at least."""
        count = max(1, round(self.fault.rounds * share))
        for done in range(count):
            yield done
            self.progress(done + 1, count)

    def progress(self, done: int, of: int) -> None:
        self.done = done
        _report({**self._about, "done": done, "of": of})


def _report(facts: dict[str, Any]) -> None:
    where = os.environ.get(RESULTS)
    if where is not None:
        with Path(where).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


_TALLY: Final = pytest.StashKey[Tally]()
_REPORTS: Final = pytest.StashKey[list[pytest.TestReport]]()


def _row(item: pytest.Item) -> tuple[str, bool] | None:
    """The row that a test is about, and whether it only proves its harness; None: no fault's test."""
    marker = item.get_closest_marker("faults")
    return (marker.args[0], bool(marker.kwargs.get("proof"))) if marker is not None else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only = os.environ.get(ONLY)
    if only is None:
        return
    wanted = set(only.split(","))
    rows = {item: _row(item) for item in items}
    chosen = [item for item in items if (row := rows[item]) is not None and number_of(row[0]) in wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        row = _row(item)
        if row is not None:
            _report({"fault": row[0], "test": item.name, "planned": True})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    reports = item.stash.setdefault(_REPORTS, [])
    reports.append(report)
    row = _row(item)
    if report.when == "teardown" and row is not None:
        tally = item.stash.get(_TALLY, None)
        _report({
            "fault": row[0], "test": item.name, "proof": row[1], **_outcome(reports),
            "seconds": round(sum(each.duration for each in reports), 1),
            "rounds": tally.done if tally is not None else 0, "seen": dict(tally.seen) if tally is not None else {},
        })  # fmt: skip
    return report


def _outcome(reports: Sequence[pytest.TestReport]) -> dict[str, str]:
    """What became of it as a whole; where it was skipped, why."""
    for report in reports:
        if report.failed:
            return {"outcome": "failed", "why": ""}
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            return {"outcome": "skipped", "why": reason.removeprefix("Skipped: ")}
    return {"outcome": "passed", "why": ""}


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    row = _row(request.node)
    assert row is not None, "a test with a tally says which fault it provokes"
    counted = Tally(row[0], request.node.name)
    request.node.stash[_TALLY] = counted
    return counted


@pytest.fixture(params=[1, 2], ids=["one", "two"])
def workers(request: pytest.FixtureRequest) -> int:
    """The fault is provoked with one process, and with a supervisor and two workers."""
    return int(request.param)


@pytest.fixture(autouse=True)
def _no_node_is_left_behind() -> Iterator[None]:
    yield
    kill_all()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    try:
        return Disk(tmp_path)
    except NoDisk as reason:
        pytest.skip(str(reason))
