"""Listeners and their connections."""

import logging
from typing import Literal

from journal.events.base import Event, event

TlsMode = Literal["off", "on", "mutual"]
RefusedReason = Literal[
    "tls_failed",
    "no_client_certificate",
    "client_certificate_refused",
    "address_refused",
    "too_many",
    "too_many_from_peer",
]
TimedOutReason = Literal["frame_timeout", "idle_timeout", "write_timeout", "handshake_timeout"]
FramingReason = Literal["junk", "bad_framing", "too_long"]
LostReason = Literal["peer_reset", "cut_off", "shed", "drain_timeout", "crowded_out"]


@event(logging.INFO)
class ListenerStarted(Event):
    """A listener accepts connections."""

    listener: str
    environments: str
    tls: TlsMode


@event(
    logging.CRITICAL,
    "The port is in use or not allowed: `problem` says which. Free it or change `listener.port`.",
)
class ListenerFailed(Event):
    """A listener could not be opened."""

    listener: str
    environments: str
    problem: str


@event(logging.INFO)
class ListenerDraining(Event):
    """A listener takes no new connections and answers the messages in flight."""

    listener: str
    connections: int


@event(logging.INFO)
class ListenerStopped(Event):
    """A listener is closed; `connections` and `messages` are its totals since it started."""

    listener: str
    connections: int
    messages: int
    seconds: float


@event(logging.DEBUG)
class ConnectionProbed(Event):
    """A peer connected and disconnected without sending a byte: a load balancer's probe."""

    peer: str | None
    listener: str


@event(
    logging.WARNING,
    "If the peer is the hospital's interface engine, check `listener.allow_from`, the limits, or its TLS settings.",
)
class ConnectionRefused(Event):
    """A connection was refused: its address is not allowed, there are too many connections, TLS failed, or its client certificate
    was missing, expired or not one of the environment's; `thumbprint` is that of the certificate it showed."""

    peer: str | None
    listener: str
    environment: str | None
    reason: RefusedReason
    text: str
    thumbprint: str | None


@event(logging.WARNING, "Once: nothing. Often: check the network between, or look for a stuck interface engine.")
class ConnectionTimedOut(Event):
    """A peer was too slow: in its TLS handshake, in the middle of a message, in reading answers, or idle."""

    peer: str | None
    listener: str
    environment: str | None
    reason: TimedOutReason
    text: str


@event(
    logging.WARNING,
    "Check that the peer's port and protocol are meant for this listener; `text` says what arrived.",
)
class FramingError(Event):
    """A peer sent something that is not MLLP; its connection was closed and nothing was stored."""

    peer: str | None
    listener: str
    environment: str | None
    reason: FramingReason
    text: str


@event(logging.WARNING, "Nothing to do once: the sender sends the message again. Often: check the network between.")
class ConnectionLost(Event):
    """A connection broke in the middle of a message, or was closed with an answer outstanding or to make room."""

    peer: str | None
    listener: str
    environment: str | None
    reason: LostReason
    text: str


@event(
    logging.WARNING,
    "Nothing is lost: senders wait. If it stays, look at disk latency and at the number of nodes.",
)
class OverloadStarted(Event):
    """Messages arrive faster than they can be stored; the listener slows its peers."""

    listener: str
    environment: str | None
    reason: Literal["overload"]
    text: str
