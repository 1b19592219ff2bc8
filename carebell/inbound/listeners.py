"""The listeners of a configuration: which environments share a port, with which limits and TLS, and what is said of their peers.

`Listeners` opens, reconfigures and drains a node's.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from carebell.exits import ConfigurationStop, PermissionStop, Stop
from carebell.inbound.handler import MessageHandler
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
from listener.connection import Connection
from listener.incidents import Incident, Kind, Peer
from listener.limits import Limits
from listener.server import MllpServer
from listener.sources import ConnectionRegister
from listener.tls import ClientCertificates, TlsSetupError, server_context
from scheduler.clock import Clock

_DRAIN: Final = timedelta(seconds=5)
"""As long as a writer of ours waits for the database; with the HTTP port's 3 s after it the service ends within its 10 s."""

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
    """One listening address and the environments that share it; the certificate tells them apart."""

    section: ListenerSection
    environments: tuple[str, ...]

    @property
    def address(self) -> tuple[str, int]:
        return self.section.host, self.section.port

    @property
    def key(self) -> str:
        """What it is known by across reloads: its address; with port 0 its environments too."""
        return self.name if self.section.port else f"{self.name} {'+'.join(self.environments)}"

    @property
    def name(self) -> str:
        return f"{self.section.host}:{self.section.port}"


def ports(loaded: Loaded) -> list[Port]:
    """The listening addresses of all enabled environments. Port 0 is one port for each environment (tests)."""
    found: dict[tuple[str, int, str], Port] = {}
    for name, environment in loaded.configuration.environments.items():
        if not environment.enabled:
            continue
        section = environment.listener
        key = (section.host, section.port, name if section.port == 0 else "")
        before = found[key].environments if key in found else ()
        found[key] = Port(section=section, environments=(*before, name))
    return list(found.values())


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


def make_server(
    loaded: Loaded,
    port: Port,
    handler: MessageHandler,
    clock: Clock,
    report: Callable[[Incident], None],
    shared: ConnectionRegister[Connection] | None = None,
) -> MllpServer:
    """A server for one port, not yet listening. ConfigurationStop where its TLS files cannot be used."""
    section = port.section
    context = tls_context(loaded, port, clock)
    return MllpServer(
        handler.handle,
        oversize=handler.too_long,
        limits=limits_of(section),
        tls=context,
        allow_from=section.allow_from,
        report=report,
        shared=shared,
    )


def tls_context(loaded: Loaded, port: Port, clock: Clock) -> ssl.SSLContext | None:
    """The port's TLS; None: plain. ConfigurationStop where its files cannot be used."""
    tls = port.section.tls
    if tls is None:
        return None
    try:
        return server_context(tls.certificate, tls.key, clients=_clients(loaded, port, clock))
    except TlsSetupError as error:
        keys = ("environments", port.environments[0], "listener", "tls")
        raise ConfigurationStop(str(loaded.problem(keys, str(error)))) from None


def _clients(loaded: Loaded, port: Port, clock: Clock) -> ClientCertificates | None:
    """Whose client certificates TLS asks for: pinned `.cer` files where an environment authenticates by them, else `client_ca`."""
    environments = [loaded.configuration.environments[name] for name in port.environments]
    pinned = [environment for environment in environments if environment.authentication == "mutual-tls"]
    if pinned:
        # A switched-off environment's sender gets through the handshake, to be told that it is.
        senders = [*pinned, *_switched_off_beside(loaded, port)]
        signers = [read_signer(path, clock.now())[1] for environment in senders for path in environment.certificates]
        anchors = tuple(signer.der for signer in signers if signer is not None)
        ca = port.section.tls.client_ca if port.section.tls is not None else None
        if ca is not None:
            anchors += (ca.read_bytes(),)
        required = ca is not None or len(pinned) == len(environments)
        # Dates are judged for each message, by our clock and with a code: TLS would only break the connection.
        return ClientCertificates(anchors=anchors, required=required, check_time=False)
    tls = port.section.tls
    if tls is None or tls.client_ca is None:
        return None
    return ClientCertificates(anchors=(tls.client_ca.read_bytes(),))


def _switched_off_beside(loaded: Loaded, port: Port) -> list[Environment]:
    """Environments with mutual TLS that would share this port if they were switched on."""
    return [
        environment
        for environment in loaded.configuration.environments.values()
        if not environment.enabled
        and environment.authentication == "mutual-tls"
        and (environment.listener.host, environment.listener.port) == port.address
    ]


