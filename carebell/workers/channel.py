"""Messages between the supervisor and one worker, in order; a message may bring an open socket.

The channel is a pair of connected Unix sockets that only these two processes have, so its messages are pickled. A message is sent
at once if the other side reads, otherwise it waits here. If the other process ends, however it ends, the channel is closed.
"""

from __future__ import annotations

import array
import asyncio
import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_HEAD: Final = struct.Struct("!I?")
"""Length of the message, and whether a socket comes with it."""
_CHUNK: Final = 65_536
_DESCRIPTORS: Final = 8
"""The kernel ends a read after the bytes that brought a descriptor, so one read brings one; this is room enough."""


class Channel:
    """One side. To be used on the event loop's thread.

    Args:
        sock: this side's socket, which the channel then owns.
        on_message: gets each message, and the socket that came with it, if this process had a descriptor for it.
        on_closed: called once if the other side is gone.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[Any, socket.socket | None], None],
        on_closed: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_message = on_message
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[memoryview, socket.socket | None]] = deque()
        self._received = bytearray()
        self._passed: deque[socket.socket] = deque()
        self._open = True
        self._loop.add_reader(sock, self._read)

    def send(self, message: object, passed: socket.socket | None = None) -> None:
        """Send a message. The socket is closed here when it is on its way. On a closed channel this does nothing."""
        if not self._open:
            if passed is not None:
                passed.close()
            return
        content = pickle.dumps(message)
        self._waiting.append((memoryview(_HEAD.pack(len(content), passed is not None) + content), passed))
        if len(self._waiting) == 1:
            self._write()

    async def flush(self) -> None:
        """Wait until everything is on its way, or the other side is gone."""
        while self._waiting:  # noqa: ASYNC110 (asked once, at the end of a process)
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Close this side. A second call does nothing."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        for _, passed in self._waiting:
            if passed is not None:
                passed.close()
        self._waiting.clear()
        for sock in self._passed:
            sock.close()
        self._passed.clear()

    def _write(self) -> None:
        while self._waiting:
            content, passed = self._waiting[0]
            rights = (
                [] if passed is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed.fileno()]))]
            )
            try:
                sent = self._sock.sendmsg([content], rights)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._sock, self._write)
                return
            except OSError:  # the other side is gone
                self._end()
                return
            if passed is not None:
                passed.close()
            if sent < len(content):
                self._waiting[0] = content[sent:], None
            else:
                self._waiting.popleft()
        self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        try:
            content, ancillary, _, _ = self._sock.recvmsg(
                _CHUNK, socket.CMSG_SPACE(_DESCRIPTORS * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            content, ancillary = b"", []
        for _, _, data in ancillary:
            descriptors = array.array("i")
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
            self._passed += (socket.socket(fileno=descriptor) for descriptor in descriptors)
        if not content:
            self._end()
            return
        self._received += content
        self._deliver()

    def _deliver(self) -> None:
        while self._open and len(self._received) >= _HEAD.size:
            length, brings_socket = _HEAD.unpack_from(self._received)
            if len(self._received) < _HEAD.size + length:
                return
            message = pickle.loads(self._received[_HEAD.size : _HEAD.size + length])  # noqa: S301 (of our own process)
            del self._received[: _HEAD.size + length]
            # A process without a free descriptor gets the message alone: the kernel has closed what came with it.
            self._on_message(message, self._passed.popleft() if brings_socket and self._passed else None)

    def _end(self) -> None:
        if self._open:
            self.close()
            with suppress(RuntimeError):  # the loop is closed: nobody needs to know
                self._loop.call_soon(self._on_closed)
