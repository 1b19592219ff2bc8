"""A scripted server on a loopback port: a test writes its answer byte for byte; over TLS where it has a certificate."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Script = Callable[[socket.socket], None]
"""Writes the answer after a whole request was read."""


@dataclass
class ScriptedServer:
    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


def answer(body: object = None, *, status: int = 200, media_type: str = "application/json", headers: str = "") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Type: {media_type}\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
    return head.encode() + data


def sends(data: bytes) -> Script:
    return lambda sock: sock.sendall(data)


def drips(data: bytes) -> Script:
    """`data` once, then blanks one by one until the client closes the connection."""

    def script(sock: socket.socket) -> None:
        sock.sendall(data)
        while True:
            sock.sendall(b" ")

    return script


def waits_for_the_end(sock: socket.socket) -> None:
    """Says nothing until the client has gone."""
    while sock.recv(4096):
        pass


@contextlib.contextmanager
def scripted_server(
    script: Script, tls: ssl.SSLContext | None = None, *, reads: bool = True
) -> Iterator[ScriptedServer]:
    """`reads` false: it does not wait for a request."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = ScriptedServer(listening.getsockname()[1])
    ending = threading.Event()

    def serve() -> None:
        while True:
            sock, _ = listening.accept()
            if ending.is_set():
                sock.close()
                return
            server.connections += 1
            sock.settimeout(30)
            with contextlib.suppress(OSError), sock:
                talk = tls.wrap_socket(sock, server_side=True) if tls is not None else sock
                with talk:
                    if reads:
                        server.requests.append(_read_request(talk))
                    script(talk)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        ending.set()
        socket.create_connection(("127.0.0.1", server.port)).close()
        thread.join()
        listening.close()


def _read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            raise ConnectionError
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def make_authority(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's context with a certificate for `host`, a client's context that trusts its authority)."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    authority = (
        begun(authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = folder / f"{host}.pem"
    chain.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=authority.public_bytes(serialization.Encoding.PEM).decode("ascii"))
    return server, client
