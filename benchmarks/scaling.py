"""Two nodes on one PostgreSQL against one, and what a message costs the store while the database grows."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.nodes import SETTINGS, Turn, single_process, turn
from tests.store.postgresql import NoServer, Server

GROWTH: Final = Path(__file__).parent / "results" / "growth-sqlite.json"
SIZES: Final = (10_000, 1_000_000, 10_000_000)
"""Appointments stored; what a message costs at the others is compared with the first."""
_CONNECTIONS: Final = 100
_NAME: Final = "two nodes on PostgreSQL against one"


def two_nodes(bench: Bench) -> Iterator[Figure]:
    """By turns, each turn on an empty database; with each node held to a share of a core, and without."""
    if not bench.extent.shares:
        yield Figure(
            name=_NAME, value=None, unit="x", target=1.6, side="at least", note="not run: not in the short form"
        )
        return
    try:
        server = Server(settings=SETTINGS)
    except NoServer as reason:
        yield Figure(name=_NAME, value=None, unit="x", target=1.6, side="at least", note=f"not run: {reason}")
        return
    try:
        for share in bench.extent.shares:
            yield _compared(share, _turns(bench, server, share))
    finally:
        server.stop()


def _turns(bench: Bench, server: Server, share: float | None) -> dict[int, list[Turn]]:
    turns_by_nodes: dict[int, list[Turn]] = {1: [], 2: []}
    rounds = bench.extent.nodes_rounds
    held = "" if share is None else f", {share:g} of a core each"
    for number in range(rounds):
        for nodes, turns in turns_by_nodes.items():
            bench.say(f"{nodes} node{'s' if nodes > 1 else ''} on PostgreSQL{held}, round {number + 1} of {rounds}")
            turns.append(
                turn(
                    server,
                    bench.messages,
                    nodes=nodes,
                    connections=_CONNECTIONS,
                    seconds=bench.extent.nodes_seconds,
                    share=share,
                    more=single_process(bench.editions.pure.has_workers),
                )
            )
    return turns_by_nodes


def _compared(share: float | None, turns: dict[int, list[Turn]]) -> Figure:
    single, pair = (statistics.median(turn.rate for turn in turns[nodes]) for nodes in (1, 2))
    last = turns[2][-1]
    used = f"{single:,.0f}/s, {pair:,.0f}/s; with two, the nodes used {last.nodes_cpu:.2f} cores, PostgreSQL {last.server_cpu:.2f}"
    if share is None:
        return Figure(
            name=f"{_NAME}, all on the same cores",
            value=pair / single,
            unit="x",
            note=f"{used}; without a target: nodes, database and load client share this machine's cores, which one node fills",
        )
    return Figure(
        name=_NAME,
        value=pair / single,
        unit="x",
        target=1.6,
        side="at least",
        note=f"{used}; simulated: each node has {share:g} of a core, because it is stopped while it is ahead of that; database and "
        "disk are shared as they are",
    )


def growth(bench: Bench) -> Iterator[Figure]:
    """Read, not run: `python -m benchmarks.growth` takes some minutes and gigabytes of its own."""
    bench.say("growth: reading its last run")
    yield from grown(GROWTH)


def grown(file: Path) -> Iterator[Figure]:
    """From such a file, one point a line."""
    small = SIZES[0]
    names = {"booked": "a first booking", "moved": "a change of one"}
    points = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    by_size: dict[int, dict[str, Any]] = {point["appointments"]: point for point in points}
    for kind, large in ((kind, large) for large in SIZES[1:] for kind in names):
        title = f"store's CPU for {names[kind]}, {large:,} against {small:,} appointments"
        if small not in by_size or large not in by_size:
            reason = f"not run: python -m benchmarks.growth sqlite:///FILE --sizes {','.join(map(str, SIZES))} -o {file.name}"
            yield Figure(name=title, value=None, unit="x", target=1.15, note=reason)
            continue
        before, after = by_size[small], by_size[large]
        when, load = _origin(file, after)
        wall, written = (after[f"{kind}_{what}"] / before[f"{kind}_{what}"] for what in ("us", "bytes"))
        yield Figure(
            name=title,
            value=after[f"{kind}_cpu_us"] / before[f"{kind}_cpu_us"],
            unit="x",
            target=1.15,
            note=f"{before[f'{kind}_cpu_us']:.0f} us, {after[f'{kind}_cpu_us']:.0f} us, SQLite, groups of 100; wall clock "
            f"{wall:.2f}x, bytes written {written:.1f}x; verifying, parsing and planning do not depend on the size and are not "
            f"in it; {load}",
            when=when,
        )


def _origin(file: Path, point: dict[str, Any]) -> tuple[str, str]:
    """(the date it was measured, or by which it was committed; the load average then, as the note says it)."""
    if "when" in point:
        return point["when"], f"load average {point['load']:.1f} then"
    asked = ["git", "log", "-1", "--format=%cs", "--", file.name]
    when = subprocess.run(asked, cwd=file.parent, capture_output=True, text=True).stdout.strip()
    return when or "unknown", "load average not known"
