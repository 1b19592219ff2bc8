"""Intake beside other servers, round by round in turns, and the targets that these rounds answer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import inside
from benchmarks.bench import Bench, agree
from benchmarks.figures import Figure, Intake
from benchmarks.intake import sample
from benchmarks.messages import Messages
from benchmarks.servers import CAREBELL, COMPILED_NAME, HAPI, PYTHON_HL7, USUAL, Missing, Server

_ByServer = dict[tuple[str, int], Intake]


def intakes(bench: Bench) -> list[Intake]:
    """Carebell, plain and compiled, and every other server at every number of connections, round by round in turns."""
    own = (CAREBELL, _compiled(bench)) if bench.extent.judged else (CAREBELL,)
    by_server = {
        (server.name, number): Intake(server=server.name, does=server.does, connections=number)
        for number in bench.extent.connections
        for server in (*own, *bench.extent.yardsticks)
    }
    for number in bench.extent.connections:
        for turn in range(bench.extent.rounds):
            beside = bench.extent.yardsticks if turn == 0 or number not in bench.extent.once else ()
            for server in (*own, *beside):
                key = (server.name, number)
                if by_server[key].missing:
                    continue
                bench.say(f"{server.name}, {number} connections, round {turn + 1} of {bench.extent.rounds}")
                by_server[key] = _one_more(bench, by_server[key], server, number)
    return [_with_ratio(intake, by_server) for intake in by_server.values()]


def _compiled(bench: Bench) -> Server:
    """With as many workers as it starts by default; where it cannot be built, a server that says so."""
    try:
        return bench.editions.compiled.server()
    except Missing as reason:
        text = str(reason)

    def command(folder: Path, messages: Messages) -> Sequence[str]:
        raise Missing(text)

    return Server(name=COMPILED_NAME, does=CAREBELL.does, command=command)


def _one_more(bench: Bench, so_far: Intake, server: Server, connections: int) -> Intake:
    if server.most is not None and connections > server.most:
        return replace(so_far, missing=f"not run: one message a connection, so {server.most} are already too many")
    try:
        new = sample(server, bench.messages, connections=connections, seconds=bench.extent.seconds)
    except Missing as reason:
        return replace(so_far, missing=f"not run: {reason}")
    except subprocess.CalledProcessError as failed:
        return replace(so_far, missing=f"failed under load: {failed.stderr.strip().splitlines()[-1][:120]}")
    if server.name in (CAREBELL.name, COMPILED_NAME):
        agree(new)
    elif new.answered and not new.accepted:
        return replace(so_far, missing="it refuses these messages, which is another work than accepting them")
    return replace(so_far, samples=(*so_far.samples, new))


def _with_ratio(intake: Intake, by_server: _ByServer) -> Intake:
    return replace(intake, ratio=_ratio(by_server, CAREBELL.name, intake))


def _ratio(by_server: _ByServer, subject: str, other: Intake) -> float | None:
    """How many times as many messages a second `subject` acknowledged; None without both."""
    own = by_server.get((subject, other.connections))
    if own is None or own is other or not own.samples or not other.samples:
        return None
    return own.rate / other.rate


def figures(bench: Bench, rows: list[Intake]) -> Iterator[Figure]:
    """What the targets ask of these rounds, beside the raw costs on the same machine in the same minutes."""
    by_server = {(intake.server, intake.connections): intake for intake in rows}
    most = max(number for number in bench.extent.connections if number <= 100)
    yield from _efficiency(bench, by_server[CAREBELL.name, most], most)
    yield from against(by_server)
    yield from _latency(bench, by_server)
    yield from _memory(by_server)


def _efficiency(bench: Bench, intake: Intake, connections: int) -> Iterator[Figure]:
    bench.say("raw costs: verification, four rows through sqlite3")
    messages, count = bench.messages, min(2_000, bench.extent.messages)
    signature = inside.signature_seconds(messages, count)
    verify = inside.verify_seconds(bench.folder(), messages, count)
    validate = inside.judge_seconds(bench.folder(), messages, count)
    commit = inside.raw_commit_seconds(bench.folder(), count)
    micro = 1e6
    yield Figure(
        name="check an RSA-2048 signature",
        value=signature * micro,
        unit="us",
        note="the library's call alone; one thread, nothing else running",
    )
    yield Figure(
        name="verify a message", value=verify * micro, unit="us", note="signature and every other check up to parsing"
    )
    yield Figure(name="verify and read a message", value=validate * micro, unit="us", note="the same, and its event")
    yield Figure(
        name="four raw rows, groups of 100", value=commit * micro, unit="us", note="sqlite3 alone, synchronous=FULL"
    )
    yield Figure(
        name="efficiency E",
        value=intake.rate * (signature + commit),
        unit="",
        target=0.3,
        side="at least",
        note=f"intake at {connections} connections x (the signature check alone + raw rows); with all that verifying a message "
        f"takes: {intake.rate * (verify + commit):.2f}",
    )


def _latency(bench: Bench, by_server: _ByServer) -> Iterator[Figure]:
    middle, p99 = inside.fdatasync_milliseconds(bench.folder())
    yield Figure(name="fdatasync of 4 KB, p50", value=middle, unit="ms", note=f"p99 {p99:.2f} ms, nothing else running")
    alone = by_server[CAREBELL.name, 1].middle
    yield Figure(
        name="ACK at 1 connection, p50 in fdatasyncs",
        value=alone.p50 / middle,
        unit="x",
        target=4,
        note=f"{alone.p50:.2f} ms; limited by {alone.limit}: a message that is alone pays for a whole group's statements and "
        "commit (docs/decisions/0012)",
    )
    yield Figure(
        name="ACK at 1 connection, p99 in p50s",
        value=alone.p99 / alone.p50,
        unit="x",
        target=10,
        note=f"{alone.p99:.2f} ms",
    )


_AGAINST: Final = (
    (HAPI, 100, {CAREBELL.name: 1.5, COMPILED_NAME: 2.0}),
    (PYTHON_HL7, 100, {CAREBELL.name: 3.5, COMPILED_NAME: 5.0}),
    (USUAL, 16, {CAREBELL.name: 10.0, COMPILED_NAME: None}),
    (USUAL, 100, {CAREBELL.name: 10.0, COMPILED_NAME: None}),
)
"""Server, connections, and how many times as fast Carebell should be, plain and compiled, with its default number of workers."""


def against(by_server: _ByServer) -> Iterator[Figure]:
    """The ratios that have a target, and what kept Carebell from more."""
    for server, connections, targets in _AGAINST:
        intake = by_server.get((server.name, connections))
        for subject, target in targets.items():
            own = by_server.get((subject, connections))
            if intake is None or own is None:
                continue
            ratio = _ratio(by_server, subject, intake)
            note = own.missing or intake.missing
            if ratio is not None:
                note = f"{own.rate:,.0f}/s against {intake.rate:,.0f}/s; Carebell is limited by {own.middle.limit}"
            yield Figure(
                name=f"intake, {subject} against {server.name}, {connections} connections",
                value=ratio,
                unit="x",
                target=target,
                side="at least",
                note=note,
            )


def _memory(by_server: _ByServer) -> Iterator[Figure]:
    at = max(number for server, number in by_server if server == CAREBELL.name)
    carebell_intake = by_server[CAREBELL.name, at]
    most = max(intake.memory for intake in carebell_intake.samples)
    whole = max(intake.whole_memory for intake in carebell_intake.samples)
    note = (
        f"of the largest process; supervisor and workers together {whole:.0f} MB, pages that they share counted in each"
    )
    yield Figure(name=f"peak memory at {at} connections", value=most, unit="MB", target=150, note=note)
    if at == 500:
        yield Figure(
            name="ACK p99 at 500 connections",
            value=carebell_intake.middle.p99,
            unit="ms",
            target=150,
            note=f"limited by {carebell_intake.middle.limit}",
        )
