"""One deadline for a gateway's whole answer: status line, headers and body together, over HTTP and HTTPS.

urllib3 and requests apply a read time-out to each single read. A gateway that sends one byte now and then never exceeds it and
keeps a sender's thread for as long as it likes. Here the time-out is the time for all reads of one answer, also of a proxy's
answer to CONNECT. The clock is the real one, like that of the socket's own time-outs.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline; then every read raises TimeoutError.

    Args:
        sock: its time-out is set before each read.
        raw: reads from `sock`; closed with this reader.
        deadline: in the seconds of `seconds`.
        seconds: a monotonic clock.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, deadline: float, seconds: Callable[[], float]) -> None:
        self._sock = sock
        self._raw = raw
        self._deadline = deadline
        self._seconds = seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - self._seconds()
        if remaining <= 0:
            raise TimeoutError("the answer was not whole in time")
        self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _response(timeout: float | None, sock: socket.socket, *args: Any, **options: Any) -> HTTPResponse:
    response = HTTPResponse(sock, *args, **options)
    if timeout is not None:
        raw = response.fp.detach()
        reader = DeadlineReader(sock, raw, time.monotonic() + timeout, time.monotonic)
        response.fp = io.BufferedReader(reader)
    return response


# `http.client` calls `self.response_class(self.sock, ...)` when it begins to read an answer; urllib3 has set `self.timeout` to the
# read time-out by then. A method takes the place of the class, because only the connection knows the time-out.


class _Connection(HTTPConnection):
    def response_class(self, sock: socket.socket, *args: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]  # not a class
        return _response(self.timeout, sock, *args, **options)


class _TlsConnection(HTTPSConnection):
    def response_class(self, sock: socket.socket, *args: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]  # not a class
        return _response(self.timeout, sock, *args, **options)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _TlsPool}


def bound_answers(manager: PoolManager) -> None:
    """Let the read time-out of every connection that `manager` will make be the time for a whole answer."""
    manager.pool_classes_by_scheme = _POOLS
