"""`python -m benchmarks.against REVISION`: the CPU time of one message in the service now, and in the service of an older commit.

Both serve the same messages from the same load client by turns, each round on an empty folder: so what else the machine does
meets both. CPU time of the service's process (all threads, user and system) decides, because a rate on a shared machine says
how much of a core was left.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.intake import CHECKOUT, load
from benchmarks.messages import Messages, make_messages
from benchmarks.servers import CAREBELL, Server, carebell, running

_WARMED_UP: Final = 2000
"""Messages at the file's beginning that only the warming up may send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRound:
    """One round of one service. Attributes: cpu: microseconds a message. rate: a second. p50, p99: milliseconds."""

    cpu: float
    rate: float
    p50: float
    p99: float


def checkout(revision: str, folder: Path) -> Path:
    """The files of a commit of this repository, in an empty `folder`."""
    archive = subprocess.run(["git", "archive", revision], check=True, capture_output=True, cwd=CHECKOUT).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def service_of(tree: Path, name: str, *words: str) -> Server:
    """`carebell serve` from the files in `tree`, with this interpreter and its installed libraries, and with these options."""
    return replace(
        CAREBELL,
        name=name,
        command=lambda folder, messages: [*carebell(folder, messages), *words],
        variables={"PYTHONPATH": str(tree)},
    )


def measured(
    server: Server, messages: Messages, connections: int, seconds: float, rate: float | None = None
) -> ComparedRound:
    """Start it on nothing, load it, stop it. SystemExit if an answer is missing or not AA."""
    with (
        tempfile.TemporaryDirectory(prefix="carebell-bench-") as place,
        running(server, Path(place) / "server", messages) as it,
    ):
        load(it, messages, connections=min(connections, 16), seconds=0.5)
        before = it.cpu_seconds()
        totals = load(it, messages, connections=connections, seconds=seconds, rate=rate, skip=_WARMED_UP)
        cpu = it.cpu_seconds() - before
    if totals["lost"] or not totals["answered"] or totals["accepted"] != totals["answered"]:
        raise SystemExit(f"{server.name}: {totals}: an answer is missing or not AA")
    return ComparedRound(cpu=cpu / totals["answered"] * 1e6, rate=totals["rate"], p50=totals["p50"], p99=totals["p99"])


def _middle(rounds: Sequence[ComparedRound], name: str) -> str:
    return f"{statistics.median(getattr(taken, name) for taken in rounds):,.1f}"


def main() -> None:
    """Print a line a round and the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", help="of the commit to compare with")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, help="messages a second, sent when due; else stop and wait")
    parser.add_argument("--workers", type=int, default=1, help="of the service now; the older one has one process")
    parser.add_argument("--messages", type=int, default=16_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carebell-bench-") as place:
        folder = Path(place)
        older = checkout(given.revision, folder / "older")
        messages = make_messages(folder, given.messages)
        servers = (service_of(older, given.revision[:12]), service_of(CHECKOUT, "now", "--workers", str(given.workers)))
        rounds: dict[str, list[ComparedRound]] = {server.name: [] for server in servers}
        for number in range(given.rounds):
            for server in servers if number % 2 == 0 else servers[::-1]:
                taken = measured(server, messages, given.connections, given.seconds, given.rate)
                rounds[server.name].append(taken)
                print(
                    f"{server.name:<14} {taken.cpu:7.1f} us {taken.rate:9,.0f}/s p50 {taken.p50:7.1f} p99 {taken.p99:7.1f} ms",
                    flush=True,
                )
    for name, all_of_it in rounds.items():
        print(
            f"{name:<14} median: {_middle(all_of_it, 'cpu')} us of CPU a message, {_middle(all_of_it, 'rate')}/s, "
            f"p50 {_middle(all_of_it, 'p50')} ms, p99 {_middle(all_of_it, 'p99')} ms"
        )
    before, now = (statistics.median(taken.cpu for taken in rounds[server.name]) for server in servers)
    print(f"CPU a message: {before / now:.2f} times less now; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
