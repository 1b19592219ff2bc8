"""Every vector through a real socket: answered as its index says, and what is refused leaves no row."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from certs.algorithms import PrivateKey
from certs.cer import read_upload
from certs.sign import sign as append_signature
from listener.client import SendError, SendFault
from listener.framing import frame
from tests.story.clinic import PATIENCE, Ack, Clinic, opened
from tests.story.ehr import unsigned
from tests.story.folder import CLOCK, PRODUCTION, VECTORS, make, rows, vector

# A configuration holds two certificates of an environment; the vectors need seven of production.
_OTHER_CERTIFICATES = {
    "m03": ("accept/11-ec-p256.cer",),
    "m04": ("accept/12-ed25519.cer",),
    "x15": ("accept/11-ec-p256.cer",),
    "x17": ("accept/11-ec-p256.cer",),
    "x36": ("accept/13-ca-issued-leaf.cer",),
    "x39": (PRODUCTION[0], "refuse/20-expired.cer"),
}
_AFTER_M01 = ("m21", "x46")
_FIRST = next(row for row in rows("vectors.tsv") if "/m01" in row[1])
# Of x40's certificate the vectors hold no file, and behind a configuration there is always one: see the test for its like.
_ROWS = [row for row in rows("vectors.tsv") if not PurePath(row[1]).name.startswith("x40")]


def _name(row: tuple[str, ...]) -> str:
    return PurePath(row[1]).stem[:3]


def _groups() -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """Certificates -> the vectors that are judged with them, in one service."""
    found: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for row in _ROWS:
        found.setdefault(_OTHER_CERTIFICATES.get(_name(row), PRODUCTION), []).append(row)
    return found


@pytest.mark.parametrize(
    "certificates", _groups(), ids=lambda names: "+".join(PurePath(name).stem[:2] for name in names)
)
async def test_a_vector_is_answered_as_indexed(certificates: tuple[str, ...], tmp_path: Path) -> None:
    vectors = _groups()[certificates]
    decided, wanted, kept = {}, {}, {}
    async with opened(make(tmp_path, production=certificates)) as clinic:
        for row in vectors:
            _, path, environment, answer, code, sha256, _ = row
            if _name(row) in _AFTER_M01:
                await clinic.send(vector(_FIRST[1], _FIRST[5]))
            before = clinic.counts()
            decided[path] = await _answer(clinic, vector(path, sha256), environment)
            kept[path] = clinic.counts() != before
            wanted[path] = (answer, code)
        assert decided == wanted
        # m01 was sent before, and m21 is m01: the second time nothing happens. What is refused is never stored.
        stored = {path for path, (answer, _) in wanted.items() if answer in ("AA", "CA") and "/m21" not in path}
        assert {path for path, changed in kept.items() if changed} == stored


async def _answer(clinic: Clinic, content: bytes, environment: str) -> tuple[str, str]:
    """MSA-1 and ERR-5; ("CLOSE", "FRAME") where the connection was ended over the framing."""
    client = await clinic.connect(environment)
    try:
        # `submit_block`: two vectors hold framing bytes.
        ack = Ack((await client.submit_block(b"\x0b" + content + b"\x1c\r")).content)
    except SendError as error:
        ended = error.code in (SendFault.CLOSED, SendFault.RESET)
        [line] = clinic.events("framing_error")[-1:]
        return ("CLOSE" if ended else error.code), ("FRAME" if line["reason"] == "bad_framing" else line["reason"])
    finally:
        await client.close()
    first = content.replace(b"\r\n", b"\r").split(b"\r")[0].removeprefix(b"\xef\xbb\xbf")
    assert ack.control_id == first.split(first[3:4])[9].decode()
    return ack.code, ack.failure


async def test_a_certificate_that_is_not_valid_yet_refuses_with_sig06(tmp_path: Path) -> None:
    """x40's like: its certificate is not among the vectors' files, so one is made."""
    path = make(tmp_path)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "certs" / "10-prod-next-rsa3072.cer").write_bytes(_future_certificate(key))
    async with opened(path) as clinic:
        before = clinic.counts()
        [ack] = await clinic.send(_signed_by(key, tmp_path / "certs" / "10-prod-next-rsa3072.cer"))
        assert (ack.code, ack.failure) == ("AR", "SIG06")
        assert clinic.counts() == before


def _future_certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "next year's signer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(CLOCK + timedelta(days=300))
        .not_valid_after(CLOCK + timedelta(days=700))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _signed_by(key: PrivateKey, certificate: Path) -> bytes:
    report = read_upload(certificate, CLOCK + timedelta(days=301))
    assert report.certificate is not None
    visit = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
    content = unsigned("S12", "FUTURE1", sent=CLOCK, start=visit)
    return append_signature(content, key=key, certificate=report.certificate)


async def test_hostile_content_is_accepted_and_reaches_no_text(tmp_path: Path) -> None:
    hostile = rows("hostile.tsv")
    async with opened(make(tmp_path)) as clinic:
        for path, sha256, _ in hostile:
            [ack] = await clinic.send(vector(path, sha256))
            assert (path, ack.code, ack.failure) == (path, "AA", "-")
            left = await clinic.pass_by(timedelta(0))
            assert left == []
        bodies = [text["body"] for text in await clinic.pass_to(datetime(2026, 3, 9, 18, 0, tzinfo=UTC))]
    assert bodies
    for body in bodies:
        assert re.fullmatch(r"[\w .,:+'()/-]+", body)
        assert not re.search(r"evil|http|\{|HYPERLINK|DROP|passwd|LLLL|INFO", body)


@pytest.mark.parametrize(
    ("name", "reasons"), [("d12", {"invalid_phone"}), ("d14", {"invalid_phone"}), ("d16", {"past", "late_booking"})]
)
async def test_what_cannot_be_texted_says_why(name: str, reasons: set[str], tmp_path: Path) -> None:
    [row] = [row for row in rows("hostile.tsv") if f"/{name}" in row[0]]
    async with opened(make(tmp_path)) as clinic:
        [ack] = await clinic.send(vector(row[0], row[1]))
        assert ack.code == "AA"
        assert await clinic.pass_to(datetime(2026, 3, 9, 20, 0, tzinfo=UTC)) == []
        assert {(state, why) for _, _, state, why in clinic.outbox("900100")} == {
            ("suppressed", why) for why in reasons
        }
        assert clinic.phones() == [None]


@pytest.mark.parametrize("name", ["f01-one", "f07-crlf-before-start"])
async def test_a_whole_block_is_answered(name: str, tmp_path: Path) -> None:
    async with opened(make(tmp_path)) as clinic:
        client = await clinic.connect()
        ack = Ack((await client.submit_block((VECTORS / "frames" / f"{name}.mllp").read_bytes())).content)
        await client.close()
        assert ack.code == "AA"
        assert clinic.counts()["appointments"] == 1


@pytest.mark.parametrize("name", ["f04-http", "f05-double-start", "f09-tls-hello-on-plain-port"])
async def test_what_is_no_block_ends_the_connection(name: str, tmp_path: Path) -> None:
    says = {"f04-http": "HTTP", "f05-double-start": "a second start byte", "f09-tls-hello-on-plain-port": "TLS"}
    async with opened(make(tmp_path)) as clinic:
        before = clinic.counts()
        assert await _raw(clinic, (VECTORS / "frames" / f"{name}.mllp").read_bytes()) == b""
        [line] = clinic.events("framing_error")
        assert says[name] in line["text"]
        assert clinic.counts() == before


async def test_a_block_without_an_end_is_given_up_at_its_deadline(tmp_path: Path) -> None:
    changes = {"environments": {"production": {"listener": {"frame_timeout": "1s"}}}}
    async with opened(make(tmp_path, changes)) as clinic:
        before = clinic.counts()
        assert await _raw(clinic, (VECTORS / "frames" / "f03-no-end.mllp").read_bytes()) == b""
        assert [line["reason"] for line in clinic.events("connection_timed_out")] == ["frame_timeout"]
        assert clinic.counts() == before


async def test_a_block_over_the_limit_is_refused_before_its_end(tmp_path: Path) -> None:
    async with opened(make(tmp_path)) as clinic:
        before = clinic.counts()
        head = (VECTORS / "messages/accept/m01-rs256-s12.hl7").read_bytes()
        received = await _raw(clinic, b"\x0b" + head + b"A" * 5_000_000)
        ack = Ack(received.removeprefix(b"\x0b").removesuffix(b"\x1c\r"))
        assert (ack.code, ack.control_id, ack.failure) == ("AE", "MSG00001", "SIZE")
        assert clinic.counts() == before


async def _raw(clinic: Clinic, content: bytes) -> bytes:
    """Everything the service writes until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", clinic.port())
    writer.write(content)
    received = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while chunk := await reader.read(65536):
                received += chunk
        except ConnectionResetError:
            pass
    writer.close()
    return received


async def test_the_same_bytes_again_have_no_second_effect(tmp_path: Path) -> None:
    content = vector(_FIRST[1], _FIRST[5])
    async with opened(make(tmp_path)) as clinic:
        [first] = await clinic.send(content)
        after_first = clinic.counts()
        # On one connection, pipelined, and on another: always the stored answer, with an MSH-10 of its own.
        client = await clinic.connect()
        again = [Ack((await answer).content) for answer in [client.submit_block(frame(content)) for _ in range(5)]]
        await client.close()
        again += await clinic.send(content)
        assert {ack.code for ack in (first, *again)} == {"AA"}
        assert len({ack.segments["MSH"][9] for ack in (first, *again)}) == 7
        assert clinic.counts() == after_first
        assert len(clinic.events("message_accepted")) == 1
        assert len(clinic.events("message_repeated")) == 6
        left = await clinic.pass_to(datetime(2026, 3, 9, 20, 0, tzinfo=UTC))
        assert [text["kind"] for text in left] == ["booked", "reminder", "reminder"]
