"""The signing snippets of docs/how-to/signing, each run by its own runtime: same bytes as ours, and they verify.

Messages differ in what snippets get wrong: segment ends, bytes that are no UTF-8, a line feed inside a free text. RS256 is
deterministic, so "as ours" means byte for byte.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest

from certs.cer import read_upload
from certs.certificate import SigningCertificate
from certs.keyring import Binding, Held, Keyring, Trust
from certs.message import VerifiedMessage
from certs.sign import load_key, sign
from certs.verify import Verifier

pytestmark = pytest.mark.interop

VECTORS = Path(__file__).parents[1] / "vectors"
SNIPPETS = Path(__file__).parents[2] / "docs" / "how-to" / "signing"
HERE = Path(__file__).parent
CLOCK = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
KEY = VECTORS / "keys" / "prod-rsa3072.key.pem"
CERTIFICATE = VECTORS / "certs" / "accept" / "01-prod-rsa3072.cer"

SEGMENTS = (
    b"MSH|^~\\&|EPIC|LAMNA|APPTSMS|LAMNA|20260302150300+0000||SIU^S12^SIU_S12|SNIP01|P|2.5.1||||||%s",
    b"SCH|900100^EPIC|900100^EPIC|||||ROUTINE^Routine|%s",
    b"PID|1||||TESTPATIENT^ALEX||||||||^PRN^CP^^1^202^5550143",
)


def _message(end: bytes, *, charset: bytes = b"UNICODE UTF-8", note: bytes = b"plain", last: bytes = b"") -> bytes:
    header, schedule, patient = SEGMENTS
    return end.join([header % charset, schedule % note, patient]) + last


MESSAGES = {
    "cr": _message(b"\r", last=b"\r"),
    "cr-without-the-last": _message(b"\r"),
    "cr-with-blank-lines-at-the-end": _message(b"\r", last=b"\r\r\n\n"),
    "lf": _message(b"\n", last=b"\n"),
    "crlf": _message(b"\r\n", last=b"\r\n"),
    "line-feed-in-a-text": _message(b"\r", note=b"come\nearly", last=b"\r"),
    "line-feed-in-a-text-and-crlf": _message(b"\r\n", note=b"come\nearly", last=b"\r\n"),
    "utf-8": _message(b"\r", note="Größe ñ 東京 — 'ok'".encode(), last=b"\r"),
    "cp1252": _message(b"\r", charset=b"8859/1", note="Größe ñ".encode("cp1252"), last=b"\r"),
}


def _run(*command: str | Path) -> bytes:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout


def _node(message: Path, header: str) -> bytes:
    return _run("node", SNIPPETS / "mirth.js", message, KEY, header)


def _rhino(message: Path, header: str) -> bytes:
    charset = "windows-1252" if message.name.startswith("cp1252") else "UTF-8"
    output = message.with_name("signed")
    _run("rhino", "-opt", "-1", HERE / "mirth_engine.js", SNIPPETS / "mirth.js", message, KEY, header, charset, output)
    return output.read_bytes()


def _tclsh(message: Path, header: str) -> bytes:
    return _run("tclsh", SNIPPETS / "cloverleaf.tcl", message, KEY, header)


def _cloverleaf(message: Path, header: str) -> bytes:
    output = message.with_name("signed")
    _run("tclsh", HERE / "cloverleaf_engine.tcl", SNIPPETS / "cloverleaf.tcl", message, KEY, header, output)
    return output.read_bytes()


@cache
def _compiled() -> TemporaryDirectory[str]:
    """Rhapsody.java, compiled once: as a source file it would be compiled anew for every message."""
    folder = TemporaryDirectory()
    _run("javac", "-d", folder.name, SNIPPETS / "Rhapsody.java")
    return folder


def _java(message: Path, header: str) -> bytes:
    return _run("java", "-XX:TieredStopAtLevel=1", "-cp", _compiled().name, "Rhapsody", message, KEY, header)


def _bash(message: Path, header: str) -> bytes:
    return _run("bash", SNIPPETS / "sign.sh", message, KEY, header)


Runner = Callable[[Path, str], bytes]
# Which programs each one needs.
RUNNERS: dict[str, tuple[Runner, tuple[str, ...]]] = {
    "mirth.js in node": (_node, ("node",)),
    "mirth.js in rhino": (_rhino, ("rhino",)),
    "cloverleaf.tcl in tclsh": (_tclsh, ("tclsh", "openssl")),
    "cloverleaf.tcl as a TPS proc": (_cloverleaf, ("tclsh", "openssl")),
    "Rhapsody.java": (_java, ("java", "javac")),
    "sign.sh": (_bash, ("bash", "openssl")),
}


@pytest.fixture(scope="module")
def certificate() -> SigningCertificate:
    report = read_upload(CERTIFICATE, CLOCK)
    assert report.certificate is not None
    return report.certificate


@pytest.fixture(scope="module")
def header() -> str:
    """As an analyst has it: from `carebell cert show`."""
    report = read_upload(CERTIFICATE, CLOCK)
    assert report.header is not None
    return report.header


@pytest.fixture(scope="module")
def verifier(certificate: SigningCertificate) -> Verifier:
    binding = Binding(
        facilities=("LAMNA",), receiving_application="APPTSMS", receiving_facility="LAMNA", processing_ids=("P",)
    )
    trust = Trust(
        environment="production",
        kind="production",
        zone=ZoneInfo("UTC"),
        binding=binding,
        certificates=(Held(certificate=certificate),),
    )
    return Verifier(Keyring([trust]))


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_snippet_signs_as_we_do(
    runner: str, message: str, tmp_path: Path, header: str, certificate: SigningCertificate, verifier: Verifier
) -> None:
    run, programs = RUNNERS[runner]
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed here")
    file = tmp_path / f"{message}.hl7"
    file.write_bytes(MESSAGES[message])
    signed = run(file, header)
    assert signed == sign(MESSAGES[message], key=load_key(KEY), certificate=certificate, alg="RS256")
    assert isinstance(verifier.verify(signed, received_at=CLOCK), VerifiedMessage)


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_snippet_fails_without_its_key(
    runner: str, tmp_path: Path, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that cannot be signed must not leave unsigned: the snippet ends with an error instead."""
    run, programs = RUNNERS[runner]
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed here")
    monkeypatch.setattr(f"{__name__}.KEY", tmp_path / "nowhere.pem")
    file = tmp_path / "message.hl7"
    file.write_bytes(MESSAGES["cr"])
    with pytest.raises(AssertionError):
        run(file, header)


def test_the_java_snippet_runs_as_a_source_file(tmp_path: Path, header: str, certificate: SigningCertificate) -> None:
    """As the page says: `java Rhapsody.java MESSAGE KEY HEADER`. The source launcher needs the compiler, so a JDK."""
    if shutil.which("javac") is None:
        pytest.skip("javac not installed here")
    file = tmp_path / "message.hl7"
    file.write_bytes(MESSAGES["cr"])
    signed = _run("java", SNIPPETS / "Rhapsody.java", file, KEY, header)
    assert signed == sign(MESSAGES["cr"], key=load_key(KEY), certificate=certificate, alg="RS256")
