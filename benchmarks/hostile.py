"""A healthy peer beside hostile ones: what it waits for its answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.intake import CHECKOUT, load
from benchmarks.messages import Messages
from benchmarks.servers import CAREBELL, Running, running

_RATE: Final = 50.0
_ALONE: Final = 5.0
"""Seconds of load before the hostile ones come; less in a short run."""


def beside_hostile(bench: Bench) -> Iterator[Figure]:
    """One connection, 50 messages a second whether or not answers come; the peers are in before, and until after."""
    count, seconds, messages = bench.extent.hostile, bench.extent.hostile_seconds, bench.messages
    with running(CAREBELL, bench.folder() / "server", messages) as it:
        load(it, messages, connections=1, seconds=0.3)
        bench.say("a healthy peer alone")
        alone = _healthy(it, messages, min(_ALONE, seconds), first=messages.count // 4)
        bench.say(f"a healthy peer beside {count} hostile ones, {seconds:.0f} s")
        with _hostile(it, messages, count) as back:
            beside = _healthy(it, messages, seconds, first=messages.count // 2)
        memory = it.memory("VmHWM")
    yield Figure(
        name=f"ACK p99 of a healthy peer beside {count} hostile ones",
        value=beside["p99"] / 1000,
        unit="s",
        target=1,
        note=f"{_RATE:.0f}/s on one connection, from when a message was due; {seconds:.0f} s, {beside['answered']:.0f} answers, "
        f"slowest {beside['max']:.0f} ms; half of them send a byte every 5 s, the others nothing or half a block; {back[0]} came "
        f"back after being thrown out; alone p99 {alone['p99']:.0f} ms; memory at most {memory:.0f} MB",
    )


def _healthy(it: Running, messages: Messages, seconds: float, *, first: int) -> dict[str, float]:
    totals = load(it, messages, connections=1, seconds=seconds, rate=_RATE, skip=first)
    if totals["lost"] or totals["refused"] or not totals["answered"]:
        raise SystemExit(f"benchmark: a healthy peer lost {totals['lost']:.0f}, was refused {totals['refused']:.0f}")
    return totals


@contextmanager
def _hostile(it: Running, messages: Messages, count: int) -> Iterator[list[int]]:
    """They are in; once the block is over, how often one came back."""
    peers = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.hostile_peers",
            "--port",
            str(it.port),
            "--peers",
            str(count),
            "--messages",
            str(messages.file),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    back: list[int] = []
    try:
        assert peers.stdout is not None
        if peers.stdout.readline().strip() != "ready":
            raise SystemExit("benchmark: the hostile peers did not get in")
        yield back
        back.append(int(peers.communicate()[0]))
    finally:
        peers.kill()
        peers.wait()
