"""The MLLP server: accepts, limits and drains connections; one for each listening port.

    server = MllpServer(handler, limits=Limits(), report=print)
    port = await server.start("127.0.0.1", 2575)
    ...
    unanswered = await server.stop()

It does not know HL7: a handler (listener/reply.py) gets each block's content. This module has the state that all connections
share: who may connect, how many, and the budget of messages in flight. Above the budget it stops reading, so that TCP makes
the senders wait; every queue has a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from listener.bound_port import BoundPort
from listener.client_certificate import accepting, presented_in, thumbprint_of
from listener.connection import Connection
from listener.connection_register import ConnectionRegister, KnownSources
from listener.incidents import Incident, Kind, Peer
from listener.limits import Limits
from listener.reply import Handler, Oversize, no_answer

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CHUNK = 16 * 1024
"""Bytes of one read: some ten messages. 500 connections that write all they have hold 8 MB here before they are made to wait."""
_AFTER_RESET = 1.0  # s; the loop's next turn ends a connection that was reset
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))  # a dead peer is found in 2 minutes
_USER_TIMEOUT_MS = 120_000  # the same for an answer that is never acknowledged: the kernel would try for 15 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counters since the start, and the state now.

    Attributes:
        open: connections now.
        accepted: connections ever, refused ones included.
        frames: complete blocks given to the handler.
        in_flight_messages: blocks whose Future is not finished.
        in_flight_bytes: their content.
        buffered_bytes: unfinished and unread input of all connections.
        waiting: connections not read because too much is in flight.
        closes: ended connections by `Kind.code`.
    """

    open: int
    accepted: int
    frames: int
    in_flight_messages: int
    in_flight_bytes: int
    buffered_bytes: int
    waiting: int
    closes: dict[str, int] = field(default_factory=dict)


def networks(sources: Iterable[str]) -> tuple[Network, ...]:
    """The networks of the allow-list's addresses and CIDR networks.

    Raises:
        ValueError: one is neither, or is a network with host bits set (10.0.0.1/8); the message names it.
    """
    return tuple(ipaddress.ip_network(source) for source in sources)


