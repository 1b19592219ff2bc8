"""What a run saw of each fault: read from the tests' lines, kept in benchmarks/results/faults.json, shown as a table.

Several runs make one file: each fault keeps the row of its newest run, with that run's own date, rounds and machine load.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from tests.faults.counts import FAULTS, number_of

RESULTS: Final = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"

KEPT, BROKEN, SKIPPED, NOT_RUN = "kept", "BROKEN", "skipped", "not run"
_WORST: Final = (BROKEN, SKIPPED, NOT_RUN, KEPT)


@dataclass(slots=True)
class Outcome:
    """What is known of one row of `counts.FAULTS`.

    Attributes:
        planned: tests that will run. ended: test -> passed, skipped or failed. has_begun: the first of them has.
        done, of: test -> rounds; of those that prove a harness too, for the display.
        rounds: of the tests that count, one after the other.
        seen: summed over all tests. why: of those skipped. seconds: of all.
    """

    planned: set[str] = field(default_factory=set)
    ended: dict[str, str] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    rounds: list[int] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    has_begun: bool = False
    seconds: float = 0.0

    def take(self, line: Mapping[str, Any]) -> None:
        """Learn from one line of `conftest`."""
        test = line["test"]
        if "planned" in line:
            self.planned.add(test)
        elif "begun" in line:
            self.has_begun = True
        elif "done" in line:
            self.done[test], self.of[test] = line["done"], line["of"]
        else:
            self.ended[test] = line["outcome"]
            self.seconds += line["seconds"]
            if line["why"]:
                self.why.append(line["why"])
            if line["outcome"] != "skipped" and line["rounds"] and not line["proof"]:
                self.rounds.append(line["rounds"])
            for what, count in line["seen"].items():
                self.seen[what] = self.seen.get(what, 0) + count

    @property
    def is_over(self) -> bool:
        return bool(self.planned) and self.planned <= self.ended.keys()

    @property
    def verdict(self) -> str:
        """Only what passed proves anything; one test that failed breaks the promise."""
        if "failed" in self.ended.values():
            return BROKEN
        if not self.is_over:
            return NOT_RUN
        return KEPT if "passed" in self.ended.values() else SKIPPED

    def as_row(self, row: str, when: datetime | None) -> dict[str, object]:
        """For the file. `when`: None: it never ran."""
        fault = FAULTS[row]
        return {
            "id": row, "fault": fault.name, "promise": fault.promise, "asked": f"{fault.full:,} {fault.unit}",
            "rounds": " + ".join(f"{count:,}" for count in self.rounds) or "0",
            "seen": ", ".join(f"{what}: {count:,}" for what, count in self.seen.items()),
            "verdict": self.verdict, "why": "; ".join(dict.fromkeys(self.why)),
            "when": f"{when:%Y-%m-%d}" if when is not None else "",
            "seconds": round(self.seconds),
        }  # fmt: skip


def read_lines(text: str, into: dict[str, Outcome]) -> None:
    """Take each line in."""
    for line in text.splitlines():
        facts = json.loads(line)
        into[facts["fault"]].take(facts)


def rows(found: Mapping[str, Outcome], when: datetime) -> list[dict[str, object]]:
    """Of every fault whose tests are all over."""
    return [outcome.as_row(row, when) for row, outcome in found.items() if outcome.is_over]


def merge(new: Iterable[Mapping[str, object]], file: Path = RESULTS) -> None:
    """Lay these rows over the file's. Every fault has a row afterwards: one that never ran says so."""
    before = json.loads(file.read_text("utf-8"))["faults"] if file.exists() else []
    known = {row["id"]: row for row in before} | {row["id"]: row for row in new}
    everything = [known.get(row) or Outcome().as_row(row, None) for row in FAULTS]
    machine = (
        f"{platform.machine()} with {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine, "faults": everything}, indent=1) + "\n", "utf-8")


def show(shown: Iterable[Mapping[str, object]]) -> Table:
    """For a terminal; a narrow one folds the columns, and loses nothing."""
    table = Table(show_lines=True, expand=True)
    for heading, ratio in (("#", None), ("fault", 3), ("rounds", 2), ("seen", 4), ("promise", 3)):
        table.add_column(heading, ratio=ratio, overflow="fold")
    for row in shown:
        verdict = f"{row['verdict']}: {row['why']}" if row["why"] else f"{row['verdict']}"
        table.add_row(
            f"{row['id']}".replace(" ", "\n"),
            f"{row['fault']}",
            f"{row['rounds']}\nof {row['asked']}",
            f"{row['seen']}",
            f"{row['promise']}: {verdict}",
        )
    return table


def summary(shown: Iterable[Mapping[str, object]], seconds: float) -> str:
    """`22 faults: 21 kept, 0 broken, 1 skipped; 1 h 02 min`. A fault with several rows is as good as its worst."""
    verdicts: dict[str, str] = {}
    for row in shown:
        number = number_of(f"{row['id']}")
        verdicts[number] = min(verdicts.get(number, KEPT), f"{row['verdict']}", key=_WORST.index)
    count = {verdict: list(verdicts.values()).count(verdict) for verdict in _WORST}
    more = f", {count[NOT_RUN]} not run" if count[NOT_RUN] else ""
    counted = f"{count[KEPT]} kept, {count[BROKEN]} broken, {count[SKIPPED]} skipped{more}"
    return f"{len(verdicts)} fault{'s' if len(verdicts) != 1 else ''}: {counted}; {_span(seconds)}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
