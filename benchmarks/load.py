"""The load client, a process of its own: `python -m benchmarks.load OPTIONS`, one JSON object on standard output.

Closed loop: each connection sends, waits for the answer, sends the next. Open loop (`--rate`): messages leave when they are
due whether or not answers have come, and a latency counts from when the message was due, so that a stalled server is charged
for everyone it kept waiting. The client says what share of its time it was idle: near nothing means that it, not the server,
was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import resource
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.messages import read_messages

_END = b"\x1c\r"
_PATIENCE = 60.0


@dataclass(slots=True)
class Run:
    """What is to be sent, and what came of it. Times are of `time.perf_counter`, seconds."""

    frames: Iterator[bytes]
    until: float = math.inf
    latencies: array[float] = field(default_factory=lambda: array("d"))
    accepted: int = 0
    refused: int = 0
    lost: int = 0
    connections_again: int = 0

    def next_frame(self) -> bytes | None:
        return None if time.perf_counter() >= self.until else next(self.frames, None)


class Connection(asyncio.Protocol):
    """One sender. In a closed loop it feeds itself from `run`; in an open one it is told.

    Some servers hang up after each answer: in a closed loop the sender connects again and sends what has no answer once more,
    as an engine would; the time of it counts.
    """

    def __init__(self, run: Run, port: int, *, closed_loop: bool) -> None:
        self._run = run
        self._port = port
        self._last = b""
        self._closed_loop = closed_loop
        self._since: deque[float] = deque()
        self._partial = b""
        self._transport: asyncio.Transport | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def ready(self) -> bool:
        """Connected, with nothing under way; one that is just connecting again begins by itself."""
        return self._transport is not None and not self._transport.is_closing() and not self._since

    def send(self, content: bytes, due: float) -> None:
        assert self._transport is not None
        self._since.append(due)
        self._last = content
        self._transport.write(content)

    def send_next(self) -> None:
        content = self._run.next_frame()
        if content is None:
            self.finish()
        else:
            self.send(content, time.perf_counter())

    def finish(self) -> None:
        """Nothing more will be sent; over when the answers are in."""
        self._closed_loop = False
        if not self._since and not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._partial + data
        *answers, self._partial = data.split(_END)
        now = time.perf_counter()
        for answer in answers:
            self._run.latencies.append(now - self._since.popleft())
            if b"MSA|AA" in answer or b"MSA|CA" in answer:
                self._run.accepted += 1
            else:
                self._run.refused += 1
        if self._closed_loop and answers:
            self.send_next()
        elif not self._closed_loop:
            self.finish_if_told()

    def finish_if_told(self) -> None:
        if time.perf_counter() >= self._run.until:
            self.finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._partial = b""
        if self._closed_loop and time.perf_counter() < self._run.until:
            self._again = asyncio.ensure_future(self._connect_again())
            return
        self._run.lost += len(self._since)
        self._since.clear()
        if not self.over.done():
            self.over.set_result(None)

    def give_up(self) -> None:
        self._closed_loop = False
        self.connection_lost(None)

    async def _connect_again(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        except OSError:
            self.connection_lost(None)
            return
        self._run.connections_again += 1
        if self._since:
            assert self._transport is not None
            self._transport.write(self._last)
        else:
            self.send_next()


async def _closed(run: Run, connections: list[Connection]) -> None:
    for connection in connections:
        if connection.ready:
            connection.send_next()
    await _all_over(run, connections)


async def _all_over(run: Run, connections: list[Connection]) -> None:
    """Wait for the last answers; what has none after a minute is lost."""
    _, late = await asyncio.wait([connection.over for connection in connections], timeout=_PATIENCE)
    if late:
        for connection in connections:
            connection.give_up()


async def _open(run: Run, connections: list[Connection], rate: float) -> None:
    begun, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < run.until:
        while sent < (now - begun) * rate:
            content = next(run.frames, None)
            if content is None:
                run.until = now
                break
            connections[sent % len(connections)].send(content, begun + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)
    for connection in connections:
        connection.finish()
    await _all_over(run, connections)


async def measure(
    port: int, connections: int, file: Path, seconds: float, rate: float | None, skip: int
) -> dict[str, float]:
    """Run once; the figures as printed."""
    loop = asyncio.get_running_loop()
    frames = list(read_messages(file))[skip:]
    run = Run(frames=iter(frames))
    opened = []
    for _ in range(connections):
        opened.append(await _connected(loop, lambda: Connection(run, port, closed_loop=rate is None), port))
    begun, worked = time.perf_counter(), time.process_time()
    run.until = begun + seconds
    await (_closed(run, opened) if rate is None else _open(run, opened, rate))
    elapsed, worked = time.perf_counter() - begun, time.process_time() - worked
    times = sorted(run.latencies)
    return {
        "connections": connections, "answered": len(times), "accepted": run.accepted, "refused": run.refused, "lost": run.lost,
        "connections_again": run.connections_again,
        "seconds": elapsed, "rate": len(times) / elapsed, "idle": max(0.0, 1 - worked / elapsed),
        **{name: _quantile(times, share) * 1000 for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))},
    }  # fmt: skip


async def _connected(loop: asyncio.AbstractEventLoop, make: Callable[[], Connection], port: int) -> Connection:
    """A connection; a server with a short queue of newcomers is asked again."""
    while True:
        try:
            _, connection = await loop.create_connection(make, "127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(0.01)
        else:
            return connection


def _quantile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description="A load client for MLLP servers on this machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--messages", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--rate", type=float, help="messages a second, sent when due; else each connection waits for its answer"
    )
    parser.add_argument("--skip", type=int, default=0, help="messages at the file's beginning to leave out")
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    figures = uvloop.run(measure(given.port, given.connections, given.messages, given.seconds, given.rate, given.skip))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
