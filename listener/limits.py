"""Every limit of a listener with the reason for its default, and the timer that enforces the times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one listener. Sizes in bytes.

    Attributes:
        max_message: content of one block. A long SIU with notes is 20 KB; 1 MiB is fifty times that.
        frame_timeout: from a block's first byte to its last. 1 MiB in 30 s is 35 KB/s, slower than any link in use.
        idle_timeout: without a complete block. None (off): EHR links stay up for weeks without traffic; dead peers
            are found by TCP keepalive.
        handshake_timeout: TLS. Two round trips and one signature; 10 s leaves room for a satellite link.
        write_timeout: how long a peer may leave its answers unread once 64 KiB of them wait.
        linger: after the last answer of a connection that we close, how long the peer's further bytes are discarded.
            Closing with unread bytes would make the kernel send a reset that can destroy the answer.
        drain: how long `stop()` waits for messages in flight.
        max_connections: in all. Some 20 KB each when quiet.
        max_connections_per_peer: of one address. An engine uses a handful; a NAT gateway hides many engines.
        max_pipelined: messages read ahead of their answers on one connection.
        max_in_flight_messages: handed to the handler and not answered, over all connections. Two groups of 256: one is being
            committed, one gathers. More commits nothing sooner and only waits here longer: half a second at 1,000/s.
        max_in_flight_bytes: the same in content bytes.
        max_buffered: bytes of unfinished blocks over all connections. Past it, the connection holding most is reset.
    """

    max_message: int = MIB
    frame_timeout: timedelta = timedelta(seconds=30)
    idle_timeout: timedelta | None = None
    handshake_timeout: timedelta = timedelta(seconds=10)
    write_timeout: timedelta = timedelta(seconds=10)
    linger: timedelta = timedelta(seconds=2)
    drain: timedelta = timedelta(seconds=10)
    max_connections: int = 1000
    max_connections_per_peer: int = 600
    max_pipelined: int = 64
    max_in_flight_messages: int = 512
    max_in_flight_bytes: int = 64 * MIB
    max_buffered: int = 64 * MIB

    def part(self, share: Share) -> Limits:
        """One process's part of everything that is counted over all connections."""
        return replace(
            self,
            max_connections=share.of(self.max_connections),
            max_connections_per_peer=share.of(self.max_connections_per_peer),
            max_in_flight_messages=max(share.of(self.max_in_flight_messages), 1),
            max_in_flight_bytes=max(share.of(self.max_in_flight_bytes), self.max_message),
            max_buffered=max(share.of(self.max_buffered), self.max_message),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One of `count` processes that share something; `index` from 0."""

    index: int = 0
    count: int = 1

    def of(self, whole: int) -> int:
        """Its part. The parts of all processes sum up to the whole, so some may be 0."""
        return whole // self.count + (self.index < whole % self.count)


class Deadline:
    """A time-out that is cheap to start and stop for every message.

    The loop's timer is set at most once in each period: starting and stopping only change the due time, and a timer that
    fires early is set again.
    """

    __slots__ = ("_due", "_expired", "_handle", "_loop", "_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, after: timedelta, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = after.total_seconds()
        self._expired = expired
        self._due: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._due is not None

    def restart(self) -> None:
        """Expire one period from now, whatever was set before."""
        self._due = self._loop.time() + self._seconds
        if self._handle is None:
            self._handle = self._loop.call_at(self._due, self._look)

    def stop(self) -> None:
        self._due = None

    def cancel(self) -> None:
        """Stop permanently and drop the callback."""
        self._due = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        self._handle = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._handle = self._loop.call_at(self._due, self._look)
            return
        self._due = None
        self._expired()
