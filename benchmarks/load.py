"""The load client, a process of its own: `python -m benchmarks.load OPTIONS`, one JSON object on standard output.

Closed loop: each connection sends, waits for the answer, sends the next; with `--outstanding K` it has up to K messages
without an answer under way, and a latency counts from the message's own write. Open loop (`--rate`): messages leave when they
are due whether or not answers have come, and a latency counts from when the message was due, so that a stalled server is
charged for everyone it kept waiting. With `--held` it connects, begins at a line on standard input, and ends when that is
closed. The client says what share of its time it was idle: near nothing means that it, not the server, was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import math
import resource
import struct
import sys
import termios
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
    """What is to be sent, and what came of it. Times are of `time.perf_counter`, seconds.

    Attributes:
        outstanding: messages that a connection may have under way, in a closed loop.
    """

    frames: Iterator[bytes]
    until: float = math.inf
    latencies: array[float] = field(default_factory=lambda: array("d"))
    accepted: int = 0
    refused: int = 0
    lost: int = 0
    connections_again: int = 0
    outstanding: int = 1

    def next_frame(self) -> bytes | None:
        return None if time.perf_counter() >= self.until else next(self.frames, None)


class SenderConnection(asyncio.Protocol):
    """One sender. In a closed loop it feeds itself from `run`; in an open one it is told.

    Some servers hang up after each answer: in a closed loop the sender connects again and sends what has no answer once more,
    as an engine would; the time of it counts.
    """

    def __init__(self, run: Run, port: int, *, closed_loop: bool) -> None:
        self._run = run
        self._port = port
        self._closed_loop = closed_loop
        self._finishing = False
        self._since: deque[float] = deque()
        self._under_way: deque[bytes] = deque()  # in a closed loop: what is sent again on a new connection
        self._partial = b""
        self._transport: asyncio.Transport | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def ready(self) -> bool:
        """Connected, with nothing under way; one that is just connecting again begins by itself."""
        return self._transport is not None and not self._transport.is_closing() and not self._since

    @property
    def unsent(self) -> int:
        """Bytes that the server's side has not taken: here, and in this side's kernel (SIOCOUTQ, see tcp(7))."""
        if self._transport is None or self._transport.is_closing():
            return 0
        raw = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return self._transport.get_write_buffer_size() + int(struct.unpack("i", raw)[0])

    def send(self, content: bytes, due: float) -> None:
        assert self._transport is not None
        self._since.append(due)
        if self._closed_loop:
            self._under_way.append(content)
        self._transport.write(content)

    def send_next(self) -> None:
        """As much as may be under way."""
        assert self._transport is not None
        some = []
        while len(self._since) < self._run.outstanding:
            content = self._run.next_frame()
            if content is None:
                break
            some.append(content)
            self._since.append(time.perf_counter())
        self._under_way += some
        if some:
            self._transport.write(b"".join(some))
        elif len(self._since) < self._run.outstanding:
            self.finish()

    def finish(self) -> None:
        """Nothing more will be sent; over when the answers are in."""
        self._closed_loop, self._finishing = False, True
        if not self._since and not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._partial + data
        *answers, self._partial = data.split(_END)
        now = time.perf_counter()
        for answer in answers:
            self._run.latencies.append(now - self._since.popleft())
            if self._under_way:
                self._under_way.popleft()
            if b"MSA|AA" in answer or b"MSA|CA" in answer:
                self._run.accepted += 1
            else:
                self._run.refused += 1
        if self._closed_loop and answers:
            self.send_next()
        elif not self._closed_loop:
            self.finish_if_told()

    def finish_if_told(self) -> None:
        if self._finishing or time.perf_counter() >= self._run.until:
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

    def close(self) -> None:
        """The run is over."""
        if self._transport is not None:
            self._transport.abort()

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
            self._transport.write(b"".join(self._under_way))
        else:
            self.send_next()


async def _closed(run: Run, connections: list[SenderConnection]) -> None:
    for connection in connections:
        if connection.ready:
            connection.send_next()
    await _all_over(run, connections)


async def _all_over(run: Run, connections: list[SenderConnection]) -> None:
    """Wait for the last answers; when none has come for a minute, what is under way is lost."""
    waiting, before = [connection.over for connection in connections], -1
    while len(run.latencies) != before:
        before = len(run.latencies)
        _, late = await asyncio.wait(waiting, timeout=_PATIENCE)
        if not late:
            return
    for connection in connections:
        connection.give_up()


async def _open(run: Run, connections: list[SenderConnection], rate: float) -> None:
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


async def _watch_backlog(run: Run, connections: list[SenderConnection], count: int) -> float:
    """Megabytes that all peers together still hold back when a tenth of `count` messages is answered."""
    while len(run.latencies) < count // 10:  # noqa: ASYNC110  # asked often enough; an event would cost every answer
        await asyncio.sleep(0.005)
    return sum(connection.unsent for connection in connections) / 1024**2


async def _told(run: Run) -> asyncio.Future[None]:
    """Wait for a line on standard input; the future ends the run when it is closed."""
    await asyncio.to_thread(sys.stdin.readline)

    async def until_closed() -> None:
        await asyncio.to_thread(sys.stdin.read)
        run.until = time.perf_counter()

    return asyncio.ensure_future(until_closed())


async def measure(
    port: int,
    connections: int,
    file: Path,
    seconds: float,
    rate: float | None,
    skip: int,
    outstanding: int,
    *,
    held: bool,
) -> dict[str, float]:
    """Run once; the figures as printed."""
    loop = asyncio.get_running_loop()
    frames = list(read_messages(file))[skip:]
    run = Run(frames=iter(frames), outstanding=outstanding)
    opened = []
    for _ in range(connections):
        opened.append(await _connected(loop, lambda: SenderConnection(run, port, closed_loop=rate is None), port))
    ending = await _told(run) if held else None
    begun, worked = time.perf_counter(), time.process_time()
    run.until = begun + seconds
    backlog = asyncio.ensure_future(_watch_backlog(run, opened, len(frames))) if outstanding > 1 else None
    await (_closed(run, opened) if rate is None else _open(run, opened, rate))
    elapsed, worked = time.perf_counter() - begun, time.process_time() - worked
    if ending is not None:
        await ending
    for connection in opened:
        connection.close()
    await asyncio.sleep(0)
    times = sorted(run.latencies)
    return {
        "connections": connections, "answered": len(times), "accepted": run.accepted, "refused": run.refused, "lost": run.lost,
        "connections_again": run.connections_again,
        "held_back": backlog.result() if backlog is not None and backlog.done() else 0.0,
        "seconds": elapsed, "rate": len(times) / elapsed, "idle": max(0.0, 1 - worked / elapsed),
        **{name: _quantile(times, share) * 1000 for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))},
    }  # fmt: skip


async def _connected(
    loop: asyncio.AbstractEventLoop, make: Callable[[], SenderConnection], port: int
) -> SenderConnection:
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
    parser.add_argument(
        "--outstanding", type=int, default=1, help="messages under way on each connection; not with --rate"
    )
    parser.add_argument("--held", action="store_true", help="begin at a line on standard input, end when it is closed")
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    figures = uvloop.run(
        measure(
            given.port,
            given.connections,
            given.messages,
            given.seconds,
            given.rate,
            given.skip,
            given.outstanding,
            held=given.held,
        )
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
