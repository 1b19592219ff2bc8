"""TLS: versions, names, pinned client certificates of every kind, and what OpenSSL refuses by itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization

from listener.client import MllpClient, SendError, SendFault
from listener.client_certificate import first_certificate
from listener.framing import frame
from listener.incidents import Kind, Peer
from listener.limits import Limits
from listener.reply import RESET, Close
from listener.server import MllpServer
from listener.tls import ClientCertificates, TlsProblem, TlsSetupError, client_context, server_context
from tests.listener.certificates import SERVER_ONLY, Pair, make
from tests.listener.conftest import SHORT, Later, Listen, ask, eventually, read_to_end

LOOPS: Final[Mapping[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture
def server_pair(tmp_path: Path) -> Pair:
    return make(tmp_path, "server.example")


def plain_server(pair: Pair, clients: ClientCertificates | None = None) -> ssl.SSLContext:
    return server_context(pair.certificate_file, pair.key_file, clients=clients)


def whoami(content: bytes, peer: Peer) -> bytes:
    return (peer.thumbprint or "nobody").encode()


async def identity(port: int, server: Pair, client: Pair | None) -> str:
    """Connect, showing `client`, and ask the server whom it sees."""
    context = client_context(
        anchors=[server.pem],
        certificate=client.certificate_file if client else None,
        key=client.key_file if client else None,
    )
    connection = await MllpClient.connect("127.0.0.1", port, tls=context)
    try:
        return (await connection.send(b"who")).content.decode()
    finally:
        await connection.close()


async def test_messages_over_tls_in_order(listen: Listen, server_pair: Pair) -> None:
    listening = await listen(tls=plain_server(server_pair))
    context = client_context(anchors=[server_pair.der])
    client = await MllpClient.connect("127.0.0.1", listening.port, tls=context, server_name="server.example")
    contents = [b"%d" % number * 1000 for number in range(100)]
    answers = [answer.content async for answer in client.exchange(contents, window=20)]
    assert answers == [b"ACK " + content for content in contents]
    await client.close()
    assert listening.incidents == []


async def test_a_name_that_is_not_in_the_certificate_is_refused_by_the_client(
    listen: Listen, server_pair: Pair
) -> None:
    listening = await listen(tls=plain_server(server_pair))
    context = client_context(anchors=[server_pair.pem])
    with pytest.raises(SendError, match="Hostname mismatch") as caught:
        await MllpClient.connect("127.0.0.1", listening.port, tls=context, server_name="other.example")
    assert caught.value.code is SendFault.TLS


async def test_an_unknown_server_is_refused_unless_verification_is_off(listen: Listen, server_pair: Pair) -> None:
    listening = await listen(tls=plain_server(server_pair))
    with pytest.raises(SendError, match="certificate is not accepted"):
        await MllpClient.connect("127.0.0.1", listening.port, tls=client_context())
    client = await MllpClient.connect("127.0.0.1", listening.port, tls=client_context(verify=False))
    assert (await client.send(b"one")).content == b"ACK one"
    await client.close()


async def test_tls_below_1_2_is_refused(listen: Listen, server_pair: Pair) -> None:
    context = plain_server(server_pair)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    listening = await listen(tls=context)
    old = client_context(verify=False)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(SendError) as caught:
        await MllpClient.connect("127.0.0.1", listening.port, tls=old)
    assert caught.value.code is SendFault.TLS
    await listening.closed(Kind.TLS_FAILED)
    assert [incident.text for incident in listening.incidents] == [
        "UNSUPPORTED_PROTOCOL: the peer's TLS version is too old"
    ]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_pinned_client_certificates_are_seen_by_their_thumbprint(
    listen: Listen, server_pair: Pair, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    authority = make(tmp_path, "authority.example", authority=True)
    self_signed = make(tmp_path, "self.example")
    leaf = make(tmp_path, "leaf.example", issuer=authority)
    expired = make(tmp_path, "expired.example", expired=True)
    pinned = ClientCertificates(anchors=(self_signed.pem, leaf.der, expired.pem), check_time=False)
    context = plain_server(server_pair, pinned)
    context.maximum_version = version
    listening = await listen(whoami, tls=context)
    for pair in (self_signed, leaf, expired):
        assert await identity(listening.port, server_pair, pair) == pair.thumbprint


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["stranger", "sibling", "server_only", "none"])
async def test_other_client_certificates_fail_in_the_handshake_and_are_named(
    listen: Listen, server_pair: Pair, tmp_path: Path, name: str, version: ssl.TLSVersion
) -> None:
    authority = make(tmp_path, "authority.example", authority=True)
    leaf = make(tmp_path, "leaf.example", issuer=authority)
    server_only = make(tmp_path, "web.example", usage=SERVER_ONLY)
    shown = {
        "stranger": make(tmp_path, "stranger.example"),
        "sibling": make(tmp_path, "sibling.example", issuer=authority),
        "server_only": server_only,
        "none": None,
    }[name]
    pinned = ClientCertificates(anchors=(leaf.pem, server_only.pem), check_time=False)
    context = plain_server(server_pair, pinned)
    context.maximum_version = version
    listening = await listen(whoami, tls=context)
    with pytest.raises(SendError):
        await identity(listening.port, server_pair, shown)
    kind = Kind.CLIENT_CERTIFICATE_REFUSED if shown else Kind.NO_CLIENT_CERTIFICATE
    await listening.closed(kind)
    assert listening.server.frames == 0
    (incident,) = listening.incidents
    assert incident.kind is kind
    assert incident.peer is not None
    assert incident.peer.thumbprint == (shown.thumbprint if shown else None)
    assert ("client certificate refused" if shown else "no client certificate") in incident.text


@pytest.mark.parametrize(
    ("shown", "version", "alert"),
    [
        (None, ssl.TLSVersion.TLSv1_3, "CERTIFICATE_REQUIRED"),
        (None, ssl.TLSVersion.TLSv1_2, "HANDSHAKE_FAILURE"),
        ("stranger", ssl.TLSVersion.TLSv1_3, "UNKNOWN_CA"),
        ("stranger", ssl.TLSVersion.TLSv1_2, "UNKNOWN_CA"),
        ("expired", ssl.TLSVersion.TLSv1_3, "CERTIFICATE_EXPIRED"),
        ("server-only", ssl.TLSVersion.TLSv1_3, "UNSUPPORTED_CERTIFICATE"),
    ],
)
@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_the_peer_is_told_why_its_certificate_is_refused(
    tmp_path: Path, server_pair: Pair, shown: str | None, version: ssl.TLSVersion, alert: str, loop_kind: str
) -> None:
    """An alert is what an interface engine writes into its log; without one it says "closed"."""
    pinned = make(tmp_path, "pinned.example")
    expired = make(tmp_path, "expired.example", expired=True)
    pairs = {
        "stranger": make(tmp_path, "stranger.example"),
        "expired": expired,
        "server-only": make(tmp_path, "server-only.example", usage=SERVER_ONLY),
    }
    anchors = (pinned.pem, expired.pem, pairs["server-only"].pem)
    context = plain_server(server_pair, ClientCertificates(anchors=anchors))
    client = pairs[shown] if shown is not None else None
    told = client_context(
        anchors=[server_pair.pem],
        certificate=client.certificate_file if client else None,
        key=client.key_file if client else None,
    )
    told.maximum_version = version

    def handshake(port: int) -> str | None:
        """What a client with blocking sockets, as most engines have, hears."""
        with socket.create_connection(("127.0.0.1", port)) as plain:
            try:
                with told.wrap_socket(plain, server_hostname="server.example") as channel:
                    channel.recv(1)
            except ssl.SSLError as error:
                return error.reason
        return None

    async def serve() -> str | None:
        server = MllpServer(whoami, tls=context, report=lambda _: None)
        port = await server.start("127.0.0.1", 0)
        try:
            return await asyncio.to_thread(handshake, port)
        finally:
            await server.stop()

    with asyncio.Runner(loop_factory=LOOPS[loop_kind]) as runner:
        reason = runner.run(serve())
    assert reason is not None
    assert reason.endswith(f"ALERT_{alert}")


async def test_handshakes_that_fail_at_the_same_time_keep_their_own_certificates(
    listen: Listen, server_pair: Pair, tmp_path: Path
) -> None:
    pinned = ClientCertificates(anchors=(make(tmp_path, "pinned.example").pem,), check_time=False)
    strangers = [make(tmp_path, f"stranger{number}.example") for number in range(8)]
    listening = await listen(whoami, tls=plain_server(server_pair, pinned))
    answers = await asyncio.gather(
        *(identity(listening.port, server_pair, shown) for shown in (*strangers, *[None] * 4)), return_exceptions=True
    )
    assert all(isinstance(answer, SendError) for answer in answers)
    await eventually(lambda: len(listening.incidents) == 12)
    seen = [incident.peer.thumbprint for incident in listening.incidents if incident.peer is not None]
    assert sorted(thumbprint for thumbprint in seen if thumbprint) == sorted(pair.thumbprint for pair in strangers)
    assert seen.count(None) == 4


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x0b",
        b"\x0b\0\0\0",
        b"\x0b\0\0\3\0\0\0",
        b"\x0b\0\0\6\0\0\3\0\0\0",
        b"\x0b\0\0\7\0\0\4\0\0\5ab",
        b"\x0b" + b"\xff" * 40,
    ],
)
@pytest.mark.parametrize("version", [0x0303, 0x0304])
def test_a_certificate_message_that_holds_none_gives_none(message: bytes, version: int) -> None:
    assert first_certificate(message, version) is None


async def test_an_expired_certificate_is_refused_by_openssl_when_it_checks_the_time(
    listen: Listen, server_pair: Pair, tmp_path: Path
) -> None:
    expired = make(tmp_path, "expired.example", expired=True)
    listening = await listen(whoami, tls=plain_server(server_pair, ClientCertificates(anchors=(expired.pem,))))
    with pytest.raises(SendError):
        await identity(listening.port, server_pair, expired)
    await listening.closed(Kind.CLIENT_CERTIFICATE_REFUSED)
    [incident] = listening.incidents
    assert incident.text == "client certificate refused: certificate has expired"
    assert incident.peer is not None
    assert incident.peer.thumbprint == expired.thumbprint


async def test_a_ca_vouches_for_its_leaves(listen: Listen, server_pair: Pair, tmp_path: Path) -> None:
    authority = make(tmp_path, "authority.example", authority=True)
    leaf = make(tmp_path, "leaf.example", issuer=authority)
    listening = await listen(whoami, tls=plain_server(server_pair, ClientCertificates(anchors=(authority.pem,))))
    assert await identity(listening.port, server_pair, leaf) == leaf.thumbprint


async def test_a_requested_certificate_may_be_missing(listen: Listen, server_pair: Pair, tmp_path: Path) -> None:
    pinned = make(tmp_path, "self.example")
    clients = ClientCertificates(anchors=(pinned.pem,), required=False)
    listening = await listen(whoami, tls=plain_server(server_pair, clients))
    assert await identity(listening.port, server_pair, None) == "nobody"
    assert await identity(listening.port, server_pair, pinned) == pinned.thumbprint


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"GET / HTTP/1.1\r\n\r\n", "an HTTP request"), (frame(b"MSH|^~\\&|"), "perhaps MLLP without TLS")],
)
async def test_what_is_not_tls_is_named(listen: Listen, server_pair: Pair, data: bytes, words: str) -> None:
    listening = await listen(tls=plain_server(server_pair))
    _, writer = await listening.connect()
    writer.write(data)
    await listening.closed(Kind.TLS_FAILED)
    assert [words in incident.text for incident in listening.incidents] == [True]


async def test_a_probe_of_a_tls_port_is_a_debug_matter(listen: Listen, server_pair: Pair) -> None:
    listening = await listen(tls=plain_server(server_pair))
    _, writer = await listening.connect()
    writer.close()
    await listening.closed(Kind.BARE_CONNECT)
    assert listening.kinds() == [Kind.BARE_CONNECT]


async def test_a_handshake_that_does_not_come_times_out_and_counts_as_a_connection(
    listen: Listen, server_pair: Pair
) -> None:
    listening = await listen(tls=plain_server(server_pair), limits=Limits(handshake_timeout=SHORT))
    reader, _ = await listening.connect()
    await eventually(lambda: listening.server.statistics().accepted == 1)
    assert await read_to_end(reader) == b""
    await listening.closed(Kind.HANDSHAKE_TIMEOUT)
    assert listening.kinds() == [Kind.HANDSHAKE_TIMEOUT]
    assert listening.server.statistics().open == 0


async def test_limits_hold_before_the_handshake(listen: Listen, server_pair: Pair) -> None:
    listening = await listen(tls=plain_server(server_pair), limits=Limits(max_connections=1))
    await listening.connect()
    refused, _ = await listening.connect()
    assert await read_to_end(refused) == b""
    assert listening.kinds() == [Kind.TOO_MANY]


async def test_silent_handshakes_of_one_address_make_room_for_another(listen: Listen, server_pair: Pair) -> None:
    listening = await listen(tls=plain_server(server_pair), limits=Limits(max_connections=2))
    silent, _ = await listening.connect()
    await listening.connect()
    await eventually(lambda: listening.server.statistics().open == 2)
    reader, writer = await listening.connect(
        local_addr=("127.0.0.2", 0), ssl=client_context(anchors=[server_pair.pem], verify=False)
    )
    assert await ask(reader, writer, b"in") == frame(b"ACK in")
    assert await read_to_end(silent) == b""
    assert listening.kinds() == [Kind.CROWDED_OUT]
    assert listening.server.statistics().open == 2
    writer.close()


async def test_stop_drops_handshakes_and_answers_what_is_in_flight(listen: Listen, server_pair: Pair) -> None:
    later = Later()
    listening = await listen(later, tls=plain_server(server_pair))
    silent, _ = await listening.connect()
    client = await MllpClient.connect("127.0.0.1", listening.port, tls=client_context(anchors=[server_pair.pem]))
    answer = client.submit(b"one")
    await later.until(1)
    stopping = asyncio.ensure_future(listening.server.stop())
    assert await read_to_end(silent) == b""
    later.answer(0)
    assert (await answer).content == b"ACK one"
    assert await stopping == 0
    await client.close()


async def test_reset_is_a_tcp_reset_under_tls_too(listen: Listen, server_pair: Pair) -> None:
    listening = await listen(lambda content, peer: RESET, tls=plain_server(server_pair))
    client = await MllpClient.connect("127.0.0.1", listening.port, tls=client_context(anchors=[server_pair.pem]))
    with pytest.raises(SendError) as caught:
        await client.send(b"one")
    assert caught.value.code is SendFault.RESET
    await client.close()


async def test_close_answers_first_under_tls_too(listen: Listen, server_pair: Pair) -> None:
    handler: Any = lambda content, peer: Close(answer=b"bye")  # noqa: E731 - the seam is a callable
    listening = await listen(handler, tls=plain_server(server_pair))
    reader, writer = await listening.connect(ssl=client_context(anchors=[server_pair.pem]))
    assert await ask(reader, writer, b"one") == frame(b"bye")
    writer.close()
    await listening.closed(Kind.ANSWERED_AND_CLOSED)


async def test_a_new_certificate_serves_new_connections(listen: Listen, server_pair: Pair, tmp_path: Path) -> None:
    listening = await listen(tls=plain_server(server_pair))
    old = await MllpClient.connect("127.0.0.1", listening.port, tls=client_context(anchors=[server_pair.pem]))
    renewed = make(tmp_path, "renewed.example")
    listening.server.reconfigure(tls=plain_server(renewed))
    new = await MllpClient.connect("127.0.0.1", listening.port, tls=client_context(anchors=[renewed.pem]))
    assert (await old.send(b"old")).content == b"ACK old"
    assert (await new.send(b"new")).content == b"ACK new"
    await old.close()
    await new.close()


async def test_tls_is_switched_on_and_off_while_it_runs(listen: Listen, server_pair: Pair) -> None:
    listening = await listen()
    anchored = client_context(anchors=[server_pair.pem])
    plain, writer = await listening.connect()
    assert await ask(plain, writer, b"one") == frame(b"ACK one")

    listening.server.reconfigure(tls=plain_server(server_pair))
    assert await read_to_end(plain) == b""
    writer.close()
    client = await MllpClient.connect("127.0.0.1", listening.port, tls=anchored)
    assert (await client.send(b"two")).content == b"ACK two"

    listening.server.reconfigure(tls="off")
    with pytest.raises(SendError):
        await client.send(b"three")
    await client.close()
    client = await MllpClient.connect("127.0.0.1", listening.port)
    assert (await client.send(b"four")).content == b"ACK four"
    await client.close()


async def test_an_address_that_is_taken_accepts_nothing_until_it_is_told_to(listen: Listen) -> None:
    listening = await listen()
    server = MllpServer(lambda content, _: b"ACK " + content, report=lambda _: None)
    number = await server.bind("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        await listening.server.bind("127.0.0.1", number)
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(frame(b"one"))
    assert server.statistics().accepted == 0
    server.accept()
    assert await reader.readexactly(len(frame(b"ACK one"))) == frame(b"ACK one")
    server.release()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", number)
    assert await ask(reader, writer, b"two") == frame(b"ACK two")
    writer.close()
    await server.stop()


# --- files


def test_a_missing_file(tmp_path: Path, server_pair: Pair) -> None:
    with pytest.raises(TlsSetupError, match=r"absent\.key: No such file") as caught:
        server_context(server_pair.certificate_file, tmp_path / "absent.key")
    assert caught.value.code is TlsProblem.UNREADABLE


def test_a_key_of_another_certificate(tmp_path: Path, server_pair: Pair) -> None:
    other = make(tmp_path, "other.example")
    with pytest.raises(TlsSetupError, match="is not the private key of") as caught:
        server_context(server_pair.certificate_file, other.key_file)
    assert caught.value.code is TlsProblem.NOT_A_PAIR


def test_a_file_that_is_not_pem(tmp_path: Path, server_pair: Pair) -> None:
    der = tmp_path / "der.cer"
    der.write_bytes(server_pair.der)
    with pytest.raises(TlsSetupError, match="not a PEM certificate") as caught:
        server_context(der, server_pair.key_file)
    assert caught.value.code is TlsProblem.NOT_PEM


def test_an_encrypted_key_is_refused_instead_of_asked_for(tmp_path: Path, server_pair: Pair) -> None:
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(
        server_pair.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsSetupError, match="encrypted") as caught:
        server_context(server_pair.certificate_file, encrypted)
    assert caught.value.code is TlsProblem.KEY_ENCRYPTED


@pytest.mark.parametrize("anchors", [(), (b"junk",), (b"-----BEGIN CERTIFICATE-----\nAAAA\n",), (b"\xff\xfe",)])
def test_anchors_that_are_none(anchors: tuple[bytes, ...], server_pair: Pair) -> None:
    with pytest.raises(TlsSetupError) as caught:
        plain_server(server_pair, ClientCertificates(anchors=anchors))
    assert caught.value.code is TlsProblem.ANCHOR
