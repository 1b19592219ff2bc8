"""One listening address: bound first, so that no other program can have it, and accepted from later.

Whoever listens gives each accepted socket on: to its own connections (`listener.server`), or to another process.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from listener.accepting import BACKLOG, Acceptor

READ_AHEAD: Final = 32 * 1024
"""Bytes of one connection that the kernel takes before we read them. One read brings `listener.server.CHUNK` into memory at most.

A peer that writes thousands of messages at once keeps them on its own side. 20 messages fit; over a line with 100 ms both ways one
connection still carries 300 KB, 200 messages, a second. With the kernel's own choice a burst of 80 MB was read in at once.
"""


class BoundPort:
    """
    Args:
        admit, cannot_accept: see `Acceptor`.
    """

    def __init__(self, admit: Callable[[socket.socket, Any], None], cannot_accept: Callable[[OSError], None]) -> None:
        self._admit = admit
        self._cannot_accept = cannot_accept
        self._acceptor: Acceptor | None = None
        self._bound: list[socket.socket] = []  # taken, and nothing is accepted there yet

    async def bind(self, host: str, port: int) -> int:
        """Bind the address, so that no other program can; connections wait until `accept`. Returns the port; 0 takes a free one.

        Raises:
            OSError: the address cannot be bound (in use, not of this machine, not permitted).
        """
        loop = asyncio.get_running_loop()
        entries = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listening: list[socket.socket] = []
        try:
            for family, address in dict.fromkeys((entry[0], entry[4]) for entry in entries):
                sock = socket.create_server(address, family=family, backlog=BACKLOG)
                listening.append(sock)
                sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, READ_AHEAD
                )  # of the accepted sockets, which inherit it
        except OSError:
            for sock in listening:
                sock.close()
            raise
        self._bound = listening
        number: int = listening[0].getsockname()[1]
        return number

    def accept(self) -> None:
        """Accept connections at the bound address."""
        self._acceptor = Acceptor(asyncio.get_running_loop(), self._admit, self._cannot_accept)
        self._acceptor.open(self._bound)
        self._bound = []

    def release(self) -> None:
        """Release the address. `bind` binds it again."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.close()
        for sock in self._bound:
            sock.close()
        self._bound = []
