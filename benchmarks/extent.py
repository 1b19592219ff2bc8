"""How much a run measures: everything, or just enough to show that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.servers import PYTHON_HL7, USUAL, YARDSTICKS, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is run.

    Attributes:
        messages: signed for the run. seconds, rounds: of each server at each of `connections`.
        groupings: of the two comparisons with groups of one.
        pending: rows that wait, for dispatching and starting. due: of them due at once.
        replanned: appointments planned anew; replanning_rate: messages a second meanwhile.
        nodes_rounds, nodes_seconds: of one node and of two; shares: of a core for each node, None: no limit; empty: not run.
        soak: messages to one service. soak_part: of them at least signed and sent at a time.
        hostile: peers, half of them slow, the others silent. hostile_seconds: of the good one's load.
        texts: whose punctuality is looked at on an idle service; texts_seconds: over which they are due.
        texts_at_once: due at the same minute.
        burst: messages at once. burst_connections: from so many.
        commands: runs of each command.
    """

    messages: int
    seconds: float
    rounds: int
    connections: tuple[int, ...]
    yardsticks: tuple[Server, ...]
    groupings: int
    pending: tuple[int, ...]
    due: int
    replanned: int
    replanning_rate: float
    nodes_rounds: int
    nodes_seconds: float
    shares: tuple[float | None, ...]
    soak: int
    soak_part: int
    hostile: int
    hostile_seconds: float
    texts: int
    texts_seconds: float
    texts_at_once: int
    burst: int
    burst_connections: int
    commands: int


FULL: Final = Extent(
    messages=30_000,
    seconds=4.0,
    rounds=3,
    connections=(1, 16, 100, 500),
    yardsticks=YARDSTICKS,
    groupings=2,
    pending=(10_000, 100_000, 1_000_000),
    due=5_000,
    replanned=100_000,
    replanning_rate=300.0,
    nodes_rounds=2,
    nodes_seconds=5.0,
    shares=(0.25, None),
    soak=100_000,
    soak_part=5_000,
    hostile=500,
    hostile_seconds=40.0,
    texts=200,
    texts_seconds=40.0,
    texts_at_once=10_000,
    burst=50_000,
    burst_connections=500,
    commands=5,
)
SHORT: Final = Extent(
    messages=3_000,
    seconds=0.5,
    rounds=1,
    connections=(1, 16),
    yardsticks=(PYTHON_HL7, USUAL),
    groupings=1,
    pending=(1_000,),
    due=200,
    replanned=500,
    replanning_rate=50.0,
    nodes_rounds=0,
    nodes_seconds=0.0,
    shares=(),
    soak=400,
    soak_part=100,
    hostile=20,
    hostile_seconds=1.0,
    texts=20,
    texts_seconds=1.0,
    texts_at_once=100,
    burst=1_000,
    burst_connections=50,
    commands=1,
)