class MllpServer:
    """Listens on one address.

    Args:
        handler: decides about each block's content.
        oversize: may answer a block over the size limit, from its first bytes.
        tls: a server context (listener/tls.py); None: plain TCP.
        allow_from: source addresses or CIDR networks; none: everybody. ValueError for what is neither.
        shared: the connections of all the process's listeners, with the bounds that hold for them together; None: no others.
        report: gets every incident, on the event loop; a hostile peer can cause any number of them.
        closed_one: gets the peer of every connection that has ended or was refused; None: nobody counts them elsewhere.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        report: Callable[[Incident], None],
        oversize: Oversize = no_answer,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        allow_from: Iterable[str] = (),
        shared: ConnectionRegister[Connection] | None = None,
        closed_one: Callable[[Peer], None] | None = None,
    ) -> None:
        self._closed_one = closed_one
        self.handler = handler
        self.oversize = oversize
        self.frames = 0
        self.chunk = memoryview(bytearray(CHUNK))
        self._limits = limits or Limits()
        self._tls = tls
        self._allowed = networks(allow_from)
        self._incident = report
        self._accepted = 0
        self._connections: set[Connection] = set()
        self._beginning: dict[Connection, asyncio.Task[None]] = {}  # until the connection's handshake is over
        own = ConnectionRegister[Connection](
            limit=self._limits.max_connections,
            limit_per_source=self._limits.max_connections_per_peer,
            known=KnownSources() if shared is None else shared.known,
        )
        self._own = own
        self._registers = (own,) if shared is None else (own, shared)
        self._closes: Counter[str] = Counter()
        self._messages = 0
        self._bytes = 0
        self._buffered = 0
        self._waiting: deque[Connection] = deque()
        self._is_waiting: set[Connection] = set()
        self._port = BoundPort(self.admit, self._cannot_accept)
        self._draining = False
        self._empty = asyncio.Event()

    # --- for the caller

    async def start(self, host: str, port: int) -> int:
        """Listen; 0 takes a free port. Returns the port.

        Raises:
            OSError: the address cannot be bound (in use, not of this machine, not permitted).
        """
        number = await self.bind(host, port)
        self.accept()
        return number

    async def bind(self, host: str, port: int) -> int:
        """Bind the address, so that no other program can; connections wait until `accept`. Otherwise as `start`."""
        return await self._port.bind(host, port)

    def accept(self) -> None:
        """Accept connections at the bound address."""
        self._port.accept()

    def release(self) -> None:
        """Release the address; open connections continue. `start` binds it again."""
        self._port.release()

    def reconfigure(
        self,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | Literal["off"] | None = None,
        allow_from: Iterable[str] | None = None,
    ) -> None:
        """Change the given settings for new connections; open connections keep their settings.

        If TLS is switched on or off, open connections are answered and closed, and their peers connect again.
        """
        switched = tls is not None and (tls == "off") == (self._tls is not None)
        if switched:
            for connection in tuple(self._connections):
                connection.drain()
        self._limits = limits or self._limits
        self._own.limit = self._limits.max_connections
        self._own.limit_per_source = self._limits.max_connections_per_peer
        self._tls = None if tls == "off" else tls or self._tls
        if allow_from is not None:
            self._allowed = networks(allow_from)

    async def stop(self) -> int:
        """Stop accepting, answer what is in flight, close; after `Limits.drain`, reset what is left.

        Returns:
            How many connections had to be reset; a sender of an unanswered message will send it again.
        """
        self._draining = True
        self.release()
        for task in tuple(self._beginning.values()):
            task.cancel()
        for connection in tuple(self._connections):
            connection.drain()
        left: list[Connection] = []
        if self._connections:
            self._empty.clear()
            try:
                async with asyncio.timeout(self._limits.drain.total_seconds()):
                    await self._empty.wait()
            except TimeoutError:
                left = list(self._connections)
                for connection in left:
                    connection.abort(Kind.DRAIN_TIMEOUT)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AFTER_RESET):
                        await self._empty.wait()
        return len(left)

    def statistics(self) -> Statistics:
        return Statistics(
            open=len(self._connections),
            accepted=self._accepted,
            frames=self.frames,
            in_flight_messages=self._messages,
            in_flight_bytes=self._bytes,
            buffered_bytes=self._buffered,
            waiting=len(self._is_waiting),
            closes=dict(self._closes),
        )

    # --- accepting

    def _cannot_accept(self, error: OSError) -> None:
        """No descriptors or no memory; the acceptor tries again."""
        self.report(Kind.TOO_MANY, None, f"cannot accept: {error.strerror}")

    def admit(self, sock: socket.socket, address: Any) -> None:
        """Handle a socket that was accepted, here or by another process: refuse it at once, or begin.

        Args:
            address: the peer's, as `accept` gives it.
        """
        self._accepted += 1
        peer = Peer(address=address[0], port=address[1], local_port=sock.getsockname()[1])
        refusal = self._refusal(peer)
        if refusal is not None:
            kind, text = refusal
            self._closes[kind.code] += 1
            self.report(kind, peer, text)
            sock.close()
            if self._closed_one is not None:
                self._closed_one(peer)
            return
        sock.setblocking(False)
        _tune(sock)
        loop = asyncio.get_running_loop()
        connection = Connection(self, self._limits, peer, loop)
        self._connections.add(connection)
        for register in self._registers:
            register.add(peer.source, connection)
        task = loop.create_task(self._begin(connection, sock, peer, self._tls))
        self._beginning[connection] = task
        task.add_done_callback(partial(self._begun, connection, sock))

    def _refusal(self, peer: Peer) -> tuple[Kind, str] | None:
        if self._draining:
            return Kind.DRAINED, ""
        if self._allowed and not any(_contains(network, peer.address) for network in self._allowed):
            return Kind.ADDRESS_REFUSED, ""
        for register in self._registers:
            if register.source_is_full(peer.source):
                return Kind.TOO_MANY_FROM_PEER, f"{register.limit_per_source} are open"
        for register in self._registers:
            if register.full and not self._make_room(register, peer):
                return Kind.TOO_MANY, f"{register.limit} are open"
        return None

    def _make_room(self, register: ConnectionRegister[Connection], peer: Peer) -> bool:
        """Close the quietest connection of the source with most connections, also on another port, for one of this peer."""
        quietest = register.makes_room_for(peer.source)
        if quietest is None:
            return False
        quietest.crowd_out(f"{register.held_by(quietest.peer.source)} of {register.limit} connections were from there")
        return True

    async def _begin(
        self, connection: Connection, sock: socket.socket, peer: Peer, context: ssl.SSLContext | None
    ) -> None:
        limits, loop = self._limits, asyncio.get_running_loop()
        text = ""
        try:
            if context is None:
                transport, _ = await loop.connect_accepted_socket(lambda: connection, sock)
                connection.start(transport, peer)
                return
            accepting(sock)
            seconds = limits.handshake_timeout.total_seconds()
            async with asyncio.timeout(seconds):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: connection,
                    sock,
                    ssl=context,
                    ssl_handshake_timeout=seconds * 2,  # asyncio's own time-out looks like a reset; ours fires first
                    ssl_shutdown_timeout=limits.write_timeout.total_seconds(),
                )
            connection.start(transport, replace(peer, thumbprint=_thumbprint(transport)))
            return
        except TimeoutError:
            kind = Kind.HANDSHAKE_TIMEOUT
        except ssl.SSLError as error:
            kind, text = _tls_refusal(error)
            peer = replace(peer, thumbprint=presented_in(error))
        except OSError:  # the peer went away
            kind = Kind.BARE_CONNECT
        self.report(kind, peer, text)
        self.closed(connection, kind)

    def _begun(self, connection: Connection, sock: socket.socket, task: asyncio.Task[None]) -> None:
        del self._beginning[connection]
        if task.cancelled():  # by stop() or evict(), perhaps before it ran at all
            sock.close()
            self.closed(connection, Kind.DRAINED)

    # --- what connections call (connection.Owner)

    def report(self, kind: Kind, peer: Peer | None, text: str = "", error: BaseException | None = None) -> None:
        """Ordinary endings are only counted, by `closed`."""
        if kind.level:
            self._incident(Incident(kind=kind, peer=peer, text=text, error=error))

    def closed(self, connection: Connection, kind: Kind) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._closes[kind.code] += 1
        for register in self._registers:
            register.remove(connection.peer.source, connection)
        self._is_waiting.discard(connection)
        if self._closed_one is not None:
            self._closed_one(connection.peer)
        if not self._connections:
            self._empty.set()

    def evict(self, connection: Connection) -> None:
        """Free a connection's place now; its descriptor is freed in the loop's next turn."""
        self.closed(connection, Kind.CROWDED_OUT)
        task = self._beginning.get(connection)
        if task is not None:
            task.cancel()

    def saturated(self) -> bool:
        limits = self._limits
        return self._messages >= limits.max_in_flight_messages or self._bytes >= limits.max_in_flight_bytes

    def wait_for_room(self, connection: Connection) -> None:
        """Call `connection.resume()` when there is room; first come, first served."""
        if connection not in self._is_waiting:
            self._is_waiting.add(connection)
            self._waiting.append(connection)
            self.report(Kind.OVERLOAD, None, f"{self._messages} messages and {self._bytes} bytes in flight")

    def took(self, size: int) -> None:
        self._messages += 1
        self._bytes += size

    def settled(self, size: int) -> None:
        self._messages -= 1
        self._bytes -= size
        while self._waiting and not self.saturated():
            connection = self._waiting.popleft()
            if connection in self._is_waiting:
                self._is_waiting.discard(connection)
                connection.resume()

    def buffers(self, connection: Connection, held: int, before: int) -> None:
        """Count a connection's buffered input. Above the limit the largest is reset; a well-behaved one is never the largest."""
        self._buffered += held - before
        if held > before and self._buffered > self._limits.max_buffered:
            largest = max(self._connections, key=lambda connection: connection.held)
            largest.abort(Kind.SHED, f"it held {largest.held} bytes")


