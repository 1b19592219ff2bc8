"""What group commit is worth, and how long an answer takes at a steady rate."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import inside
from benchmarks.bench import Bench, middle_rate
from benchmarks.figures import Figure


def grouping(bench: Bench) -> Iterator[Figure]:
    """Against itself with a commit for each message; a second time as if the disk were 5 ms slower."""
    most = max(number for number in bench.extent.connections if number <= 100)
    for connections, delay, target in ((most, "0", 1.8), (min(16, most), "5", 6.0))[: bench.extent.groupings]:
        grouped = bench.carebell(connections, CAREBELL_BENCH_COMMIT_MS=delay)
        single = bench.carebell(connections, CAREBELL_BENCH_COMMIT_MS=delay, CAREBELL_BENCH_BATCH="1")
        slower = f", +{delay} ms a commit" if delay != "0" else ""
        yield Figure(
            name=f"group commit against groups of 1, {connections} connections{slower}",
            value=middle_rate(grouped) / middle_rate(single),
            unit="x",
            target=target,
            side="at least",
            note=f"{middle_rate(grouped):,.0f}/s against {middle_rate(single):,.0f}/s",
        )


def open_loop(bench: Bench) -> Iterator[Figure]:
    """Messages leave when they are due, whether or not answers have come."""
    connections = max(number for number in bench.extent.connections if number <= 100)
    rate = 2_000.0 if bench.full else 100.0
    samples = bench.carebell(connections, rate=rate)
    middle = sorted(samples, key=lambda sample: sample.p99)[len(samples) // 2]
    _, synced = inside.fdatasync_milliseconds(bench.folder())
    yield Figure(
        name=f"open loop, {rate:,.0f}/s over {connections} connections, p99",
        value=middle.p99,
        unit="ms",
        target=25,
        note=f"answered {middle.rate:,.0f}/s; p50 {middle.p50:.1f} ms; fdatasync p99 {synced:.2f} ms; {middle.limit}",
    )
