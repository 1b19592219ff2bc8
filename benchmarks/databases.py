"""PostgreSQL beside SQLite in one run; and the way in beside the record of the texts' answers, on the same rows: no deadlock."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import psycopg

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.intake import CHECKOUT, client_command
from benchmarks.messages import Messages, booking_or_move, sign
from benchmarks.nodes import SETTINGS, Turn, single_process, turn
from simulator.ehr import make_identity
from tests.faults.node import FastTime, Node, kill_all, write_configuration
from tests.store.postgresql import NoServer, Server

_CONNECTIONS: Final = 100
_RATIO: Final = "one process on PostgreSQL against SQLite"
_DEADLOCKS: Final = "deadlocks between the way in and the record of answers"
_SPEED: Final = 20.0
"""How fast the nodes' clocks run: texts fall due at whole minutes, which are so three seconds apart."""
_SETTLES: Final = 2.0
"""Seconds in which PostgreSQL writes its statistics down."""


def databases(bench: Bench) -> Iterator[Figure]:
    """Both questions; nothing in the short form."""
    if not bench.extent.database_rounds:
        return
    try:
        server = Server(settings=SETTINGS)
    except NoServer as reason:
        yield Figure(name=_RATIO, value=None, unit="x", target=0.8, side="at least", note=f"not run: {reason}")
        yield Figure(name=_DEADLOCKS, value=None, unit="", target=0, note=f"not run: {reason}")
        return
    try:
        yield _one_process(bench, server)
        yield _contended(bench, server)
    finally:
        server.stop()


def _one_process(bench: Bench, server: Server) -> Figure:
    more = single_process(bench.editions.pure.has_workers)
    turns: dict[str, list[Turn]] = {"SQLite": [], "PostgreSQL": []}
    for number in range(bench.extent.database_rounds):
        for name, own in turns.items():
            bench.say(f"one process on {name}, round {number + 1} of {bench.extent.database_rounds}")
            own.append(
                turn(
                    server if name == "PostgreSQL" else None, bench.messages, nodes=1, connections=_CONNECTIONS,
                    seconds=bench.extent.nodes_seconds, more=more,
                )
            )  # fmt: skip
    return compared(turns["SQLite"], turns["PostgreSQL"])


def compared(sqlite: Sequence[Turn], postgresql: Sequence[Turn]) -> Figure:
    """The ratio of the medians."""
    file, server = (statistics.median(turn.rate for turn in turns) for turns in (sqlite, postgresql))
    last = postgresql[-1]
    used = last.nodes_cpu + last.server_cpu + last.clients_cpu
    cores = os.cpu_count() or 1
    by = (
        f"the machine's {cores} cores" if used > 0.85 * cores else f"the process's CPU, with {last.nodes_cpu:.2f} cores"
    )
    return Figure(
        name=_RATIO,
        value=server / file,
        unit="x",
        target=0.8,
        side="at least",
        note=f"{server:,.0f}/s against {file:,.0f}/s, {_CONNECTIONS} connections; p99 {last.p99:.0f} ms; CPU of a message "
        f"{_microseconds(sqlite, 'nodes_cpu'):.0f} us on SQLite, {_microseconds(postgresql, 'nodes_cpu'):.0f} and the server's "
        f"{_microseconds(postgresql, 'server_cpu'):.0f} us on PostgreSQL; cores: process "
        f"{last.nodes_cpu:.2f}, PostgreSQL {last.server_cpu:.2f}, clients {last.clients_cpu:.2f}; limited by {by}",
    )


def _microseconds(turns: Sequence[Turn], what: Literal["nodes_cpu", "server_cpu"]) -> float:
    return float(statistics.median(getattr(turn, what) / turn.rate for turn in turns)) * 1e6


def _contended(bench: Bench, server: Server) -> Figure:
    """Two nodes that receive and send; each appointment is moved again while its last text's answer is recorded."""
    count = bench.extent.contended
    bench.say(f"deadlocks: signing {count:,} messages")
    identity, now = make_identity("Mover", now=datetime.now(UTC), bits=2048), datetime.now(UTC)
    folder, half = bench.folder(), count // 2
    halves = [
        sign(folder / f"half-{part}", numbers, identity, now, workers=os.cpu_count() or 1, content=booking_or_move)
        for part, numbers in enumerate((range(0, count, 2), range(1, count, 2)))
    ]
    bench.say(f"deadlocks: {count:,} messages over two nodes that send texts meanwhile")
    name = f"contended_{os.urandom(4).hex()}"
    server.run(f"CREATE DATABASE {name}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carebell-contended-") as place:
        try:
            configuration = write_configuration(Path(place), [identity.certificate], url=server.url(name))
            more = single_process(bench.editions.pure.has_workers)
            fast = FastTime(_SPEED)
            nodes = [
                Node(
                    configuration, roles="listener,dispatcher", more=(*more, *fast.options()),
                    program=(sys.executable, "-m", "benchmarks.variants"),
                    environment={**os.environ, "CAREBELL_BENCH_UNLIMITED": "1"},
                )
                for _ in range(2)
            ]  # fmt: skip
            _send([node.port for node in nodes], halves, half)
            texts = _ended_texts(server.url(name))
            for node in nodes:
                node.stop()
            time.sleep(_SETTLES)
            deadlocks = _asked(
                server.url(name), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
        finally:
            kill_all()
            server.run(f"DROP DATABASE {name} WITH (FORCE)")
    return Figure(
        name=_DEADLOCKS,
        value=float(deadlocks),
        unit="",
        target=0,
        note=f"counted by PostgreSQL; {count:,} messages about the same appointments and {texts:,} texts that were handed over "
        f"meanwhile, two nodes whose clocks run x{_SPEED:g}, {time.monotonic() - began:.0f} s; every message was answered AA",
    )


def _send(ports: Sequence[int], halves: Sequence[Messages], count: int) -> None:
    clients = [
        subprocess.Popen(
            client_command(port, messages, connections=_CONNECTIONS // 2, seconds=3600),
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
        )
        for port, messages in zip(ports, halves, strict=True)
    ]
    for client in clients:
        answered = json.loads(client.communicate()[0])
        if answered["accepted"] != count or answered["lost"]:
            raise SystemExit(f"benchmark: {count} sent, {answered['accepted']} accepted: counts disagree")


def _ended_texts(url: str) -> int:
    return _asked(url, "SELECT count(*) FROM outbox WHERE state IN ('sent', 'delivered', 'accepted')")


def _asked(url: str, query: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
