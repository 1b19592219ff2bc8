"""Messages arrive whole and in order, with the sockets that they bring; the other side's end is noticed."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any

from carebell.workers.channel import Channel


class Side:
    """One side of a channel: what it received, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self.received: list[tuple[Any, socket.socket | None]] = []
        self.closed = False
        self.channel = Channel(sock, lambda message, passed: self.received.append((message, passed)), self._close)

    def _close(self) -> None:
        self.closed = True


def _pair() -> tuple[Side, Side]:
    first, second = socket.socketpair()
    return Side(first), Side(second)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (sockets have no event of ours)
        await asyncio.sleep(0.001)


async def test_large_and_small_messages_keep_their_order_in_both_directions() -> None:
    one, other = _pair()
    large = b"x" * 1_000_000  # more than the socket takes at once
    for number in range(5):
        one.channel.send((number, large))
        one.channel.send(number)
    other.channel.send("back")
    await _until(lambda: len(other.received) == 10 and bool(one.received))
    assert [message for message, _ in other.received] == [
        part for number in range(5) for part in ((number, large), number)
    ]
    assert one.received == [("back", None)]
    one.channel.close()
    await _until(lambda: other.closed)
    assert not one.closed, "who closes it knows"


async def test_each_socket_comes_with_its_message() -> None:
    one, other = _pair()
    peers = []
    for number in range(20):
        mine, passed = socket.socketpair()
        peers.append(mine)
        one.channel.send(f"with {number}", passed)
        one.channel.send(b"y" * 50_000)
    await _until(lambda: len(other.received) == 40)
    for number, mine in enumerate(peers):
        message, arrived = other.received[2 * number]
        assert message == f"with {number}"
        assert arrived is not None
        arrived.sendall(str(number).encode())
        assert mine.recv(10) == str(number).encode()
        arrived.close()
        mine.close()
    one.channel.close()
    other.channel.close()


async def test_nothing_is_left_open_when_the_other_side_is_gone() -> None:
    one, other = _pair()
    other.channel.close()
    await _until(lambda: one.closed)
    mine, passed = socket.socketpair()
    one.channel.send("late", passed)
    assert passed.fileno() == -1
    assert mine.recv(1) == b""
    mine.close()


async def test_a_socket_for_which_no_descriptor_was_free_holds_up_no_message() -> None:
    own, others = socket.socketpair()
    side = Side(others)
    content = pickle.dumps("handed over")
    own.sendall(
        struct.pack("!I?", len(content), True) + content
    )  # as it arrives then: the kernel has closed the socket
    content = pickle.dumps("the next")
    own.sendall(struct.pack("!I?", len(content), False) + content)
    await _until(lambda: len(side.received) == 2)
    assert side.received == [("handed over", None), ("the next", None)]
    side.channel.close()
    own.close()
