"""Peers that mean no good, a process of its own: `python -m benchmarks.hostile_peers --port PORT --peers N --messages FILE`.

Half of them are slow: they begin a block and add a byte every five seconds. A quarter say nothing, a quarter send half a block and
stop. Whoever is thrown out comes back at once, as a bad engine or an attacker would. Prints `ready` when all are in for the first
time; on the end of standard input it leaves and prints how often one came back.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks.messages import read_messages

_PAUSE: Final = 5.0
_AGAIN: Final = 0.1


class Crowd:
    """All of them.

    Attributes: inside: connections that stand. back: how often one was thrown out and came back.
    """

    def __init__(self, port: int, block: bytes) -> None:
        self._port = port
        self._half = block[: len(block) // 2]
        self.inside = 0
        self.back = 0
        self.all_in = asyncio.Event()

    async def one(self, number: int, of: int) -> None:
        """Peer `number`, until it is cancelled."""
        while True:
            with suppress(OSError):
                await self._visit(number, of)
                self.back += 1
            await asyncio.sleep(_AGAIN)

    async def _visit(self, number: int, of: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.inside += 1
        if self.inside == of:
            self.all_in.set()
        left = asyncio.ensure_future(reader.read(1))  # nothing is owed to it: whatever comes is the end
        try:
            if number % 2 == 0:
                await self._trickle(writer, left)
            elif number % 4 == 1:
                writer.write(self._half)
            await left
        finally:
            self.inside -= 1
            left.cancel()
            writer.transport.abort()

    async def _trickle(self, writer: asyncio.StreamWriter, left: asyncio.Future[bytes]) -> None:
        for byte in self._half:
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([left], timeout=_PAUSE)
            if done:
                return


async def _run(port: int, peers: int, block: bytes) -> int:
    crowd = Crowd(port, block)
    tasks = [asyncio.create_task(crowd.one(number, peers)) for number in range(peers)]
    await crowd.all_in.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return crowd.back


def main() -> None:
    parser = argparse.ArgumentParser(description="Hostile MLLP peers for a server on this machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--peers", type=int, default=500)
    parser.add_argument("--messages", type=Path, required=True)
    given = parser.parse_args()
    print(asyncio.run(_run(given.port, given.peers, next(read_messages(given.messages)))))


if __name__ == "__main__":
    main()
