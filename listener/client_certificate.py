"""A handshake that failed: the thumbprint of the certificate that the peer showed, for the log, and the alert, for the peer.

After a failed verification OpenSSL does not return the certificate, and Python's `ssl` has no callback for verification. But a
context can set the class of its connections (`sslobject_class`) and observe handshake messages (`_msg_callback`, which exists for
debugging; if a Python version lacks it, refusals are logged without a thumbprint). Sources: RFC 5246, section 7.4.2, and RFC 8446,
section 4.4.2, for the Certificate message.

OpenSSL leaves an alert that names the reason ("certificate required", "unknown ca"). asyncio and uvloop close the connection
without sending it, and the peer's log would say only that the connection was closed. So it is written here, to the socket itself.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

_CERTIFICATE: Final = 11
_HEADER: Final = 4  # message type, and its length in three bytes
_ACCEPTED: ContextVar[socket.socket | None] = ContextVar("accepted", default=None)
"""The socket whose handshake this task begins; the event loop makes its SSLObject in a copy of the task's context."""


def accepting(sock: socket.socket) -> None:
    """The running task is about to begin the handshake on this socket."""
    _ACCEPTED.set(sock)


def thumbprint_of(der: bytes) -> str:
    """x5t#S256: base64url of SHA-256 of the DER, without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode("ascii")


def first_certificate(message: bytes, version: int) -> bytes | None:
    """The DER of the leaf in a Certificate message; None: the list is empty, or it is another message.

    Args:
        message: with its four bytes of header.
        version: of TLS on the wire, 0x0304 for 1.3, whose message begins with a request context.
    """
    start = _HEADER
    if version >= ssl.TLSVersion.TLSv1_3:
        if len(message) <= start:
            return None
        start += 1 + message[start]
    start += 3  # the length of the list
    size = int.from_bytes(message[start : start + 3])
    der = message[start + 3 : start + 3 + size]
    return der if size and len(der) == size else None


class _Handshake(ssl.SSLObject):
    """A connection that attaches the peer's certificate to the error of a refusal."""

    presented: str | None = None
    _outgoing: ssl.MemoryBIO | None = None
    _socket: socket.socket | None = None

    @classmethod
    def _create(cls, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *more: Any, **named: Any) -> _Handshake:
        created: _Handshake = super()._create(incoming, outgoing, *more, **named)  # type: ignore[misc]  # of CPython
        created._outgoing, created._socket = outgoing, _ACCEPTED.get()
        return created

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            error.presented = self.presented  # type: ignore[attr-defined]  # read by `presented_in` alone
            self._send_alert()
            raise
        self._outgoing = self._socket = None

    def _send_alert(self) -> None:
        if self._outgoing is not None and self._socket is not None:
            with suppress(OSError):  # the peer has gone, or takes nothing: then it does not learn the reason
                self._socket.send(self._outgoing.read())


def tell_peers(context: ssl.SSLContext) -> None:
    """Let this server context send the alert of a handshake that fails."""
    context.sslobject_class = _Handshake


def watch(context: ssl.SSLContext) -> None:
    """Let this server context record the certificates of its peers too."""
    if hasattr(ssl.SSLContext, "_msg_callback"):
        context._msg_callback = _note  # type: ignore[attr-defined]  # of CPython, see above


def presented_in(error: ssl.SSLError) -> str | None:
    """The thumbprint of the certificate that the peer of this failed handshake showed; None: none."""
    thumbprint = getattr(error, "presented", None)
    return thumbprint if isinstance(thumbprint, str) else None


def _note(connection: Any, direction: str, version: int, content_type: Any, message_type: int, data: bytes) -> None:
    if direction == "read" and message_type == _CERTIFICATE and data[:1] == b"\x0b":
        der = first_certificate(data, version)
        if der is not None and isinstance(connection, _Handshake):
            connection.presented = thumbprint_of(der)
