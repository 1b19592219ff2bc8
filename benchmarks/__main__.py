"""`python -m benchmarks`: Carebell beside other servers in one run, and what the targets ask for.

Without options: everything, 20 minutes or so on two cores; results go to benchmarks/results and docs/reference/benchmarks.md.
`--short` shows in under a minute that it all runs and that the counts agree; it keeps nothing and judges no duration.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import inside
from benchmarks.figures import FIGURE_HEAD, HEAD, Figure, Intake, as_json, table
from benchmarks.intake import Sample, sample
from benchmarks.messages import Messages, make_messages
from benchmarks.page import write_page
from benchmarks.plot import draw
from benchmarks.servers import CAREBELL, HAPI, PYTHON_HL7, USUAL, YARDSTICKS, Missing, Server
from tests.faults.node import write_configuration

_ROOT: Final = Path(__file__).parents[1]
_RESULTS: Final = _ROOT / "benchmarks" / "results"
_PAGE: Final = _ROOT / "docs" / "reference" / "benchmarks.md"
_MANY_CONNECTIONS: Final = 16
"""hl7apy's server serves one message a connection and 20 a second: more than this only queues."""
_SLOW: Final = ("hl7apy MLLPServer",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is run.

    Attributes:
        messages: signed for the run. pending: rows that wait, for dispatching and starting; replanned: appointments.
    """

    messages: int
    seconds: float
    rounds: int
    connections: tuple[int, ...]
    yardsticks: tuple[Server, ...]
    pending: tuple[int, ...]
    due: int
    replanned: int


FULL: Final = Extent(
    messages=30_000, seconds=4.0, rounds=3, connections=(1, 16, 100, 500), yardsticks=YARDSTICKS,
    pending=(10_000, 100_000, 1_000_000), due=5_000, replanned=100_000,
)  # fmt: skip
SHORT: Final = Extent(
    messages=3_000, seconds=0.5, rounds=1, connections=(1, 16), yardsticks=(PYTHON_HL7, USUAL), pending=(1_000,), due=200,
    replanned=500,
)  # fmt: skip


class Run:
    """One run; `say` shows what is under way."""

    def __init__(self, extent: Extent, messages: Messages, place: Path, say: Callable[[str], None]) -> None:
        self._extent = extent
        self._messages = messages
        self._place = place
        self._say = say
        self._folders = iter(range(1_000_000))

    # Intake

    def intakes(self) -> list[Intake]:
        """Every server at every number of connections, round by round in turns."""
        servers = (CAREBELL, *self._extent.yardsticks)
        found = {
            (server.name, number): Intake(server=server.name, does=server.does, connections=number)
            for number in self._extent.connections
            for server in servers
        }
        for number in self._extent.connections:
            for turn in range(self._extent.rounds):
                for server in servers:
                    key = (server.name, number)
                    if found[key].missing:
                        continue
                    self._say(f"{server.name}, {number} connections, round {turn + 1} of {self._extent.rounds}")
                    found[key] = self._one_more(found[key], server, number)
        return [_with_ratio(one, found) for one in found.values()]

    def _one_more(self, so_far: Intake, server: Server, connections: int) -> Intake:
        if server.name in _SLOW and connections > _MANY_CONNECTIONS:
            return replace(
                so_far, missing=f"not run: one message a connection, so {_MANY_CONNECTIONS} are already too many"
            )
        try:
            new = sample(server, self._messages, connections=connections, seconds=self._extent.seconds)
        except Missing as reason:
            return replace(so_far, missing=f"not run: {reason}")
        except subprocess.CalledProcessError as failed:
            return replace(so_far, missing=f"failed under load: {failed.stderr.strip().splitlines()[-1][:120]}")
        if server is CAREBELL:
            _agree(new)
        return replace(so_far, samples=(*so_far.samples, new))

    def _carebell(self, connections: int, *, rate: float | None = None, **variables: str) -> list[Sample]:
        shown = " ".join(f"{name}={value}" for name, value in variables.items())
        self._say(f"carebell serve, {connections} connections {f'at {rate:.0f}/s ' if rate else ''}{shown}")
        found = [
            sample(
                CAREBELL,
                self._messages,
                connections=connections,
                seconds=self._extent.seconds,
                rate=rate,
                variables=variables,
            )
            for _ in range(self._extent.rounds)
        ]
        for one in found:
            _agree(one)
        return found

    # Targets

    def figures(self, intakes: list[Intake]) -> Iterator[Figure]:
        """Every row of the second table, in the order of the targets."""
        by_key = {(one.server, one.connections): one for one in intakes}
        most = max(number for number in self._extent.connections if number <= 100)
        yield from self._efficiency(by_key[CAREBELL.name, most], most)
        yield from self._grouping(most)
        yield from _against(by_key, self._extent.connections)
        yield from self._latency(by_key)
        yield from self._open_loop(most)
        yield from _memory(by_key)
        yield from self._pending()
        yield self._replanning()
        yield from self._commands()
        yield Figure(
            name="two nodes on PostgreSQL against one", value=None, unit="x", target=1.6, side="at least",
            note="one machine with two cores cannot show it: client, server and database share them",
        )  # fmt: skip
        yield Figure(
            name="memory over 1 M messages", value=None, unit="MB", note="half an hour of load; not part of this run"
        )

    def _efficiency(self, intake: Intake, connections: int) -> Iterator[Figure]:
        self._say("raw costs: verification, four rows through sqlite3")
        count = min(2_000, self._messages.count)
        verify = inside.verify_seconds(self._folder(), self._messages, count)
        judge = inside.judge_seconds(self._folder(), self._messages, count)
        commit = inside.raw_commit_seconds(self._folder(), count)
        micro = 1e6
        yield Figure(
            name="verify a signature (RSA-2048)",
            value=verify * micro,
            unit="us",
            note="one thread, nothing else running",
        )
        yield Figure(name="verify and read a message", value=judge * micro, unit="us", note="the same, with the event")
        yield Figure(
            name="four raw rows, groups of 100", value=commit * micro, unit="us", note="sqlite3 alone, synchronous=FULL"
        )
        yield Figure(
            name="efficiency E", value=intake.rate * (verify + commit), unit="", target=0.3, side="at least",
            note=f"intake at {connections} connections x (verification + raw rows)",
        )  # fmt: skip

    def _grouping(self, most: int) -> Iterator[Figure]:
        for connections, delay, target in ((most, "0", 1.8), (min(16, most), "5", 6.0)):
            grouped = self._carebell(connections, CAREBELL_BENCH_COMMIT_MS=delay)
            single = self._carebell(connections, CAREBELL_BENCH_COMMIT_MS=delay, CAREBELL_BENCH_BATCH="1")
            slower = f", +{delay} ms a commit" if delay != "0" else ""
            yield Figure(
                name=f"group commit against groups of 1, {connections} connections{slower}", value=_rate(grouped) / _rate(single),
                unit="x", target=target, side="at least", note=f"{_rate(grouped):,.0f}/s against {_rate(single):,.0f}/s",
            )  # fmt: skip

    def _latency(self, by_key: dict[tuple[str, int], Intake]) -> Iterator[Figure]:
        middle, p99 = inside.fdatasync_milliseconds(self._folder())
        yield Figure(
            name="fdatasync of 4 KB, p50", value=middle, unit="ms", note=f"p99 {p99:.2f} ms, nothing else running"
        )
        alone = by_key[CAREBELL.name, 1].middle
        yield Figure(
            name="ACK at 1 connection, p50 in fdatasyncs",
            value=alone.p50 / middle,
            unit="x",
            target=3,
            note=f"{alone.p50:.2f} ms",
        )
        yield Figure(
            name="ACK at 1 connection, p99 in p50s",
            value=alone.p99 / alone.p50,
            unit="x",
            target=10,
            note=f"{alone.p99:.2f} ms",
        )

    def _open_loop(self, connections: int) -> Iterator[Figure]:
        rate = 2_000.0 if self._messages.count >= FULL.messages else 100.0
        found = self._carebell(connections, rate=rate)
        middle = sorted(found, key=lambda one: one.p99)[len(found) // 2]
        yield Figure(
            name=f"open loop, {rate:,.0f}/s over {connections} connections, p99", value=middle.p99, unit="ms", target=25,
            note=f"answered {middle.rate:,.0f}/s; p50 {middle.p50:.1f} ms; {middle.limit}",
        )  # fmt: skip

    def _pending(self) -> Iterator[Figure]:
        for waiting in self._extent.pending:
            self._say(f"dispatching with {waiting:,} texts pending")
            configuration = inside.fill(self._folder(), self._messages, due=self._extent.due, waiting=waiting)
            rate, idle = inside.dispatch(configuration, self._extent.due)
            yield Figure(
                name=f"texts dispatched, {waiting:,} pending", value=rate, unit="/s", target=5_000, side="at least",
                note="claimed, rendered, handed to a gateway that answers at once, recorded",
            )  # fmt: skip
            yield Figure(name=f"idle tick, {waiting:,} pending", value=idle, unit="ms", target=5)
            seconds, memory = inside.start_up(configuration)
            yield Figure(name=f"start-up, {waiting:,} pending", value=seconds, unit="s", target=2)
            yield Figure(name=f"memory after start, {waiting:,} pending", value=memory, unit="MB", target=150)

    def _replanning(self) -> Figure:
        count = self._extent.replanned
        self._say(f"planning {count:,} appointments anew")
        seconds = inside.replanning_seconds(self._folder(), self._messages, count)
        return Figure(
            name=f"re-planning {count:,} appointments",
            value=seconds,
            unit="s",
            target=60,
            note="every one changed; no intake beside it",
        )

    def _commands(self) -> Iterator[Figure]:
        self._say("commands")
        folder = self._folder()
        configuration = write_configuration(folder, [self._messages.certificate])
        yield Figure(name="carebell --help", value=inside.command_seconds("--help"), unit="s", target=0.3)
        check = inside.command_seconds("check-config", "-c", str(configuration))
        yield Figure(name="carebell check-config", value=check, unit="s", target=1)

    def _folder(self) -> Path:
        folder = self._place / f"inside-{next(self._folders)}"
        folder.mkdir()
        return folder


def _rate(samples: list[Sample]) -> float:
    return statistics.median(one.rate for one in samples)


def _agree(one: Sample) -> None:
    """Every message is answered, and answered AA: else the figures are of something else."""
    if one.lost or one.accepted != one.answered or not one.answered:
        raise SystemExit(
            f"benchmark: {one.answered} answered, {one.accepted} accepted, {one.lost} lost: counts disagree"
        )


def _with_ratio(one: Intake, found: dict[tuple[str, int], Intake]) -> Intake:
    ours = found[CAREBELL.name, one.connections]
    if one is ours or not one.samples or not ours.samples:
        return one
    return replace(one, ratio=ours.rate / one.rate)


def _against(by_key: dict[tuple[str, int], Intake], connections: tuple[int, ...]) -> Iterator[Figure]:
    for server, wanted in ((USUAL, {16: 10.0, 100: 15.0}), (PYTHON_HL7, {100: 5.5}), (HAPI, {100: 1.5})):
        for number, target in wanted.items():
            one = by_key.get((server.name, number))
            if number in connections and one is not None:
                yield Figure(
                    name=f"intake against {server.name}, {number} connections", value=one.ratio, unit="x", target=target,
                    side="at least", note=one.missing,
                )  # fmt: skip


def _memory(by_key: dict[tuple[str, int], Intake]) -> Iterator[Figure]:
    at = max(number for server, number in by_key if server == CAREBELL.name)
    ours = by_key[CAREBELL.name, at]
    most = max(one.memory for one in ours.samples)
    yield Figure(name=f"peak memory at {at} connections", value=most, unit="MB", target=150)
    if at == 500:
        yield Figure(name="ACK p99 at 500 connections", value=ours.middle.p99, unit="ms", target=150)


def _about(extent: Extent, messages: Messages) -> dict[str, Any]:
    cores = os.cpu_count()
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": f"{platform.machine()} with {cores} cores, {platform.system()}",
        "python": f"Python {platform.python_version()}", "sqlite": sqlite3.sqlite_version, "messages": messages.count,
        "bytes": messages.size, "rounds": extent.rounds, "seconds": extent.seconds,
        "load_before": f"{os.getloadavg()[0]:.1f}", "load_after": "",
    }  # fmt: skip


def main() -> int:
    """Run, print, and (unless short) write the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--short", action="store_true", help="show that everything runs; keep nothing")
    parser.add_argument("--rounds", type=int, help="rounds of each server")
    parser.add_argument("--seconds", type=float, help="seconds of each round")
    given = parser.parse_args()
    extent = SHORT if given.short else FULL
    measured = replace(extent, rounds=given.rounds or extent.rounds, seconds=given.seconds or extent.seconds)
    shown = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="carebell-bench-") as place, shown.status("signing messages") as status:
        messages = make_messages(Path(place), measured.messages)
        about = _about(measured, messages)
        run = Run(
            measured, messages, Path(place), status.update if shown.is_terminal else lambda what: shown.print(what)
        )
        intakes = run.intakes()
        figures = list(run.figures(intakes))
    about["load_after"] = f"{os.getloadavg()[0]:.1f}"
    print(table(HEAD, [one.cells() for one in intakes]), end="\n\n")
    print(table(FIGURE_HEAD, [one.cells() for one in figures]))
    if not given.short:
        _RESULTS.mkdir(exist_ok=True)
        (_RESULTS / "figures.json").write_text(json.dumps(as_json(intakes, figures, about), indent=1) + "\n", "utf-8")
        (_RESULTS / "intake.svg").write_text(draw(intakes), "utf-8")
        _PAGE.parent.mkdir(parents=True, exist_ok=True)
        _PAGE.write_text(write_page(intakes, figures, about), "utf-8")
        shown.print(f"wrote {_RESULTS.relative_to(_ROOT)}/ and {_PAGE.relative_to(_ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
