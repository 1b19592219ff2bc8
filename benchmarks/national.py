"""A day of a national network, minute by minute: `python -m benchmarks.national`.

Arithmetic, not a load test. What is assumed stands in `Network`; what is measured is read from `benchmarks/results`.
Two questions: how many texts fall due in the same minute, and how late does a sender of so many segments a second make them; and
how many cores and how much disk do so many messages and texts take.

Reminders by the wall clock (`{before: 7d, at: "10:00"}`) are the hard part: a whole time zone's fall due in one minute.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"
_DAY: Final = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is assumed.

    Attributes:
        appointments: to come, all told. days: over which they spread evenly.
        zones: minutes behind UTC -> share of the appointments.
        opens, closes: minutes of the local day between which visits begin, each quarter of an hour.
        video: share of visits with a third reminder 15 minutes before.
        messages_each: in an appointment's life, while its zone's clinics are open.
        burst: messages a second for burst_minutes, from 10:00 in the busiest zone: a feed that was down, or a clinic that moves.
        notified: confirmations a message; the rest of the messages change nothing that a patient would be told.
        segments: of a text, on average.
    """

    appointments: int = 10_000_000
    days: int = 60
    zones: Mapping[int, float] = field(default_factory=lambda: {300: 0.48, 360: 0.29, 420: 0.07, 480: 0.16})
    opens: int = 8 * 60
    closes: int = 17 * 60
    video: float = 0.2
    messages_each: float = 2.5
    burst: float = 1000.0
    burst_minutes: int = 30
    notified: float = 0.6
    segments: float = 1.4


def due_by_minute(network: Network, *, spread: int = 0) -> list[float]:
    """Texts that fall due in each UTC minute of a day.

    Args:
        spread: minutes over which the 10:00 reminders are spread; 0: all in their minute, as planned.
    """
    due = [0.0] * _DAY
    visits = network.appointments / network.days
    slots = range(network.opens, network.closes, 15)
    for behind, share in network.zones.items():
        width = spread or 1
        for minute in range(width):
            due[(600 + behind + minute) % _DAY] += visits * share / width
        for slot in slots:
            due[(slot + behind) % _DAY] += visits * share / len(slots)
            due[(slot - 15 + behind) % _DAY] += visits * share / len(slots) * network.video
        notified = visits * share * network.messages_each * network.notified
        for minute in range(network.opens, network.closes):
            due[(minute + behind) % _DAY] += notified / (network.closes - network.opens)
    busiest = max(network.zones, key=lambda behind: network.zones[behind])
    for minute in range(network.burst_minutes):
        due[(600 + busiest + minute) % _DAY] += network.burst * 60 * network.notified
    return due


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderQueue:
    """How a day went. Attributes: most_waiting: texts. latest: minutes. left: texts at the end of the day."""

    most_waiting: float
    latest: int
    left: float


def send(due: list[float], texts_per_second: float) -> SenderQueue:
    """First in, first out; two days, of which the second is judged, so that a rest of the day before counts."""
    waiting: deque[tuple[int, float]] = deque()
    most, latest = 0.0, 0
    for minute in range(2 * _DAY):
        waiting.append((minute, due[minute % _DAY]))
        room = texts_per_second * 60
        while waiting and room > 0:
            since, texts = waiting.popleft()
            taken = min(texts, room)
            room -= taken
            if minute >= _DAY and taken > 0:
                latest = max(latest, minute - since)
            if texts > taken:
                waiting.appendleft((since, texts - taken))
        if minute >= _DAY:
            most = max(most, sum(texts for _, texts in waiting))
    return SenderQueue(most_waiting=most, latest=latest, left=sum(texts for _, texts in waiting))


def lines(name: str) -> list[dict[str, Any]]:
    """A result's points; none where it was not measured."""
    file = RESULTS / name
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def report(network: Network) -> Iterator[str]:
    due = due_by_minute(network)
    total, peak = sum(due), max(due)
    tenth = network.appointments / network.days * max(network.zones.values())
    yield f"texts a day {total:,.0f}; in the busiest minute {peak:,.0f}, of which {tenth:,.0f} are one zone's 10:00 reminders"
    yield ""
    yield "| segments a second | texts a second | 10:00 reminders | latest text | most waiting |"
    yield "|--:|--:|---|--:|--:|"
    for segments in (100, 200, 500, 1000, 2000):
        for spread in (0, 60):
            queue = send(due_by_minute(network, spread=spread), segments / network.segments)
            how = "in one minute" if not spread else f"over {spread} minutes"
            late = f"{queue.latest} min" if queue.left < total / 1000 else "falls behind"
            yield f"| {segments:,} | {segments / network.segments:,.0f} | {how} | {late} | {queue.most_waiting:,.0f} |"
    yield ""
    turns, growth = lines("nodes.json"), lines("growth-postgresql.json")
    if turns and growth:
        own, server = (
            sorted(turn[name] / turn["rate"] for turn in turns)[len(turns) // 2] for name in ("nodes_cpu", "server_cpu")
        )
        last = growth[-1]
        rate = network.burst
        yield f"cores for messages at {rate:,.0f}/s: {own * rate:.1f} in the nodes, {server * rate:.1f} in PostgreSQL"
        yield f"cores for claims at {peak / 60:,.0f} texts/s: {last['claim_cpu_us'] * peak / 60 / 1e6:.2f}"
        written = last["booked_bytes"] * (1 - network.notified / 2) + last["moved_bytes"] * network.notified / 2
        yield f"log at {rate:,.0f}/s: {written * rate / 1e6:,.0f} MB/s (at {last['appointments']:,} appointments)"
        yield f"database: {last['bytes_each'] * network.appointments / 1e9:,.0f} GB with indexes, before what is over is deleted"


def main(arguments: list[str]) -> None:
    given = argparse.ArgumentParser(prog="python -m benchmarks.national", description=__doc__.splitlines()[0])
    given.add_argument("--appointments", type=int, default=Network().appointments)
    given.add_argument("--burst", type=float, default=Network().burst, help="messages a second for half an hour")
    chosen = given.parse_args(arguments)
    network = Network(appointments=chosen.appointments, burst=chosen.burst)
    print("\n".join(report(network)))


if __name__ == "__main__":
    main(sys.argv[1:])
