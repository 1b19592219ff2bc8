"""The servers of a process that serves its ports' connections itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from carebell.inbound.handler import MessageHandler
from carebell.inbound.listeners import Port, PortServer, PortTls, limits_of, reporter
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from listener.connection import Connection
from listener.connection_register import ConnectionRegister
from listener.incidents import Peer
from listener.limits import Share
from listener.server import MllpServer


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnServers:
    """Makes and changes them.

    Attributes:
        handler: makes a port's handler.
        shared: the connections of all ports together.
        share: this process's part of every limit.
        closed_one: gets the port's key and the peer of every connection that has ended.
    """

    handler: Callable[[Port], MessageHandler]
    shared: ConnectionRegister[Connection]
    repeats: RepeatLimiter
    metrics: Metrics
    share: Share = field(default_factory=Share)
    closed_one: Callable[[str, Peer], None] | None = None

    def make(self, port: Port, tls: PortTls) -> MllpServer:
        """A server for one port. It does not listen yet."""
        handler, closed_one, key = self.handler(port), self.closed_one, port.key
        return MllpServer(
            handler.handle,
            oversize=handler.too_long,
            limits=limits_of(port.section).part(self.share),
            tls=tls.context,
            allow_from=port.section.allow_from,
            report=reporter(self.repeats, self.metrics, port.name, lambda: handler.sole_environment),
            shared=self.shared,
            closed_one=None if closed_one is None else lambda peer: closed_one(key, peer),
        )

    def reconfigure(self, server: PortServer, port: Port, tls: PortTls) -> None:
        """New connections get the present limits, allow-list and TLS."""
        assert isinstance(server, MllpServer)
        section = port.section
        server.reconfigure(
            limits=limits_of(section).part(self.share), allow_from=section.allow_from, tls=tls.context or "off"
        )
