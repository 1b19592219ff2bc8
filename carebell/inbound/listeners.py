"""The listeners of a configuration: which environments share a port, with which limits and TLS, and how incidents are logged.

`Listeners` opens, reconfigures and drains the listeners of a node. Who serves their connections, this process or the workers that
share its ports, it does not know.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from carebell.exits import ConfigurationStop, PermissionStop, Stop
from carebell.inbound.trust import read_signer
from config.load import Loaded
from config.model import Environment, ListenerSection
from journal.events import Event
from journal.events.connections import (
    ConnectionLost,
    ConnectionProbed,
    ConnectionRefused,
    ConnectionTimedOut,
    FramingError,
    FramingReason,
    ListenerDraining,
    ListenerFailed,
    ListenerStarted,
    ListenerStopped,
    LostReason,
    OverloadStarted,
    RefusedReason,
    TimedOutReason,
    TlsMode,
)
from journal.events.service import InternalError
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from journal.traces import trace
from listener.incidents import Incident, Kind, Peer
from listener.limits import Limits
from listener.server import Statistics
from listener.tls import ClientCertificates, TlsSetupError, server_context

_DRAIN: Final = timedelta(seconds=5)
"""As long as a writer waits for the database. With the HTTP port's 3 s after it the service ends within its 10 s."""