def _contains(network: Network, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _tune(sock: socket.socket) -> None:
    """Set socket options: answers are sent at once, and a dead peer is noticed."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    named = (*_KEEPALIVE, ("TCP_USER_TIMEOUT", _USER_TIMEOUT_MS))  # not every system has these
    options += [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in named if hasattr(socket, name)]
    with contextlib.suppress(OSError):  # the peer has gone already, which the connection will notice
        for option in options:
            sock.setsockopt(*option)


def _thumbprint(transport: asyncio.BaseTransport) -> str | None:
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = secured.getpeercert(binary_form=True) if secured is not None else None
    return thumbprint_of(der) if der else None


_TLS_HINTS = {
    "HTTP_REQUEST": "an HTTP request on a TLS port",
    "WRONG_VERSION_NUMBER": "not TLS; perhaps MLLP without TLS",
    "UNSUPPORTED_PROTOCOL": "the peer's TLS version is too old",
    "NO_SHARED_CIPHER": "no cipher in common",
}


def _tls_refusal(error: ssl.SSLError) -> tuple[Kind, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Kind.CLIENT_CERTIFICATE_REFUSED, f"client certificate refused: {error.verify_message}"
    reason = error.reason or "unknown"
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Kind.NO_CLIENT_CERTIFICATE, "the peer shows no client certificate"
    hint = _TLS_HINTS.get(reason)
    return Kind.TLS_FAILED, f"{reason}: {hint}" if hint else reason
