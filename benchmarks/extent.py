"""How much a run measures: everything, the half of it that decides, or just enough to show that it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from benchmarks.servers import PYTHON_HL7, USUAL, YARDSTICKS, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is run.

    Attributes:
        judged: whether it is long enough to say something of the targets.
        messages: signed for the run. seconds, rounds: of each server at each of `connections`; yardsticks: the others; at `once`
            a single round of each of them is enough, since no target asks.
        itself_rounds, itself_seconds: of each Carebell beside the baseline.
        groupings: of the two comparisons with groups of one.
        pending: rows that wait, for dispatching and starting. due: of them due at once.
        dispatch_rounds: of each Carebell's dispatching. slow_texts: to a gateway that takes its time.
        database_rounds: of one process on each database. contended: messages whose texts' answers are recorded meanwhile, on
            PostgreSQL; 0: neither is run.
        replanned: appointments planned anew; replanning_rate: messages a second meanwhile.
        nodes_rounds, nodes_seconds: of one node and of two; shares: of a core for each node, None: no limit; empty: not run.
        soak: messages to one service. soak_part: of them at least signed and sent at a time.
        hostile: peers, half of them slow, the others silent. hostile_seconds: of the good one's load.
        texts: whose punctuality is looked at on an idle service; texts_seconds: over which they are due.
        texts_at_once: due at the same minute.
        burst: messages at once. burst_connections: from so many.
        commands: runs of each command.
        portal_appointments, portal_texts: in the database of the portal's pages. portal_rounds: requests for each page.
    """

    judged: bool
    messages: int
    seconds: float
    rounds: int
    connections: tuple[int, ...]
    once: tuple[int, ...]
    yardsticks: tuple[Server, ...]
    itself_rounds: int
    itself_seconds: float
    groupings: int
    pending: tuple[int, ...]
    due: int
    dispatch_rounds: int
    slow_texts: int
    database_rounds: int
    contended: int
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
    portal_appointments: int
    portal_texts: int
    portal_rounds: int


FULL: Final = Extent(
    judged=True,
    messages=50_000,
    seconds=3.0,
    rounds=3,
    connections=(1, 16, 100, 500),
    once=(1, 500),
    yardsticks=YARDSTICKS,
    itself_rounds=3,
    itself_seconds=4.0,
    groupings=2,
    pending=(10_000, 100_000, 1_000_000),
    due=5_000,
    dispatch_rounds=3,
    slow_texts=4_000,
    database_rounds=3,
    contended=100_000,
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
    portal_appointments=100_000,
    portal_texts=1_000_000,
    portal_rounds=20,
)
QUICK: Final = replace(
    FULL,
    rounds=2,
    connections=(1, 100, 500),
    itself_rounds=2,
    itself_seconds=3.0,
    groupings=1,
    pending=(1_000_000,),
    dispatch_rounds=2,
    slow_texts=2_000,
    database_rounds=1,
    contended=20_000,
    replanned=50_000,
    nodes_rounds=1,
    shares=(0.25,),
    soak=60_000,
    hostile_seconds=15.0,
    texts=100,
    texts_seconds=20.0,
    commands=3,
    portal_appointments=20_000,
    portal_texts=200_000,
    portal_rounds=10,
)
SHORT: Final = Extent(
    judged=False,
    messages=3_000,
    seconds=0.5,
    rounds=1,
    connections=(1, 16),
    once=(),
    yardsticks=(PYTHON_HL7, USUAL),
    itself_rounds=0,
    itself_seconds=0.0,
    groupings=1,
    pending=(1_000,),
    due=200,
    dispatch_rounds=0,
    slow_texts=40,
    database_rounds=0,
    contended=0,
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
    portal_appointments=200,
    portal_texts=1_000,
    portal_rounds=1,
)
