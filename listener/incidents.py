"""Why connections end: one table of kinds, and the incident that is reported.

The listener does not log. It passes on every `Incident`; the code that writes log lines limits their number. No incident holds
a byte of a message.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from listener.connection_register import source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a connection.

    Attributes:
        address: IP address as text.
        port: its TCP port.
        local_port: the listening port.
        thumbprint: x5t#S256 (base64url of SHA-256 of the DER) of the TLS client certificate; None without one.
    """

    address: str
    port: int
    local_port: int
    thumbprint: str | None = None

    @property
    def source(self) -> str:
        """The source for the limits: its IPv4 address, or the /64 of its IPv6 address."""
        return source_of(self.address)


class Kind(Enum):
    """Why a connection ended or had to wait: (stable name, log level, one sentence). Level 0: counted, not reported."""

    PEER_CLOSED = ("peer_closed", 0, "The peer closed the connection.")
    PEER_RESET = ("peer_reset", logging.INFO, "The peer reset the connection or vanished.")
    BARE_CONNECT = ("bare_connect", logging.DEBUG, "Connected and closed without a byte, as health probes do.")
    CUT_OFF = ("cut_off", logging.WARNING, "The peer closed the connection in the middle of a message.")
    JUNK = ("junk", logging.WARNING, "What arrived is not MLLP.")
    BAD_FRAMING = ("bad_framing", logging.WARNING, "The MLLP framing is broken.")
    TOO_LONG = ("too_long", logging.WARNING, "A message is over the size limit.")
    FRAME_TIMEOUT = ("frame_timeout", logging.WARNING, "A message was begun and not finished in time.")
    IDLE_TIMEOUT = ("idle_timeout", logging.INFO, "No message for longer than the idle time-out.")
    WRITE_TIMEOUT = ("write_timeout", logging.WARNING, "The peer does not read its answers.")
    HANDSHAKE_TIMEOUT = ("handshake_timeout", logging.WARNING, "The TLS handshake was not finished in time.")
    NO_CLIENT_CERTIFICATE = (
        "no_client_certificate",
        logging.WARNING,
        "The peer showed no client certificate, which this port asks for.",
    )
    CLIENT_CERTIFICATE_REFUSED = (
        "client_certificate_refused",
        logging.WARNING,
        "The peer's client certificate is not one that this port accepts.",
    )
    TLS_FAILED = ("tls_failed", logging.WARNING, "The TLS handshake failed.")
    ADDRESS_REFUSED = ("address_refused", logging.WARNING, "The source address is not on the allow-list.")
    TOO_MANY = ("too_many", logging.ERROR, "The limit of connections is reached.")
    TOO_MANY_FROM_PEER = (
        "too_many_from_peer",
        logging.WARNING,
        "The limit of connections from one address is reached.",
    )
    CROWDED_OUT = (
        "crowded_out",
        logging.WARNING,
        "Closed to make room: the quietest connection of the address that holds most.",
    )
    HANDLER_FAILED = ("handler_failed", logging.ERROR, "The message could not be handled; reset without an answer.")
    RESET = ("reset", 0, "Reset without an answer, so that the peer sends again.")
    ANSWERED_AND_CLOSED = ("answered_and_closed", 0, "Closed after the answer, as the handler asked.")
    OVERLOAD = ("overload", logging.WARNING, "Too much is in flight: senders are made to wait.")
    SHED = ("shed", logging.ERROR, "Too many unfinished messages are in memory: the largest was dropped.")
    DRAINED = ("drained", 0, "Closed because the listener stops.")
    DRAIN_TIMEOUT = ("drain_timeout", logging.WARNING, "Unanswered when the time to stop had run out; reset.")

    def __init__(self, code: str, level: int, sentence: str) -> None:
        self.code: Final = code
        self.level: Final = level
        self.sentence: Final = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An event that an administrator may want to know.

    Attributes:
        kind: the kind of incident, with its log level and a sentence.
        peer: the peer; None: it concerns no single peer.
        text: one line of detail; never bytes from the peer.
        error: the handler's exception, for the traceback; its text may be unsafe to log.
    """

    kind: Kind
    peer: Peer | None = None
    text: str = ""
    error: BaseException | None = field(default=None, repr=False)
