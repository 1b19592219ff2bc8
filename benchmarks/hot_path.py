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
        grouped = bench.carebell(connections, workers=1, CAREBELL_BENCH_COMMIT_MS=delay)
        single = bench.carebell(connections, workers=1, CAREBELL_BENCH_COMMIT_MS=delay, CAREBELL_BENCH_BATCH="1")
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
    """Messages leave when they are due, whether or not answers have come: at half of what it can, and at a rate of old."""
    connections = max(number for number in bench.extent.connections if number <= 100)
    capacity = middle_rate(bench.carebell(connections))
    _, synced = inside.fdatasync_milliseconds(bench.folder())
    half = round(capacity / 2, -1) if bench.judged else 50.0
    yield _open_at(bench, connections, half, f"half of {capacity:,.0f}/s", synced)
    if bench.judged:
        yield _open_at(bench, connections, 2_000.0, f"{2_000 / capacity:.0%} of {capacity:,.0f}/s", synced)


def _open_at(bench: Bench, connections: int, rate: float, share: str, synced: float) -> Figure:
    samples = bench.carebell(connections, rate=rate)
    median = sorted(samples, key=lambda sample: sample.p99)[len(samples) // 2]
    at = "half of its capacity" if share.startswith("half") else f"{rate:,.0f}/s"
    return Figure(
        name=f"open loop, {at} over {connections} connections, p99",
        value=median.p99,
        unit="ms",
        target=25,
        note=f"{rate:,.0f}/s, {share}, the closed loop's in the same minute; answered {median.rate:,.0f}/s; "
        f"p50 {median.p50:.1f} ms; fdatasync p99 {synced:.2f} ms; {median.limit}",
    )
