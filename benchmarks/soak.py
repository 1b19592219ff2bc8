"""Memory over many messages: one service under load without a pause, its messages signed in parts beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from statistics import linear_regression
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.intake import load
from benchmarks.messages import Messages, sign
from benchmarks.servers import CAREBELL, Running, running
from simulator.ehr import make_identity

CONNECTIONS: Final = 16
ASKED: Final = 1_000_000
"""Messages that the target speaks of."""
FLAT: Final = 10.0
"""Megabytes that may be added over them: what an allocator's holes make of it, and a fifteenth of what the service may use."""
_MILLION: Final = 1e6


def memory(bench: Bench) -> Iterator[Figure]:
    """Resident megabytes after a tenth, half and all of the messages; and how much a million adds."""
    count = bench.extent.soak
    points = list(_points(bench, count))
    asked = "" if count == ASKED else f"of {ASKED:,} asked for, {count:,} were sent; "
    for share in (0.1, 0.5, 1.0):
        resident = next(memory for sent, memory in points if sent >= share * count)
        name = f"memory after {share:.0%} of {count:,} messages"
        yield Figure(name=name, value=resident, unit="MB", target=150, note="of the largest process")
    settled = [point for point in points if point[0] >= 0.5 * count]  # caches are full by then
    error = uncertainty(settled)
    yield Figure(
        name=f"memory over {count:,} messages",
        value=slope(settled),
        unit="MB a million",
        target=FLAT,
        note=f"{asked}slope of {len(settled)} readings of the second half, +-{error:,.0f} (two standard errors); flat: at most "
        f"{FLAT:g} MB",
    )


def _points(bench: Bench, count: int) -> Iterator[tuple[int, float]]:
    """(messages answered so far, megabytes resident), after every part."""
    identity, now = make_identity("Soak", now=datetime.now(UTC), bits=2048), datetime.now(UTC)
    size = max(bench.extent.soak_part, count // 40)
    parts = [range(first, min(first + size, count)) for first in range(0, count, size)]
    folder = bench.folder()

    def signed(numbers: range) -> Messages:
        return sign(folder / f"part-{numbers.start}", numbers, identity, now, workers=1)

    bench.say(f"memory: signing the first of {count:,} messages")
    with ThreadPoolExecutor(1) as ahead:
        following = ahead.submit(signed, parts[0])
        with running(CAREBELL, folder / "server", following.result()) as it:
            for number, numbers in enumerate(parts):
                messages = following.result()
                if number + 1 < len(parts):
                    following = ahead.submit(signed, parts[number + 1])
                bench.say(f"memory: {numbers.start:,} of {count:,} messages, {it.memory():.0f} MB")
                _send(it, messages)
                messages.file.unlink()
                yield numbers.stop, it.memory()


def _send(it: Running, messages: Messages) -> None:
    totals = load(it, messages, connections=min(CONNECTIONS, messages.count), seconds=3600)
    if totals["accepted"] != messages.count:
        became = ", ".join(
            f"{totals[what]:.0f} {what}" for what in ("accepted", "refused", "lost", "connections_again")
        )
        raise SystemExit(f"benchmark: {messages.count} sent, {became}: counts disagree")


def slope(points: Sequence[tuple[int, float]]) -> float:
    """Megabytes that a million messages add."""
    return linear_regression([sent / _MILLION for sent, _ in points], [resident for _, resident in points]).slope


def uncertainty(points: Sequence[tuple[int, float]]) -> float:
    """Two standard errors of the slope, of readings that scatter evenly."""
    slope, intercept = linear_regression([sent / _MILLION for sent, _ in points], [resident for _, resident in points])
    left = sum((resident - intercept - slope * sent / _MILLION) ** 2 for sent, resident in points)
    middle = sum(sent for sent, _ in points) / len(points)
    spread = sum(((sent - middle) / _MILLION) ** 2 for sent, _ in points)
    return float(2 * (left / max(1, len(points) - 2) / spread) ** 0.5)
