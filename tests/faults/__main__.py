"""`python -m tests.faults`, or `make faults`: the full column of every fault provoked here, with a progress display.

    python -m tests.faults --only F3,F4     these alone; the others keep the rows that they have
    python -m tests.faults --share 0.4      less than the full counts; the table says how many rounds there were
    python -m tests.faults --ci             the short column; nothing is written
    python -m tests.faults -- -x            words for pytest; nothing is written

Writes benchmarks/results/faults.json and the table of docs/explanation/promises.md. Ctrl-C ends everything that was started, and
keeps what was finished.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from docs.generate import DOCS, with_block
from docs.tables import faults
from tests.faults.conftest import ONLY
from tests.faults.conftest import RESULTS as LINES
from tests.faults.counts import FAULTS, FULL, number_of
from tests.faults.outcomes import RESULTS, Outcome, merge, read_lines, rows, show, summary

_ROOT: Final = Path(__file__).parents[2]
_PAGE: Final = DOCS / "explanation" / "promises.md"
_GRACE: Final = 30.0
"""Seconds for pytest to stop its nodes and servers when it is interrupted."""
_INTERRUPTED: Final = 130


def main() -> int:
    """Run, show, write; pytest's exit code."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    found = {row: Outcome() for row in FAULTS}
    began, when = time.monotonic(), datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="carebell-faults-") as place:
        code, said = _run(Path(place), given, found)
    if code not in (0, _INTERRUPTED):
        sys.stdout.write(said[-8000:])
    finished = rows(found, when)
    console = Console()
    console.print(show(finished))
    console.print(summary(finished, time.monotonic() - began), highlight=False)
    if not given.ci and not given.pytest:
        merge(finished)
        _PAGE.write_text(with_block(_PAGE.read_text("utf-8"), "faults", faults.seen()), "utf-8")
        console.print(f"{RESULTS.relative_to(_ROOT)} and {_PAGE.relative_to(_ROOT)} hold it.", highlight=False)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Provoke every fault, the full counts.")
    parser.add_argument("--ci", action="store_true", help="the short counts; keep nothing")
    parser.add_argument("--only", metavar="F3,F4", default="", help="these faults; the others keep their rows")
    parser.add_argument("--share", metavar="0.4", type=float, help="less than the full counts, and the table says so")
    parser.add_argument("pytest", nargs="*", help="after `--`: for pytest; keep nothing")
    given = parser.parse_args()
    unknown = set(filter(None, given.only.split(","))) - {number_of(row) for row in FAULTS}
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    return given


def _as_ctrl_c(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _run(place: Path, given: argparse.Namespace, found: dict[str, Outcome]) -> tuple[int, str]:
    """pytest's exit code and output; `found` holds what it reported."""
    lines, said = place / "lines", place / "pytest"
    lines.touch()
    environment = {**os.environ, LINES: str(lines)}
    if not given.ci:
        environment[FULL] = "full" if given.share is None else str(given.share)
    if given.only:
        environment[ONLY] = given.only
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "7200", "tests/faults"]
    with said.open("wb") as out, _Display(found) as display, lines.open(encoding="utf-8") as file:
        # A session of its own: Ctrl-C reaches it once, from here, and does not interrupt its tidying up.
        process = subprocess.Popen(
            [*command, *given.pytest],
            cwd=_ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        try:
            while process.poll() is None:
                display.show(file.read())
                time.sleep(0.2)
            code = process.returncode
        except KeyboardInterrupt:
            _end(process)
            code = _INTERRUPTED
        display.show(file.read())
    return code, said.read_text("utf-8", errors="replace")


def _end_with_parent() -> None:
    """In the child: whoever kills this program interrupts the tests (prctl PR_SET_PDEATHSIG, linux/prctl.h).

    A shell lets what it runs in the background ignore SIGINT, and an ignored signal is inherited: the tests must hear it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the tests, which stop what they started; a second Ctrl-C, or no end, kills them."""
    process.send_signal(signal.SIGINT)
    with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
        process.wait(_GRACE)
        return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Display:
    """One line a fault: rounds done of all, and the time it takes. Without a terminal: a line when it is over."""

    def __init__(self, found: dict[str, Outcome]) -> None:
        self._found = found
        self._console = Console(stderr=True)
        name = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
        columns = (name, BarColumn(bar_width=12), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal, expand=True)
        self._bars: dict[str, TaskID] = {}
        self._over: set[str] = set()
        self._begun = ""  # a line whose end is still to come

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, more: str) -> None:
        """Learn from what was written since, and show what changed."""
        whole, newline, self._begun = (self._begun + more).rpartition("\n")
        read_lines(whole + newline, self._found)
        for row, outcome in self._found.items():
            if outcome.has_begun:
                self._move(row, outcome)
            if outcome.is_over and row not in self._over:
                self._over.add(row)
                self._finish(row, outcome)

    def _move(self, row: str, outcome: Outcome) -> None:
        if row not in self._bars:
            self._bars[row] = self._progress.add_task(f"{row:<4} {FAULTS[row].name}", total=None)
        done, of = sum(outcome.done.values()), sum(outcome.of.values())
        self._progress.update(self._bars[row], completed=done, total=of or None)

    def _finish(self, row: str, outcome: Outcome) -> None:
        if row in self._bars:
            self._progress.stop_task(self._bars[row])
        if not self._console.is_terminal or outcome.verdict != "kept":
            why = f" ({'; '.join(outcome.why)})" if outcome.why else ""
            of = f"{sum(outcome.done.values()):,}/{sum(outcome.of.values()):,}"
            said = f"{row:<4} {FAULTS[row].name}: {of}, {outcome.seconds:.0f} s, {outcome.verdict}{why}"
            self._progress.console.print(said, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
