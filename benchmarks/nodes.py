"""Two nodes on one PostgreSQL against one: `python -m benchmarks.nodes`.

Each round has an empty database, the same number of connections in all, stop and wait, and two load clients; the turns of one and
of two nodes alternate, so that both meet the same moods of the machine. Server, nodes and clients share this machine's cores:
what each of them used is in the table, because on two cores the second node mostly takes what the first one had. `--share 0.3`
gives each node that much of a core and no more, by stopping it when it has had its share: as if each ran on a small machine of
its own, while the database and the disk stay common. That is the question; without it the cores are.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.messages import Messages, make_messages
from tests.faults.node import Node, kill_all, write_configuration
from tests.store.postgresql import Server

SETTINGS: Final = {
    "shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "on", "max_connections": "60", "wal_compression": "on",
}  # fmt: skip
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_WARMING: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One measurement.

    Attributes:
        share: of a core that each node might use; None: no limit.
        rate: acknowledged messages a second, of all nodes.
        p99: milliseconds, of the slower client.
        nodes_cpu, server_cpu, clients_cpu: cores used. stored: messages that the database remembers.
    """

    nodes: int
    share: float | None
    rate: float
    p99: float
    nodes_cpu: float
    server_cpu: float
    clients_cpu: float
    stored: int


def turn(
    server: Server | None,
    messages: Messages,
    *,
    nodes: int,
    connections: int,
    seconds: float,
    share: float | None = None,
    more: Sequence[str] = (),
) -> Turn:
    """Start, warm up, load, look whether everything acknowledged is there. Without a server: on SQLite.

    Args:
        more: options of each node.
    """
    name = f"turn_{os.urandom(4).hex()}"
    url: str | None = None
    if server is not None:
        server.run(f"CREATE DATABASE {name}")
        url = server.url(name)
    with tempfile.TemporaryDirectory(prefix="carebell-nodes-") as folder:
        try:
            configuration = write_configuration(Path(folder), [messages.certificate], url=url, sms={"debounce": "60s"})
            started = [Node(configuration, roles="listener", more=more) for _ in range(nodes)]
            ports = [started[client % nodes].port for client in range(2)]
            warmed = sum(results["accepted"] for results in _load(messages, ports, connections, _WARMING, first=0))
            with _watched(started, server) as used, _limited(started, share):
                results = _load(messages, ports, connections, seconds, first=messages.count // 4)
            accepted = sum(run["accepted"] for run in results)
            stored = _stored(url) if url is not None else _stored_in_file(Path(folder) / "data" / "carebell.db")
            if stored < accepted + warmed or any(run["refused"] or run["lost"] for run in results):
                raise SystemExit(f"{accepted + warmed:.0f} acknowledged, {stored} stored: {results}")
            return Turn(
                nodes=nodes,
                share=share,
                rate=sum(run["rate"] for run in results),
                p99=max(run["p99"] for run in results),
                nodes_cpu=used[0] / seconds,
                server_cpu=used[1] / seconds,
                clients_cpu=sum(1 - run["idle"] for run in results),
                stored=stored,
            )
        finally:
            kill_all()
            if server is not None:
                server.run(f"DROP DATABASE {name} WITH (FORCE)")


def single_process(has_workers: bool) -> tuple[str, ...]:
    """Options of a node that is one process."""
    return ("--workers", "1") if has_workers else ()


def _load(
    messages: Messages, ports: Sequence[int], connections: int, seconds: float, *, first: int
) -> list[dict[str, float]]:
    """Both clients at once, each with its own half of the messages."""
    clients = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.load",
                "--port",
                str(port),
                "--connections",
                str(connections // len(ports)),
                "--messages",
                str(messages.file),
                "--seconds",
                str(seconds),
                "--skip",
                str(first // len(ports) + number * messages.count // len(ports)),
            ],
            stdout=subprocess.PIPE,
        )
        for number, port in enumerate(ports)
    ]
    return [json.loads(client.communicate()[0]) for client in clients]


