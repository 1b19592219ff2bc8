"""The accept loop when descriptors run out: it neither spins nor dies, and goes on when there are some again."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from listener.accepting import PAUSE, PER_TURN, Acceptor


class Loop:
    """The part of an event loop that an acceptor uses, turned by hand."""

    def __init__(self) -> None:
        self.readers: dict[object, Callable[[], None]] = {}
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def add_reader(self, sock: object, callback: Callable[..., None], *args: object) -> None:
        self.readers[sock] = lambda: callback(*args)

    def remove_reader(self, sock: object) -> None:
        del self.readers[sock]

    def call_later(self, seconds: float, callback: Callable[..., None], *args: object) -> Any:
        timer = (seconds, lambda: callback(*args))
        self.timers.append(timer)
        timers = self.timers

        class Handle:
            def cancel(self) -> None:
                timers.remove(timer)

        return Handle()


class Listening:
    """A listening socket with this before it: connections (True) and errors."""

    def __init__(self, *waiting: OSError | bool) -> None:
        self.waiting = list(waiting)
        self.closed = False

    def setblocking(self, flag: bool) -> None:
        assert flag is False

    def accept(self) -> tuple[str, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError
        event = self.waiting.pop(0)
        if isinstance(event, OSError):
            raise event
        return "socket", ("192.0.2.7", 4711)

    def close(self) -> None:
        self.closed = True


def started(listening: Listening) -> tuple[Loop, list[object], list[OSError], Acceptor]:
    loop, admitted, failures = Loop(), list[object](), list[OSError]()
    acceptor = Acceptor(loop, lambda sock, address: admitted.append(sock), failures.append)  # type: ignore[arg-type]
    acceptor.open([listening])  # type: ignore[list-item]
    return loop, admitted, failures, acceptor


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.EPROTO])
def test_a_failed_accept_pauses_and_goes_on(number: int) -> None:
    listening = Listening(True, OSError(number, "no"), True)
    loop, admitted, failures, _ = started(listening)
    loop.readers[listening]()
    assert (len(admitted), len(failures), loop.readers) == (1, 1, {})
    [(seconds, resume)] = loop.timers
    assert seconds == PAUSE
    resume()
    loop.readers[listening]()
    assert (len(admitted), len(failures)) == (2, 1)


@pytest.mark.parametrize("error", [ConnectionAbortedError(), InterruptedError()])
def test_a_peer_that_left_while_it_waited_is_no_failure(error: OSError) -> None:
    listening = Listening(error, True)
    loop, admitted, failures, _ = started(listening)
    loop.readers[listening]()
    loop.readers[listening]()
    assert (len(admitted), failures, loop.timers) == (1, [], [])


def test_a_crowd_is_accepted_in_portions() -> None:
    listening = Listening(*[True] * (2 * PER_TURN))
    loop, admitted, _, _ = started(listening)
    loop.readers[listening]()
    assert len(admitted) == PER_TURN


def test_closing_during_a_pause_ends_it_for_good() -> None:
    listening = Listening(OSError(errno.EMFILE, "no"))
    loop, _, _, acceptor = started(listening)
    loop.readers[listening]()
    acceptor.close()
    acceptor.close()
    assert (loop.timers, loop.readers, listening.closed) == ([], {}, True)


def test_closing_while_a_crowd_is_let_in_ends_at_once() -> None:
    listening = Listening(*[True] * PER_TURN)
    loop, admitted = Loop(), list[object]()

    def admit(sock: object, address: object) -> None:
        admitted.append(sock)
        acceptor.close()

    acceptor = Acceptor(loop, admit, pytest.fail)  # type: ignore[arg-type]
    acceptor.open([listening])  # type: ignore[list-item]
    loop.readers[listening]()
    assert (len(admitted), loop.readers) == (1, {})


async def test_a_real_socket_is_accepted_from_and_closed() -> None:
    admitted: asyncio.Queue[socket.socket] = asyncio.Queue()
    failures: list[OSError] = []
    acceptor = Acceptor(asyncio.get_running_loop(), lambda sock, _: admitted.put_nowait(sock), failures.append)
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    acceptor.open([listening])
    _, writer = await asyncio.open_connection(*address)
    (await admitted.get()).close()
    writer.close()
    acceptor.close()
    assert failures == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
