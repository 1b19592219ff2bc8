"""Accept connections on the event loop: a few in each turn, and pause when the process has no free descriptor.

It does not use `loop.create_server`, which accepts without limit before our code is called. asyncio's loop and uvloop also differ
in what they do with a listening socket when descriptors run out (docs/decisions/0005).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

BACKLOG: Final = 512
"""Connections waiting to be accepted. After a restart every peer connects again at once."""
PER_TURN: Final = 16
"""Accepted in one turn. New connections can hold this many descriptors beyond the limits until they are refused."""
PAUSE: Final = 1.0
"""Seconds to wait after an accept failed because descriptors or memory ran out; trying again at once would fail again."""


class Acceptor:
    """Accepts from listening sockets until it is closed.

    Args:
        admit: gets each accepted socket (in blocking mode) and the peer's address. It then owns the socket.
        failed: gets the reason why nothing can be accepted now; called at most once in `PAUSE` for each socket.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        admit: Callable[[socket.socket, Any], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._loop = loop
        self._admit = admit
        self._failed = failed
        self._listening: set[socket.socket] = set()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}

    def open(self, sockets: Iterable[socket.socket]) -> None:
        """Accept from these listening sockets. The acceptor then owns them."""
        for listening in sockets:
            listening.setblocking(False)
            self._listening.add(listening)
            self._loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Accept no more, and close the listening sockets. A second call does nothing."""
        for listening in self._listening:
            pause = self._paused.pop(listening, None)
            if pause is not None:
                pause.cancel()
            else:
                self._loop.remove_reader(listening)
            listening.close()
        self._listening.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(PER_TURN):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.remove_reader(listening)
                self._paused[listening] = self._loop.call_later(PAUSE, self._resume, listening)
                self._failed(error)
                return
            self._admit(sock, address)
            if listening not in self._listening:  # `admit` closed us
                return

    def _resume(self, listening: socket.socket) -> None:
        self._paused.pop(listening, None)
        self._loop.add_reader(listening, self._accept, listening)
