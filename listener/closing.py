"""End a connection's transport: gracefully, so that the last answers arrive, or by a reset.

Closing a socket with unread input makes the kernel send a reset, which can destroy an answer that the peer has not read yet. So
after the last answer the peer's further bytes are discarded for a while, and only then is the socket closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final, cast

from listener.limits import Deadline, Limits

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 s
_LINGER_BYTES: Final = 16 * 1024 * 1024  # the most that is discarded; a peer that sends more is not reading answers


class Closing:
    """The end of one transport, once its last answer was written."""

    __slots__ = ("_discarded", "_flush_deadline", "_linger_deadline", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._discarded = 0
        self._linger_deadline = Deadline(loop, limits.linger, self.shut)
        self._flush_deadline = Deadline(loop, limits.write_timeout, self._flush_late)

    def linger(self) -> None:
        """Shut down the sending side, if possible, and wait for the peer to close."""
        if self._transport.can_write_eof():  # not with TLS, where the peer would not learn that we linger
            self._transport.write_eof()
        self._linger_deadline.restart()

    def discard(self, size: int) -> None:
        """Count bytes of input that arrived while lingering."""
        self._discarded += size
        if self._discarded > _LINGER_BYTES:
            self.shut()

    def shut(self) -> None:
        """Close. Closing flushes first; if the peer does not read, the connection is reset after a time."""
        self._linger_deadline.stop()
        self._flush_deadline.restart()
        self._transport.close()

    def cancel(self) -> None:
        """Stop: the transport has ended."""
        self._linger_deadline.cancel()
        self._flush_deadline.cancel()

    def _flush_late(self) -> None:
        reset(self._transport)


def reset(transport: asyncio.BaseTransport) -> None:
    """Abort so that the peer sees a reset, also with TLS: SO_LINGER with 0 s discards unsent bytes and sends RST at once."""
    sock = cast("socket.socket | None", transport.get_extra_info("socket"))
    if sock is not None:
        with contextlib.suppress(OSError):  # the socket is closed already: nothing left to reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    cast(asyncio.WriteTransport, transport).abort()
