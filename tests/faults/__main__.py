"""`python -m tests.faults`, or `make faults`: the full column of every fault provoked here, with a progress display.

Writes benchmarks/results/faults.json and the generated table in docs/explanation/promises.md. `--ci` runs the short column
instead and writes nothing; words after `--` go to pytest (`-- -k F3`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tests.faults.conftest import RESULTS
from tests.faults.counts import FAULTS, FULL

_ROOT: Final = Path(__file__).parents[2]
_RESULTS: Final = _ROOT / "benchmarks" / "results" / "faults.json"
_PAGE: Final = _ROOT / "docs" / "explanation" / "promises.md"
_BEGIN: Final = "<!-- begin: written by `make faults` -->"
_END: Final = "<!-- end: written by `make faults` -->"


@dataclass(slots=True)
class Outcome:
    """What is known of one fault. `tests`: name -> passed, skipped or failed; `seen`: summed over them."""

    tests: dict[str, str] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def take(self, line: Mapping[str, Any]) -> None:
        self.tests[line["test"]] = line["outcome"]
        for what, count in line["seen"].items():
            self.seen[what] = self.seen.get(what, 0) + count

    @property
    def verdict(self) -> str:
        """Skipped tests prove nothing: only what passed counts."""
        if not self.tests:
            return "not run"
        if "failed" in self.tests.values():
            return "BROKEN"
        return "kept" if "passed" in self.tests.values() else "not run (skipped)"


def main() -> int:
    """Run, show, write; pytest's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Provoke every fault, the full counts.")
    parser.add_argument("--ci", action="store_true", help="the short counts; keep nothing")
    parser.add_argument("pytest", nargs="*", help="after `--`: for pytest")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carebell-faults-") as place:
        lines = Path(place) / "lines"
        lines.touch()
        said = Path(place) / "pytest"
        code = _run(lines, said, full=not given.ci, words=given.pytest)
        found = _outcomes(lines)
        if code != 0:
            sys.stdout.write(said.read_text("utf-8", errors="replace")[-8000:])
    sys.stdout.write(_table(found, full=not given.ci) + "\n")
    if not given.ci and not given.pytest:
        _write(found)
        sys.stdout.write(f"wrote {_RESULTS.relative_to(_ROOT)} and {_PAGE.relative_to(_ROOT)}\n")
    return code


def _run(lines: Path, said: Path, *, full: bool, words: Sequence[str]) -> int:
    environment = {**os.environ, RESULTS: str(lines), **({FULL: "full"} if full else {})}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "7200",
        "tests/faults",
        *words,
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with said.open("wb") as out, Progress(*columns, console=Console(stderr=True)) as progress:
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        bars: dict[str, TaskID] = {}
        with lines.open(encoding="utf-8") as file:
            running = True
            while running:
                running = process.poll() is None
                for line in _whole_lines(file.readlines()):
                    if "done" in line:
                        bar = bars.get(line["test"])
                        if bar is None:
                            name = f"{line['fault']:>4} {FAULTS[line['fault']].name}"
                            bar = bars[line["test"]] = progress.add_task(name, total=line["of"])
                        progress.update(bar, completed=line["done"])
                time.sleep(0.2)
        return process.returncode


def _whole_lines(read: Sequence[str]) -> Iterator[dict[str, Any]]:
    for line in read:
        if line.endswith("\n"):
            yield json.loads(line)


def _outcomes(lines: Path) -> dict[str, Outcome]:
    found = {number: Outcome() for number in FAULTS}
    for line in _whole_lines(lines.read_text("utf-8").splitlines(keepends=True)):
        if "outcome" in line:
            found[line["fault"]].take(line)
    return found


def _table(found: Mapping[str, Outcome], *, full: bool) -> str:
    rows = ["| # | fault | asked for | seen | promise |", "|---|---|---|---|---|"]
    for number, outcome in found.items():
        fault = FAULTS[number]
        seen = ", ".join(f"{what}: {count:,}" for what, count in outcome.seen.items())
        asked = f"{fault.full if full else fault.ci:,} {fault.unit}"
        rows.append(f"| {number} | {fault.name} | {asked} | {seen} | {fault.promise}: **{outcome.verdict}** |")
    return "\n".join(rows)


def _write(found: Mapping[str, Outcome]) -> None:
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    content = {
        number: {"fault": FAULTS[number].name, "verdict": one.verdict, "tests": one.tests, "seen": one.seen}
        for number, one in found.items()
    }
    _RESULTS.parent.mkdir(parents=True, exist_ok=True)
    _RESULTS.write_text(json.dumps({"when": when, "faults": content}, indent=1) + "\n", "utf-8")
    block = f"{_BEGIN}\nRun on {when}.\n\n{_table(found, full=True)}\n{_END}"
    page = _PAGE.read_text("utf-8") if _PAGE.exists() else f"# Promises\n\n{_BEGIN}\n{_END}\n"
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.parent.mkdir(parents=True, exist_ok=True)
    _PAGE.write_text(before + block + after, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