@contextmanager
def _limited(nodes: Sequence[Node], share: float | None) -> Iterator[None]:
    """Each node gets this share of a core: it stands still while it is ahead of it."""
    if share is None:
        yield
        return
    over = threading.Event()

    def limit(node: Node) -> None:
        began, used, stopped = time.monotonic(), _cpu(node.pid), False
        while not over.wait(0.005):
            ahead = _cpu(node.pid) - used > share * (time.monotonic() - began)
            if ahead is not stopped:
                node.signal(signal.SIGSTOP if ahead else signal.SIGCONT)
                stopped = ahead
        node.signal(signal.SIGCONT)

    threads = [threading.Thread(target=limit, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def _watched(nodes: Sequence[Node], server: Server | None) -> Iterator[list[float]]:
    """CPU seconds of the nodes and of the server's processes, once the block is over."""

    def so_far() -> tuple[float, float]:
        return sum(_cpu(node.pid) for node in nodes), 0.0 if server is None else _family_cpu(server.pid)

    before, used = so_far(), list[float]()
    yield used
    used += [after - earlier for after, earlier in zip(so_far(), before, strict=True)]


def _cpu(process: int) -> float:
    """Seconds so far; see proc(5), fields 14 and 15. 0: it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _family_cpu(parent: int) -> float:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return _cpu(parent) + sum(_cpu(int(child)) for child in children)


def _stored(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        row = conn.execute("SELECT count(*) FROM messages").fetchone()
    assert row is not None
    return int(row[0])


def _stored_in_file(file: Path) -> int:
    with closing(sqlite3.connect(file)) as conn:
        return int(conn.execute("SELECT count(*) FROM messages").fetchone()[0])


def _median(turns: Sequence[Turn], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in turns))


def main(arguments: list[str]) -> None:
    given = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__.splitlines()[0])
    given.add_argument("--rounds", type=int, default=3)
    given.add_argument("--connections", type=int, default=100)
    given.add_argument("--seconds", type=float, default=4.0)
    given.add_argument("--messages", type=int, default=40_000)
    given.add_argument("--share", type=float, help="of a core, for each node")
    given.add_argument("-o", "--output", type=Path, help="JSON, a turn a line")
    chosen = given.parse_args(arguments)
    turns: list[Turn] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="carebell-nodes-"))
        server = Server(settings=SETTINGS)
        stack.callback(server.stop)
        messages = make_messages(Path(folder), chosen.messages)
        for number in range(chosen.rounds * 2):
            turns.append(
                turn(
                    server,
                    messages,
                    nodes=1 + number % 2,
                    connections=chosen.connections,
                    seconds=chosen.seconds,
                    share=chosen.share,
                )
            )
            print(turns[-1], file=sys.stderr)
    print("nodes  messages/s  p99 ms  cores: nodes  PostgreSQL  clients")
    by_nodes = {nodes: [run for run in turns if run.nodes == nodes] for nodes in (1, 2)}
    for nodes, of in by_nodes.items():
        rate, p99, own, database, clients = (
            _median(of, name) for name in ("rate", "p99", "nodes_cpu", "server_cpu", "clients_cpu")
        )
        print(f"{nodes:>5}  {rate:>10,.0f}  {p99:>6.0f}  {own:>12.2f}  {database:>10.2f}  {clients:>7.2f}")
    print(f"two against one: {_median(by_nodes[2], 'rate') / _median(by_nodes[1], 'rate'):.2f}")
    own, database = (
        statistics.median(getattr(run, name) / run.rate for run in turns) * 1e6 for name in ("nodes_cpu", "server_cpu")
    )
    print(f"CPU a message: {own:.0f} us in a node, {database:.0f} us in PostgreSQL")
    if chosen.output is not None:
        chosen.output.write_text("".join(json.dumps(asdict(run)) + "\n" for run in turns), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
