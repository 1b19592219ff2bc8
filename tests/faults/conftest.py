"""`tally` counts a fault's rounds and what they saw; `python -m tests.faults` reads it while the tests run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.counts import FAULTS, Fault
from tests.faults.disk import Disk, NoDisk
from tests.faults.node import kill_all

RESULTS: Final = "CAREBELL_FAULTS_RESULTS"
"""A file for one JSON object a line: rounds as they pass, and each test's outcome."""

_OUTCOME: Final = pytest.StashKey[str]()


class Tally:
    """Rounds done and things seen by one test.

    Attributes:
        fault: its row of `counts.FAULTS`.
        seen: what -> how often; add to it.
    """

    def __init__(self, number: str, test: str) -> None:
        self.fault: Fault = FAULTS[number]
        self.seen: Counter[str] = Counter()
        self._about = {"fault": number, "test": test}

    def rounds(self, share: float = 1.0) -> Iterator[int]:
        """0, 1, ... as often as the fault's row says, or a share of it, once at least."""
        count = max(1, round(self.fault.rounds * share))
        for done in range(count):
            yield done
            self.progress(done + 1, count)

    def progress(self, done: int, of: int) -> None:
        self.seen["rounds"] = done
        self._report({"done": done, "of": of})

    def finish(self, outcome: str) -> None:
        self._report({"outcome": outcome, "seen": dict(self.seen)})

    def _report(self, facts: dict[str, Any]) -> None:
        where = os.environ.get(RESULTS)
        if where is not None:
            with Path(where).open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._about | facts) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        item.stash[_OUTCOME] = report.outcome
    return report


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    marker = request.node.get_closest_marker("faults")
    counted = Tally(marker.args[0], request.node.name)
    yield counted
    counted.finish(request.node.stash.get(_OUTCOME, "failed"))


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
