"""A scripted HTTP server on loopback: answers or breaks off as a test tells it, and keeps what it read."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Seen:
    """One request as the server read it."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]
    body: str = ""


Act = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Script:
    """What to do with each request in turn; the last act repeats."""

    acts: list[Act]
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def next_act(self) -> Act:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


def answer(
    status: int,
    body: object = "",
    *,
    raw: bytes | None = None,
    length: int | None = None,
    headers: Mapping[str, str] | None = None,
    close: bool = True,
) -> Act:
    """A whole answer; `length` lies about its size: the connection closes before that many bytes have come."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        content = raw if raw is not None else json.dumps(body).encode() if body != "" else b""
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        if close:
            handler.send_header("Connection", "close")  # this also ends the handler's loop
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return act


def redirect(status: int, to: Callable[[], str]) -> Act:
    """Send the caller elsewhere."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", to())
        handler.send_header("Content-Length", "0")
        handler.send_header("Connection", "close")
        handler.end_headers()

    return act


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Read the request, then reset the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Read the request, then close without a word."""
    handler.close_connection = True


def trickle(before: bytes, piece: bytes, script: Callable[[], Script]) -> Act:
    """Answer with `before`, then with `piece` again and again, a little later each time, until the other side or the test ends."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(before)
            while not script().released.wait(0.02):
                handler.wfile.write(piece)

    return act


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Begin an answer and go on with a blank at a time, for as long as the other side listens."""
    handler.send_response(200)
    handler.send_header("Content-Length", "20000")
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):
        for _ in range(20_000):
            handler.wfile.write(b" ")
            handler.wfile.flush()


def wait_for(script: Callable[[], Script]) -> Act:
    """Read the request, then say nothing until the test is over."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        script().released.wait(60)
        handler.close_connection = True

    return act


@contextmanager
def serving(*acts: Act, tls: ssl.SSLContext | None = None) -> Iterator[Script]:
    """A server with this script, on a free port; gone at the end."""
    script = Script(list(acts))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parts = urlsplit(self.path)
            script.seen.append(
                Seen(
                    method=self.command,
                    path=parts.path,
                    query={name: values[0] for name, values in parse_qs(parts.query).items()},
                    form={name: values[0] for name, values in parse_qs(body).items()},
                    headers=dict(self.headers.items()),
                    body=body,
                )
            )
            script.next_act()(self)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815  # the names http.server looks for

        def finish(self) -> None:
            with suppress(OSError):  # the socket was reset on purpose
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """Silent: a request line holds the number asked for."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Silent: connections break here on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS context for 127.0.0.1 that no client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def refused_url() -> str:
    """A loopback address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
