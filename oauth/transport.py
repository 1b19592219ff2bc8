"""One HTTP request to an address that was chosen before, over a connection of its own, within one deadline.

http.client and urllib3 bound each read but not their sum, choose the address themselves, and follow a proxy from the process's
environment if asked. Here a deadline covers connecting, the TLS handshake, sending and every byte of the answer together: a server
that sends a byte now and then gains nothing. h11 parses (RFC 9112); Python's ssl bounds a handshake, a read and a write as wholes.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import h11

from oauth.addresses import IpAddress
from oauth.faults import FetchCode, FetchFault
from oauth.target import Target

_LARGEST_HEAD: Final = 16_384
_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What to send. `headers` hold no Host, Connection, Accept-Encoding or Content-Length: those are the transport's."""

    method: str
    target: Target
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A complete answer. Header names are lower case; a header that came twice has its last value."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class FetchDeadline:
    """Seconds that remain on a monotonic clock."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends = clock() + seconds

    def remaining(self) -> float:
        """More than 0. Raises TimeoutError after the deadline."""
        seconds = self._ends - self._clock()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds


def send(
    request: HttpRequest,
    addresses: Sequence[IpAddress],
    *,
    tls: ssl.SSLContext,
    deadline: FetchDeadline,
    most_bytes: int,
) -> HttpResponse:
    """The answer of the first of `addresses` that can be reached. The certificate must be one of the target's host name.

    Raises:
        FetchFault: `not_connected`, `certificate`, `tls`, `too_slow`, `too_large`, `not_http` or `connection_lost`.
    """
    host = request.target.authority
    try:
        with closing(_connect(request.target, addresses, deadline)) as plain:
            if not request.target.https:
                return _converse(plain, request, deadline, most_bytes)
            plain.settimeout(deadline.remaining())
            with closing(tls.wrap_socket(plain, server_hostname=request.target.host)) as secure:
                return _converse(secure, request, deadline, most_bytes)
    except TimeoutError:
        raise FetchFault(
            FetchCode.TOO_SLOW,
            f"{host} did not answer completely in time. Try again; if it stays so, ask whoever runs that server.",
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise FetchFault(
            FetchCode.CERTIFICATE,
            f"The certificate of {host} cannot be trusted: {error.verify_message}. Nothing was sent. Whoever runs that server "
            "must install a certificate of a known authority that names this host, with its whole chain.",
        ) from None
    except ssl.SSLError:
        raise FetchFault(
            FetchCode.TLS,
            f"{host} and Carebell could not agree on a secure connection (TLS 1.2 or later). Nothing was sent. Check the port, "
            "and ask whoever runs that server which TLS versions it speaks.",
        ) from None
    except OSError:
        raise _lost(host) from None
    except h11.RemoteProtocolError:
        raise FetchFault(
            FetchCode.NOT_HTTP,
            f"What {host} sent is not HTTP, or breaks off. Check the port: it may be another service's.",
        ) from None


def _connect(target: Target, addresses: Sequence[IpAddress], deadline: FetchDeadline) -> socket.socket:
    """A connection to the first address that takes it. Each gets an equal part of the time that remains."""
    for index, address in enumerate(addresses):
        try:
            seconds = deadline.remaining() / (len(addresses) - index)
        except TimeoutError:
            if index == 0:  # resolving took it all
                raise
            break
        sock = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(seconds)
        try:
            sock.connect((str(address), target.port))
        except OSError:  # TimeoutError is one
            sock.close()
            continue
        return sock
    raise FetchFault(
        FetchCode.NOT_CONNECTED,
        f"No connection to {target.host}, port {target.port}, could be made. Check the address and the port, and whether a "
        "firewall lets this machine out to it.",
    )


def _converse(sock: socket.socket, request: HttpRequest, deadline: FetchDeadline, most_bytes: int) -> HttpResponse:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
    head = h11.Request(
        method=request.method,
        target=request.target.path,
        headers=[
            ("Host", request.target.authority),
            ("User-Agent", "carebell"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            *request.headers,
            *([("Content-Length", str(len(request.body)))] if request.body else []),
        ],
    )
    parts = [connection.send(head), connection.send(h11.Data(data=request.body)), connection.send(h11.EndOfMessage())]
    sock.settimeout(deadline.remaining())
    sock.sendall(b"".join(part for part in parts if part))
    response: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            sock.settimeout(deadline.remaining())
            connection.receive_data(sock.recv(_CHUNK))
        elif isinstance(event, h11.InformationalResponse):
            deadline.remaining()
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most_bytes:
                raise FetchFault(
                    FetchCode.TOO_LARGE,
                    f"The answer of {request.target.authority} is larger than {most_bytes // 1024} KiB, so it was not read to "
                    "its end. Check that the address is the one you mean.",
                )
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            headers = {name.decode("ascii"): value.decode("latin-1") for name, value in response.headers}
            return HttpResponse(status=response.status_code, headers=headers, body=bytes(body))
        else:
            raise _lost(request.target.authority)


def _lost(host: str) -> FetchFault:
    return FetchFault(
        FetchCode.CONNECTION_LOST,
        f"{host} closed the connection before its answer was complete. Try again; if it stays so, ask whoever runs that server.",
    )
