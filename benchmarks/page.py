"""docs/reference/benchmarks.md, written from what runs have found and from nothing else."""

from __future__ import annotations

from dataclasses import asdict

from benchmarks.figures import FIGURE_HEAD, HEAD, table
from benchmarks.record import ResultRecord, dated

_HEAD = """# Benchmarks

<!-- Written by `make bench`; edits are overwritten. -->

{summary}. What a missed one was limited by stands beside it. Absolute figures drift by a third on shared machines; the ratios
inside one run do not. The figures of every round are in [benchmarks/results/figures.json](../../benchmarks/results/figures.json).
"""
_INTAKE = """
## Intake

Every server ran in the same run, started anew for each round on an empty folder, with the same {messages:,} messages (RSA-2048
signed, {bytes:,} bytes on average, no two alike) from the same load client: stop and wait on each connection, {rounds} rounds of
{seconds:g} s by turns; where no target asks, one round of the others. Carebell runs with its default number of workers.
Only Carebell and "the usual design" keep anything: the others answer and forget.

![Messages a second by server and number of connections](../../benchmarks/results/intake.svg)

{table}

"Carebell is" says how many times as many messages a second Carebell, as plain Python, acknowledged. p99, the client's idle
share and the limit are of the round with the median rate: near 0 % idle the client would have been measured.
"""
_TARGETS = """
## Targets

{table}

## Runs

The interpreter's words are those of its `configure`; a distribution may optimise its own in another way.
Themes may be measured apart (`make bench ARGS="--only NAME,..."`); load is the machine's load average over a minute.

{runs}
"""
_RUNS_HEAD = ("theme", "measured on", "load before", "after", "minutes", "machine", "with")


def write_page(record: ResultRecord) -> str:
    """The page's text."""
    parts = [_HEAD.format(summary=record.summary())]
    if "intake" in record.parts:
        intake = table(dated(HEAD), record.intake_rows())
        parts.append(_INTAKE.format(table=intake, **asdict(record.parts["intake"].conditions)))
    targets = table(dated(FIGURE_HEAD), record.figure_rows())
    parts.append(_TARGETS.format(table=targets, runs=table(_RUNS_HEAD, _runs(record))))
    return "".join(parts)


def _runs(record: ResultRecord) -> list[list[str]]:
    rows = []
    for name, part in record.parts.items():
        run = part.conditions
        rows.append(
            [
                name,
                run.when,
                f"{run.load_before:.1f}",
                f"{run.load_after:.1f}",
                f"{run.minutes:.1f}",
                run.machine,
                f"{run.python}, SQLite {run.sqlite}",
            ]
        )
    return rows
