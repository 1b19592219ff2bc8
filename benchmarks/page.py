"""docs/reference/benchmarks.md, written from a run's figures and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.figures import FIGURE_HEAD, HEAD, Figure, Intake, table

_TEXT = """# Benchmarks

<!-- Written by `make bench`; edits are overwritten. -->

Measured {when} on {machine}, with {python} and SQLite {sqlite}; load average {load_before} before and {load_after} after the run.
Every server ran in the same run, started anew for each round on an empty folder, with the same {messages:,} messages (RSA-2048
signed, {bytes} bytes on average, no two alike) from the same load client: stop and wait on each connection, {rounds} rounds of
{seconds} s by turns. Absolute figures drift by a third on shared machines; the ratios inside one run do not. Only Carebell and
"the usual design" keep anything: the others answer and forget.

## Intake

![Messages a second by server and number of connections](../../benchmarks/results/intake.svg)

{intake}

"Carebell is" says how many times as many messages a second Carebell acknowledged. The client's idle share is of the round with
the median rate: near 0 % the client would have been measured.

## Targets

{figures}

The figures of every round are in [benchmarks/results/figures.json](../../benchmarks/results/figures.json).
"""


def write_page(intakes: Sequence[Intake], figures: Sequence[Figure], about: Mapping[str, Any]) -> str:
    """The page's text."""
    return _TEXT.format(
        intake=table(HEAD, [one.cells() for one in intakes]),
        figures=table(FIGURE_HEAD, [one.cells() for one in figures]),
        **about,
    )
