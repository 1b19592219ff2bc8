"""A port whose connections the workers serve: the supervisor accepts, and hands each connection to one of them.

So only the supervisor has the listening socket. Another service on the same port is refused when it starts, a worker that dies
takes no waiting connection with it, and connections are spread by counting them (docs/decisions/0015).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carebell.inbound.listeners import Port, PortServer, PortTls, reporter
from carebell.workers.pool import WorkerPool
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from listener.bound_port import BoundPort
from listener.connection_register import source_of
from listener.incidents import Incident, Kind
from listener.server import Statistics


class SharedPort:
    """The supervisor's side of one port.

    Args:
        report: gets the incidents of the port itself: it cannot accept.
    """

    def __init__(self, pool: WorkerPool, port: Port, report: Callable[[Incident], None]) -> None:
        self._pool = pool
        self._report = report
        self._key = port.key
        self._accepted = 0
        self._messages = 0
        self.port = port
        self._socket = BoundPort(self._admit, self._cannot_accept)

    async def bind(self, host: str, port: int) -> int:
        return await self._socket.bind(host, port)

    def accept(self) -> None:
        self._socket.accept()

    def release(self) -> None:
        self._socket.release()

    async def stop(self) -> int:
        """Accept no more, and let every worker drain its connections of this port."""
        self._socket.release()
        self._messages += await self._pool.drain_port(self._key)
        return 0

    def statistics(self) -> Statistics:
        return Statistics(
            open=self._pool.connections(self._key),
            accepted=self._accepted,
            frames=self._messages,
            in_flight_messages=0,
            in_flight_bytes=0,
            buffered_bytes=0,
            waiting=0,
        )

    def _admit(self, sock: socket.socket, address: Any) -> None:
        self._accepted += 1
        section = self.port.section
        self._pool.hand_over(
            sock,
            address,
            port=self._key,
            source=source_of(address[0]),
            limit=section.max_connections,
            limit_per_source=section.max_connections_per_peer,
        )

    def _cannot_accept(self, error: OSError) -> None:
        self._report(Incident(kind=Kind.TOO_MANY, peer=None, text=f"cannot accept: {error.strerror}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPorts:
    """Makes them. A changed configuration reaches the workers by `WorkerPool.activate`."""

    pool: WorkerPool
    repeats: RepeatLimiter
    metrics: Metrics

    def make(self, port: Port, _: PortTls) -> SharedPort:
        sole = port.environments[0] if len(port.environments) == 1 else None
        return SharedPort(self.pool, port, reporter(self.repeats, self.metrics, port.name, lambda: sole))

    def reconfigure(self, server: PortServer, port: Port, _: PortTls) -> None:
        assert isinstance(server, SharedPort)
        server.port = port