def tls_mode(loaded: Loaded, port: Port, clock: Clock) -> TlsMode:
    """Whether the port's connections are encrypted, and whether clients are asked for a certificate."""
    if port.section.tls is None:
        return "off"
    return "on" if _clients(loaded, port, clock) is None else "mutual"


class Listeners:
    """A node's listeners.

    Attributes:
        opened: (port, number it listens on), in the order of opening.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        shared: ConnectionRegister[Connection],
        repeats: RepeatLimiter,
        metrics: Metrics,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opened: list[tuple[Port, int]] = []
        self._servers: list[MllpServer] = []  # of `opened`, one to one
        self._clock = clock
        self._journal = journal
        self._shared = shared
        self._repeats = repeats
        self._metrics = metrics
        self._seconds = seconds

    @property
    def keys(self) -> set[str]:
        return {port.key for port, _ in self.opened}

    def connections(self) -> dict[str, int]:
        """The port's name -> how many connections are open."""
        return {
            port.name: server.statistics().open for (port, _), server in zip(self.opened, self._servers, strict=True)
        }

    async def open(self, loaded: Loaded, port: Port, handler: MessageHandler) -> None:
        """Listen on one port. Stops with one sentence, which the log has too, where the address cannot be had."""
        report = reporter(self._repeats, self._metrics, port.name, lambda: handler.sole_environment)
        server = make_server(loaded, port, handler, self._clock, report, self._shared)
        try:
            number = await _start(server, loaded, port)
        except Stop as stop:
            self._journal.emit(
                ListenerFailed(listener=port.name, environments=",".join(port.environments), problem=str(stop))
            )
            raise
        self.opened.append((port, number))
        self._servers.append(server)
        self._journal.emit(
            ListenerStarted(
                listener=f"{port.section.host}:{number}",
                environments=",".join(port.environments),
                tls=tls_mode(loaded, port, self._clock),
            )
        )

    def reconfigure(self, loaded: Loaded) -> None:
        """Limits, allow-lists and TLS (certificate renewed, client certificates rotated) count for new connections."""
        now_there = {port.key: port for port in ports(loaded)}
        for (before, _), server in zip(self.opened, self._servers, strict=True):
            port = now_there.get(before.key)
            if port is None:
                continue
            section = port.section
            context = tls_context(loaded, port, self._clock) if before.section.tls is not None else None
            server.reconfigure(limits=limits_of(section), allow_from=section.allow_from, tls=context)

    async def close(self) -> None:
        """Drain all at once: what is in flight is committed and answered, and who is stuck at one port costs the others nothing."""
        names = [f"{port.section.host}:{number}" for port, number in self.opened]
        await asyncio.gather(*map(self._drain, self._servers, names))

    async def _drain(self, server: MllpServer, name: str) -> None:
        began = self._seconds()
        self._journal.emit(ListenerDraining(listener=name, connections=server.statistics().open))
        await server.stop()
        statistics = server.statistics()
        self._journal.emit(
            ListenerStopped(
                listener=name,
                connections=statistics.accepted,
                messages=statistics.frames,
                seconds=round(self._seconds() - began, 2),
            )
        )


async def _start(server: MllpServer, loaded: Loaded, port: Port) -> int:
    """Listen; the port. Stops with one sentence where the address cannot be had."""
    host, number = port.address
    try:
        return await server.start(host, number)
    except PermissionError:
        raise PermissionStop(
            f"{port.name}: listening there is not permitted; ports below 1024 need a privilege"
        ) from None
    except OSError as error:
        place = loaded.where(("environments", port.environments[0], "listener", "port"))
        raise Stop(f"{place}: cannot listen on {port.name}: {why_not(error)}") from None


def why_not(error: OSError) -> str:
    """Why a port cannot be had, with what to do about the usual cause."""
    if error.errno == errno.EADDRINUSE:
        return "another program has it, perhaps a carebell that runs already; `ss -ltnp` names it"
    return str(error.strerror or error)


def reporter(
    repeats: RepeatLimiter, metrics: Metrics, name: str, sole_environment: Callable[[], str | None]
) -> Callable[[Incident], None]:
    """What a listener reports, counted each time and written to the log as often as the limiter lets it.

    Args:
        sole_environment: the one environment that the port serves now; None where there are several.
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
    """The first 8 characters, as the log shows them, of the certificate that the peer showed."""
    return peer.thumbprint[:8] if peer is not None and peer.thumbprint is not None else None


def event_of(incident: Incident, listener: str, environment: str | None) -> Event:
    """The log's event for what a listener reports."""
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
