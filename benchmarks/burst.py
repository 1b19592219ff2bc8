"""Everything at once: what past capacity happens to the messages, to their senders and to the service's memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.intake import load
from benchmarks.messages import Messages, make_messages
from benchmarks.servers import CAREBELL, running
from journal.events import name_of
from journal.events.connections import OverloadStarted
from journal.events.messages import MessageAccepted

_WAITING_TURN: Final = 8.0
"""Seconds of the second turn, in which each connection waits for its answer."""


def burst(bench: Bench) -> Iterator[Figure]:
    """First each connection writes all it has; then, on a new service, each waits for its answer before it writes the next."""
    count, connections = bench.extent.burst, bench.extent.burst_connections
    bench.say(f"burst: signing {count:,} messages")
    messages = make_messages(bench.folder(), count)
    yield from _at_once(bench, messages, connections)
    bench.say(f"burst: {connections} connections, one message under way on each")
    with running(CAREBELL, bench.folder() / "server", messages) as it:
        seconds = _WAITING_TURN if bench.judged else bench.extent.seconds
        sums = load(it, messages, connections=connections, seconds=seconds)
        _agree(sums, int(sums["answered"]))
    yield Figure(
        name=f"ACK p99 over {connections} connections, one under way on each",
        value=sums["p99"] / 1000,
        unit="s",
        target=1,
        note=f"from the client's write to its answer, as many as the service may have in flight; {sums['rate']:,.0f}/s; slowest "
        f"{sums['max']:.0f} ms",
    )


def _at_once(bench: Bench, messages: Messages, connections: int) -> Iterator[Figure]:
    count = messages.count
    per_connection = -(-count // connections)
    bench.say(f"burst: {count:,} messages at once over {connections} connections")
    folder = bench.folder() / "server"
    with running(CAREBELL, folder, messages) as it:
        before = it.memory()
        sums = load(it, messages, connections=connections, seconds=3600, outstanding=per_connection)
        _agree(sums, count)
        memory, whole = it.memory("VmHWM"), it.whole_memory("VmHWM")
        in_flight, slowed = _told(folder)
    megabytes, says = count * messages.size / 1024**2, "says" if slowed else "does not say"
    name = f"burst of {count:,} over {connections} connections"
    yield Figure(
        name=f"{name}, answered AA",
        value=sums["accepted"],
        unit="",
        target=count,
        side="at least",
        note=f"all {per_connection} of each connection were written at once; {sums['seconds']:.0f} s, {sums['rate']:,.0f}/s; the "
        "last answer came when everything before it was stored",
    )
    yield Figure(
        name=f"{name}, p99 in flight",
        value=in_flight[int(len(in_flight) * 0.99)] / 1000,
        unit="s",
        target=1,
        note="from when the listener took a message off its connection to its answer, by the service's log; before that it "
        f"waited in its sender's or the kernel's buffers: p99 from the client's write {sums['p99'] / 1000:.1f} s",
    )
    yield Figure(
        name=f"{name}, peak memory",
        value=memory,
        unit="MB",
        target=150,
        note=f"of the largest process, all together {whole:.0f} MB; {memory - before:.0f} MB more than before, "
        f"of {megabytes:.0f} MB of messages; when a tenth was answered, "
        f"{sums['held_back']:.0f} MB had not left the senders; the log {says} that they were slowed",
    )


def _agree(sums: dict[str, float], count: int) -> None:
    if sums["accepted"] != count or sums["lost"] or not count:
        raise SystemExit(f"benchmark: {count} sent, {sums['accepted']:.0f} accepted: counts disagree")


def _told(folder: Path) -> tuple[list[float], bool]:
    """(each accepted message's milliseconds, ascending; whether the listener said that it slowed its peers)."""
    milliseconds, slowed = [], False
    with (folder / "carebell" / "carebell.log").open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["event"] == name_of(MessageAccepted):
                milliseconds.append(float(event["milliseconds"]))
            slowed = slowed or event["event"] == name_of(OverloadStarted)
    return sorted(milliseconds), slowed
