"""Accepting connections on the event loop: a few each turn, and a pause when the process has no descriptor for one.

Not `loop.create_server`: it accepts without limit before any code of ours is asked, and asyncio's loop and uvloop differ in what
becomes of a listening socket when descriptors run out (docs/decisions/0005).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

BACKLOG: Final = 512
"""Connections waiting to be accepted: every peer of a restarted service comes back at once."""
PER_TURN: Final = 16
"""Accepted at a stretch; also how many descriptors newcomers can hold beyond the limits, until they are refused."""
PAUSE: Final = 1.0
"""Seconds after an accept that failed for want of descriptors or memory: to try again at once would only spin."""


class Acceptor:
    """Accepts from listening sockets until it is closed.

    Args:
        admit: gets each accepted socket, blocking as it comes, and the peer's address; it owns the socket from then on.
        failed: told why nothing can be accepted just now; called at most once in `PAUSE` for a socket.
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
        """Accept from these, which listen already. They are the acceptor's from now on."""
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
