"""Against itself: one worker and all of them, plain Python and compiled, beside the Carebell of a baseline commit; by turns.

Two rows say what such a comparison is worth in this very run: the baseline beside itself, which should be 1, and this Carebell with
every commit made slower on purpose, which must be seen.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from benchmarks.bench import Bench, agree
from benchmarks.editions import Edition
from benchmarks.figures import Figure
from benchmarks.intake import Sample, sample
from benchmarks.servers import Missing, Server

SLOWER: Final = 50.0
"""Milliseconds added to every commit of the control; a group of 100 takes less."""


@dataclass(slots=True)
class Contender:
    """One server's rounds; `missing` says why there are none."""

    server: Server | None
    samples: list[Sample] = field(default_factory=list)
    missing: str = ""

    @property
    def rate(self) -> float:
        """Messages a second, of the median round."""
        return statistics.median(measurement.rate for measurement in self.samples)

    @property
    def cpu(self) -> float:
        """Microseconds a message, of all its processes, in the median round."""
        return statistics.median(sample.server_cpu / sample.rate * 1e6 for sample in self.samples)

    @property
    def median(self) -> Sample:
        ordered = sorted(self.samples, key=lambda measurement: measurement.rate)
        return ordered[len(ordered) // 2]


def against_itself(bench: Bench) -> Iterator[Figure]:
    """The targets of ratio to the baseline, and the two controls; nothing in the short form."""
    if not bench.extent.itself_rounds:
        return
    rows = contenders(bench)
    connections = most_connections(bench)
    for turn in range(bench.extent.itself_rounds):
        order = list(rows.items())
        for name, contender in order if turn % 2 == 0 else order[::-1]:
            if contender.server is None:
                continue
            bench.say(f"{name}, {connections} connections, round {turn + 1} of {bench.extent.itself_rounds}")
            try:
                measurement = sample(
                    contender.server, bench.messages, connections=connections, seconds=bench.extent.itself_seconds
                )
            except Missing as reason:
                contender.server, contender.missing = None, str(reason)
                continue
            agree(measurement)
            contender.samples.append(measurement)
    yield from compared(rows, connections)


def most_connections(bench: Bench) -> int:
    """At most 100, which the targets speak of."""
    return max(number for number in bench.extent.connections if number <= 100)


BASELINE, AGAIN, PURE, COMPILED, ALL_PURE, ALL_COMPILED, SLOWED = (
    "baseline", "baseline again", "one worker, pure Python", "one worker, compiled", "all workers, pure Python",
    "all workers, compiled", "one worker, slowed on purpose",
)  # fmt: skip
_TARGETS: Final = {PURE: 1.8, COMPILED: 2.5, ALL_PURE: None, ALL_COMPILED: 4.0}


def contenders(bench: Bench) -> dict[str, Contender]:
    """In the order of their turns; the baseline's second row comes last, as far from the first as it can be."""
    baseline, compiled = edition(bench, "baseline"), edition(bench, "compiled")
    pure = bench.editions.pure
    return {
        BASELINE: _contender(baseline, 1),
        PURE: _contender(pure, 1),
        COMPILED: _contender(compiled, 1),
        ALL_PURE: _contender(pure, None),
        ALL_COMPILED: _contender(compiled, None),
        SLOWED: Contender(pure.server(1, slower_milliseconds=SLOWER)),
        AGAIN: _contender(baseline, 1),
    }


def edition(bench: Bench, name: str) -> Edition | str:
    """Or why it is not here."""
    bench.say(f"the {name} Carebell")
    try:
        made: Edition = getattr(bench.editions, name)
    except Missing as reason:
        return str(reason)
    return made


def _contender(which: Edition | str, workers: int | None) -> Contender:
    if isinstance(which, str):
        return Contender(None, missing=which)
    if workers is None and not which.has_workers:
        return Contender(None, missing="`carebell serve` has no --workers here")
    return Contender(which.server(workers))


def compared(rows: dict[str, Contender], connections: int) -> Iterator[Figure]:
    """Each against the baseline, and the controls."""
    baseline = rows[BASELINE]
    for name, target in _TARGETS.items():
        yield _ratio(f"intake, {name}, against itself before, {connections} connections", rows[name], baseline, target)
    again = _ratio(f"control: the baseline against itself, {connections} connections", rows[AGAIN], baseline, 1.1)
    # Whichever was faster: what is away from 1 is noise, and no other ratio of this run is known better than that.
    value = None if again.value is None else max(again.value, 1 / again.value)
    yield replace(again, value=value, side="at most")
    yield _ratio(
        f"control: with {SLOWER:g} ms more a commit, against one worker, {connections} connections",
        rows[SLOWED], rows[PURE], 0.9, side="at most",
    )  # fmt: skip


def _ratio(name: str, row: Contender, base: Contender, target: float | None, side: str = "at least") -> Figure:
    missing = row.missing or base.missing
    if missing or not row.samples or not base.samples:
        return Figure(name=name, value=None, unit="x", target=target, side="at least", note=f"not run: {missing}")
    low, high = (f"{pick(measurement.rate for measurement in row.samples) / base.rate:.2f}" for pick in (min, max))
    return Figure(
        name=name,
        value=row.rate / base.rate,
        unit="x",
        target=target,
        side="at most" if side == "at most" else "at least",
        note=f"{row.rate:,.0f}/s against {base.rate:,.0f}/s; by round {low} to {high}; CPU a message {row.cpu:,.0f} against "
        f"{base.cpu:,.0f} us; p99 {row.median.p99:.0f} against "
        f"{base.median.p99:.0f} ms; limited by {row.median.limit}",
    )
