"""SIGINT and SIGTERM for a command that runs until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def signalled() -> Iterator[asyncio.Future[None]]:
    """A future that SIGINT and SIGTERM resolve."""
    loop = asyncio.get_running_loop()
    signal_received: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not signal_received.done():
            signal_received.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    try:
        yield signal_received
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
