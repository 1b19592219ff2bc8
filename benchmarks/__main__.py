"""`python -m benchmarks`: Carebell beside other servers in one run, and what the targets ask for.

Without options: everything, some 20 minutes on two idle cores; results go to benchmarks/results and docs/reference/benchmarks.md.
`--only NAME,...` runs some themes and puts them in place of their last run's rows. `--quick` measures every target in some 10
minutes, with fewer rounds, and keeps nothing. `--short` shows in about a minute that it all runs and that the counts agree; it
keeps nothing and judges no duration.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.editions import BASELINE
from benchmarks.extent import FULL, QUICK, SHORT, Extent
from benchmarks.figures import FIGURE_HEAD, HEAD, SHORT_HEAD, Figure, Intake, table
from benchmarks.interpreter import described
from benchmarks.page import write_page
from benchmarks.plot import draw
from benchmarks.progress import RunProgress, shown
from benchmarks.record import Conditions, ResultRecord, TablePart, dated
from benchmarks.themes import THEMES, Theme, chosen

_ROOT: Final = Path(__file__).parents[1]
_RESULTS: Final = _ROOT / "benchmarks" / "results"
_FIGURES: Final = _RESULTS / "figures.json"
_PAGE: Final = _ROOT / "docs" / "reference" / "benchmarks.md"


def main() -> int:
    """Run, print, and (unless short) write the results."""
    given = _arguments()
    extent = _extent(given)
    begun = time.monotonic()
    before = ResultRecord({}) if given.short or given.quick or given.only is None else _before()
    themes: tuple[Theme, ...] = given.only or THEMES
    parts = {}
    with (
        tempfile.TemporaryDirectory(prefix="carebell-bench-") as place,
        shown(themes, minutes=_minutes(given)) as progress,
    ):
        bench = Bench(extent, Path(place), progress.say, baseline=given.baseline)
        for theme in themes:
            parts[theme.name] = _measured(theme, bench, progress)
            record = before.with_parts(parts, [theme.name for theme in THEMES])
            if not given.short and not given.quick:
                _write(record)  # so that what is interrupted has not been for nothing
    _show(record, short=given.short)
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes, {described()}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    extents = parser.add_mutually_exclusive_group()
    extents.add_argument("--short", action="store_true", help="show that everything runs; keep nothing")
    extents.add_argument("--quick", action="store_true", help="every target in some 10 minutes; keep nothing")
    parser.add_argument(
        "--only", type=_themes, metavar="NAME,...", help=f"of {', '.join(theme.name for theme in THEMES)}"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each server")
    parser.add_argument("--seconds", type=float, help="seconds of each round")
    parser.add_argument(
        "--baseline", metavar="COMMIT", default=BASELINE, help=f"that Carebell is held against, else {BASELINE}"
    )
    parser.add_argument(
        "--soak", type=int, metavar="MESSAGES", help=f"over which memory is watched, else {FULL.soak:,}"
    )
    return parser.parse_args()


def _before() -> ResultRecord:
    try:
        return ResultRecord.read(_FIGURES)
    except ValueError as wrong:
        raise SystemExit(f"benchmark: {wrong}") from None


def _themes(names: str) -> tuple[Theme, ...]:
    try:
        return chosen(names)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def _extent(given: argparse.Namespace) -> Extent:
    extent = SHORT if given.short else QUICK if given.quick else FULL
    return replace(
        extent,
        rounds=given.rounds or extent.rounds,
        seconds=given.seconds or extent.seconds,
        soak=given.soak or extent.soak,
    )


def _minutes(given: argparse.Namespace) -> Callable[[Theme], float] | None:
    if given.short:
        return None
    return (lambda theme: theme.quick) if given.quick else (lambda theme: theme.minutes)


def _measured(theme: Theme, bench: Bench, progress: RunProgress) -> TablePart:
    progress.begin(theme)
    when, load, begun = datetime.now(UTC), os.getloadavg()[0], time.monotonic()
    rows: Sequence[Intake | Figure] = list(theme.run(bench))
    conditions = Conditions(
        when=when.strftime("%Y-%m-%d"),
        machine=f"{platform.machine()} with {os.cpu_count()} cores, {platform.system()}",
        python=described(),
        sqlite=sqlite3.sqlite_version,
        load_before=round(load, 1),
        load_after=round(os.getloadavg()[0], 1),
        minutes=round((time.monotonic() - begun) / 60, 1),
        messages=bench.extent.messages,
        bytes=bench.size,
        rounds=bench.extent.rounds,
        seconds=bench.extent.seconds,
    )
    return TablePart(
        conditions=conditions,
        intakes=[row for row in rows if isinstance(row, Intake)],
        figures=[row for row in rows if isinstance(row, Figure)],
    )


def _write(record: ResultRecord) -> None:
    record.write(_FIGURES)
    if record.intakes:
        (_RESULTS / "intake.svg").write_text(draw(record.intakes), "utf-8")
    _PAGE.parent.mkdir(parents=True, exist_ok=True)
    _PAGE.write_text(write_page(record), "utf-8")


def _show(record: ResultRecord, *, short: bool) -> None:
    if record.intakes:
        print(table(dated(HEAD), record.intake_rows()), end="\n\n")
    if short:
        print(table(SHORT_HEAD, [row.short_cells() for row in record.figures]), end="\n\n")
        print("everything ran, and the counts agree; so short a run says nothing of the targets")
        return
    print(table(dated(FIGURE_HEAD), record.figure_rows()), end="\n\n")
    print(record.summary())


if __name__ == "__main__":
    sys.exit(main())