_REFUSED: Final[dict[Kind, RefusedReason]] = {
    Kind.TLS_FAILED: "tls_failed",
    Kind.NO_CLIENT_CERTIFICATE: "no_client_certificate",
    Kind.CLIENT_CERTIFICATE_REFUSED: "client_certificate_refused",
    Kind.ADDRESS_REFUSED: "address_refused",
    Kind.TOO_MANY: "too_many",
    Kind.TOO_MANY_FROM_PEER: "too_many_from_peer",
}
_TIMED_OUT: Final[dict[Kind, TimedOutReason]] = {
    Kind.FRAME_TIMEOUT: "frame_timeout",
    Kind.IDLE_TIMEOUT: "idle_timeout",
    Kind.WRITE_TIMEOUT: "write_timeout",
    Kind.HANDSHAKE_TIMEOUT: "handshake_timeout",
}
_BAD_FRAMES: Final[dict[Kind, FramingReason]] = {
    Kind.JUNK: "junk",
    Kind.BAD_FRAMING: "bad_framing",
    Kind.TOO_LONG: "too_long",
}
_LOST: Final[dict[Kind, LostReason]] = {
    Kind.PEER_RESET: "peer_reset",
    Kind.CUT_OFF: "cut_off",
    Kind.SHED: "shed",
    Kind.DRAIN_TIMEOUT: "drain_timeout",
    Kind.CROWDED_OUT: "crowded_out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One listening address and the environments that share it. The certificate decides which one a message belongs to."""

    section: ListenerSection
    environments: tuple[str, ...]

    @property
    def address(self) -> tuple[str, int]:
        return self.section.host, self.section.port

    @property
    def key(self) -> str:
        """The key that identifies the port across reloads: its address; with port 0 also its environments."""
        return self.name if self.section.port else f"{self.name} {'+'.join(self.environments)}"

    @property
    def name(self) -> str:
        return f"{self.section.host}:{self.section.port}"


def ports(loaded: Loaded) -> list[Port]:
    """The listening addresses of all enabled environments. Port 0 is one port for each environment (tests)."""
    ports_by_key: dict[tuple[str, int, str], Port] = {}
    for name, environment in loaded.configuration.environments.items():
        if not environment.enabled:
            continue
        section = environment.listener
        key = (section.host, section.port, name if section.port == 0 else "")
        before = ports_by_key[key].environments if key in ports_by_key else ()
        ports_by_key[key] = Port(section=section, environments=(*before, name))
    return list(ports_by_key.values())


def limits_of(section: ListenerSection) -> Limits:
    return Limits(
        max_message=section.max_message_bytes,
        frame_timeout=section.frame_timeout,
        idle_timeout=section.idle_timeout,
        handshake_timeout=section.handshake_timeout,
        write_timeout=section.write_timeout,
        max_connections=section.max_connections,
        max_connections_per_peer=section.max_connections_per_peer,
        max_pipelined=section.max_pipelined,
        drain=_DRAIN,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTls:
    """`context` None: plain."""

    context: ssl.SSLContext | None
    mode: TlsMode


TlsContexts = Mapping[str, PortTls]
"""By the port's key."""


def tls_contexts(loaded: Loaded, now: datetime) -> TlsContexts:
    """The TLS contexts of all ports. ConfigurationStop if files cannot be used. Blocking: reads the files."""
    return {
        port.key: PortTls(context=tls_context(loaded, port, now), mode=tls_mode(loaded, port, now))
        for port in ports(loaded)
    }


def tls_context(loaded: Loaded, port: Port, now: datetime) -> ssl.SSLContext | None:
    """The port's TLS context; None: no TLS. ConfigurationStop if its files cannot be used."""
    tls = port.section.tls
    if tls is None:
        return None
    try:
        return server_context(tls.certificate, tls.key, clients=_clients(loaded, port, now))
    except TlsSetupError as error:
        keys = ("environments", port.environments[0], "listener", "tls")
        raise ConfigurationStop(str(loaded.problem(keys, str(error)))) from None


def _clients(loaded: Loaded, port: Port, now: datetime) -> ClientCertificates | None:
    """The client certificates that TLS requires: pinned `.cer` files if an environment authenticates by them, otherwise
    `client_ca`."""
    environments = [loaded.configuration.environments[name] for name in port.environments]
    pinned = [environment for environment in environments if environment.authentication == "mutual-tls"]
    if pinned:
        # The sender of a switched-off environment passes the handshake, so that an answer can say that it is switched off.
        senders = [*pinned, *_switched_off_beside(loaded, port)]
        signers = [read_signer(path, now)[1] for environment in senders for path in environment.certificates]
        anchors = tuple(signer.der for signer in signers if signer is not None)
        ca = port.section.tls.client_ca if port.section.tls is not None else None
        if ca is not None:
            anchors += (ca.read_bytes(),)
        required = ca is not None or len(pinned) == len(environments)
        # Dates are checked for each message, by our clock, and answered with a code. TLS would only break the connection.
        return ClientCertificates(anchors=anchors, required=required, check_time=False)
    tls = port.section.tls
    if tls is None or tls.client_ca is None:
        return None
    return ClientCertificates(anchors=(tls.client_ca.read_bytes(),))


def _switched_off(loaded: Loaded) -> set[tuple[str, int]]:
    """Addresses of environments that are switched off."""
    return {
        (environment.listener.host, environment.listener.port)
        for environment in loaded.configuration.environments.values()
        if not environment.enabled
    }


def _switched_off_beside(loaded: Loaded, port: Port) -> list[Environment]:
    """Environments with mutual TLS that would share this port if they were switched on."""
    return [
        environment
        for environment in loaded.configuration.environments.values()
        if not environment.enabled
        and environment.authentication == "mutual-tls"
        and (environment.listener.host, environment.listener.port) == port.address
    ]


def tls_mode(loaded: Loaded, port: Port, now: datetime) -> TlsMode:
    """Whether the port's connections are encrypted, and whether clients must show a certificate."""
    if port.section.tls is None:
        return "off"
    return "on" if _clients(loaded, port, now) is None else "mutual"


class PortServer(Protocol):
    """What `Listeners` needs of whoever serves a port: this process's own server, or the workers behind a port that they share."""

    async def bind(self, host: str, port: int, /) -> int: ...
    def accept(self) -> None: ...
    def release(self) -> None: ...
    async def stop(self) -> int: ...
    def statistics(self) -> Statistics: ...


class PortServers(Protocol):
    """Makes the server of a port, which does not listen yet, and gives it a changed configuration."""

    def make(self, port: Port, tls: PortTls, /) -> PortServer: ...
    def reconfigure(self, server: PortServer, port: Port, tls: PortTls, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One open port. `number`: the real port number if the configuration says 0."""

    port: Port
    number: int
    server: PortServer
    tls: TlsMode

    @property
    def address(self) -> str:
        return f"{self.port.section.host}:{self.number}"


class Listeners:
    """The listeners of a node: opened at the start, changed by a reload, drained at the end."""

    def __init__(self, journal: Journal, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._journal = journal
        self._servers: PortServers | None = None
        self._listening: list[Listener] = []
        self._leaving: list[Listener] = []

    @property
    def opened(self) -> list[tuple[Port, int]]:
        """(port, number it listens on), in the order of opening."""
        return [(listener.port, listener.number) for listener in self._listening]

    def connections(self) -> dict[str, int]:
        """The port's name -> how many connections are open."""
        return {listener.port.name: listener.server.statistics().open for listener in self._listening}

    async def open(
        self,
        loaded: Loaded,
        contexts: TlsContexts,
        servers: PortServers,
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Listen on every port. If an address cannot be bound, raise Stop with one sentence, which is also logged.

        Args:
            ready: awaited between binding and accepting, so that what takes long is not begun if an address is taken.
        """
        self._servers = servers
        taken: list[Listener] = []
        try:
            for port in ports(loaded):
                taken.append(await self._take(loaded, port, contexts))
            if ready is not None:
                await ready()
        except BaseException:
            for listener in taken:
                listener.server.release()
            raise
        self._accept(taken)

    async def change(self, loaded: Loaded, contexts: TlsContexts, put_in_force: Callable[[], None]) -> None:
        """Bind new addresses, put the configuration in force, accept on the new ports, and drain removed ports.

        New limits, allow-lists and TLS of remaining ports apply to new connections. If all environments of a port are switched off,
        the port stays open until the end, so that their senders get the reason. If a new address cannot be bound, it raises Stop as
        `open` does and changes nothing. A node without listeners only puts the configuration in force.
        """
        if self._servers is None:
            put_in_force()
            return
        wanted = {port.key: port for port in ports(loaded)}
        present = {listener.port.key: listener for listener in self._listening}
        idle = _switched_off(loaded)
        leaving = [
            listener for key, listener in present.items() if key not in wanted and listener.port.address not in idle
        ]
        taken = await self._take_all(loaded, [wanted[key] for key in wanted if key not in present], leaving, contexts)
        put_in_force()
        self._leaving += leaving
        self._listening = [
            replace(listener, port=wanted.get(key, listener.port))
            for key, listener in present.items()
            if listener not in leaving
        ]
        for listener in self._listening:
            if listener.port.key in wanted:
                self._servers.reconfigure(listener.server, listener.port, contexts[listener.port.key])
        self._accept(taken)
        await self._drain_leaving()

    async def close(self) -> None:
        """Drain all ports at once: messages in flight are committed and answered. A stuck peer on one port does not delay the
        others."""
        self._leaving += self._listening
        self._listening = []
        await self._drain_leaving()

    async def _take_all(
        self, loaded: Loaded, added: Sequence[Port], leaving: Sequence[Listener], contexts: TlsContexts
    ) -> list[Listener]:
        """Bind the addresses of all new ports; or raise Stop and bind none.

        A removed port may have the number of a new one (0.0.0.0:2575 becomes 127.0.0.1:2575). It releases its address first, and
        binds it again if the new address cannot be bound.
        """
        numbers = {port.section.port for port in added}
        released = [listener for listener in leaving if listener.number in numbers]
        for listener in released:
            listener.server.release()
        taken: list[Listener] = []
        try:
            for port in added:
                taken.append(await self._take(loaded, port, contexts))
        except BaseException:
            for listener in taken:
                listener.server.release()
            for listener in released:
                await listener.server.bind(listener.port.section.host, listener.number)
                listener.server.accept()
            raise
        return taken

    async def _take(self, loaded: Loaded, port: Port, contexts: TlsContexts) -> Listener:
        assert self._servers is not None
        server = self._servers.make(port, contexts[port.key])
        try:
            number = await _bind(server, loaded, port)
        except Stop as stop:
            self._journal.emit(
                ListenerFailed(listener=port.name, environments=",".join(port.environments), problem=str(stop))
            )
            raise
        return Listener(port=port, number=number, server=server, tls=contexts[port.key].mode)

    def _accept(self, taken: Sequence[Listener]) -> None:
        for listener in taken:
            listener.server.accept()
            self._listening.append(listener)
            self._journal.emit(
                ListenerStarted(
                    listener=listener.address, environments=",".join(listener.port.environments), tls=listener.tls
                )
            )

    async def _drain_leaving(self) -> None:
        await asyncio.gather(*map(self._drain, self._leaving))

    async def _drain(self, listener: Listener) -> None:
        server, began = listener.server, self._seconds()
        self._journal.emit(ListenerDraining(listener=listener.address, connections=server.statistics().open))
        await server.stop()
        self._leaving = [leaving for leaving in self._leaving if leaving is not listener]
        statistics = server.statistics()
        self._journal.emit(
            ListenerStopped(
                listener=listener.address,
                connections=statistics.accepted,
                messages=statistics.frames,
                seconds=round(self._seconds() - began, 2),
            )
        )


async def _bind(server: PortServer, loaded: Loaded, port: Port) -> int:
    """Bind the address and return the port's number. Raises Stop with one sentence if that fails."""
    host, number = port.address
    try:
        return await server.bind(host, number)
    except PermissionError:
        raise PermissionStop(
            f"{port.name}: listening on this port is not permitted; ports below 1024 need a privilege"
        ) from None
    except OSError as error:
        place = loaded.where(("environments", port.environments[0], "listener", "port"))
        raise Stop(f"{place}: cannot listen on {port.name}: {why_not(error)}") from None


def why_not(error: OSError) -> str:
    """Why a port cannot be bound, with advice for the usual cause."""
    if error.errno == errno.EADDRINUSE:
        return "another program uses it, perhaps a carebell that runs already; `ss -ltnp` names it"
    return str(error.strerror or error)


def reporter(
    repeats: RepeatLimiter, metrics: Metrics, name: str, sole_environment: Callable[[], str | None]
) -> Callable[[Incident], None]:
    """A function for a listener's incidents: it counts each one, and logs as many as the limiter permits.

    Args:
        sole_environment: the one environment that the port serves now; None if there are several.
    """

    def report(incident: Incident) -> None:
        kind, peer = incident.kind, incident.peer
        event = event_of(incident, name, sole_environment())
        if isinstance(event, InternalError):
            repeats.emit(event, reason=type(incident.error).__name__, source=_source(peer))
            return
        if not isinstance(event, ConnectionProbed | OverloadStarted):
            metrics.connections_refused.labels(name, kind.code).inc()
        repeats.emit(event, reason=kind.code, source=_source(peer), certificate=_thumbprint(peer))

    return report


def _source(peer: Peer | None) -> str:
    return peer.source if peer is not None else ""


def _thumbprint(peer: Peer | None) -> str | None:
    """The first 8 characters of the thumbprint of the peer's certificate, as the log shows them."""
    return peer.thumbprint[:8] if peer is not None and peer.thumbprint is not None else None


def event_of(incident: Incident, listener: str, environment: str | None) -> Event:
    """The log event for a listener's incident."""
    kind, text, trouble = incident.kind, incident.text or incident.kind.sentence, incident.error
    peer = incident.peer.address if incident.peer is not None else None
    if trouble is not None:
        return InternalError(where="listener", trace=trace(trouble))
    if kind in _REFUSED:
        return ConnectionRefused(
            peer=peer,
            listener=listener,
            environment=environment,
            reason=_REFUSED[kind],
            text=text,
            thumbprint=_thumbprint(incident.peer),
        )
    if kind in _TIMED_OUT:
        return ConnectionTimedOut(
            peer=peer, listener=listener, environment=environment, reason=_TIMED_OUT[kind], text=text
        )
    if kind in _BAD_FRAMES:
        return FramingError(peer=peer, listener=listener, environment=environment, reason=_BAD_FRAMES[kind], text=text)
    if kind in _LOST:
        return ConnectionLost(peer=peer, listener=listener, environment=environment, reason=_LOST[kind], text=text)
    if kind is Kind.BARE_CONNECT:
        return ConnectionProbed(peer=peer, listener=listener)
    if kind is Kind.OVERLOAD:
        return OverloadStarted(listener=listener, environment=environment, reason="overload", text=text)
    return InternalError(where="listener")


def listening_ports(started: Sequence[tuple[Port, int]]) -> str:
    """`production 127.0.0.1:2575, test 127.0.0.1:2576` for people."""
    return ", ".join(f"{'+'.join(port.environments)} {port.section.host}:{number}" for port, number in started)
