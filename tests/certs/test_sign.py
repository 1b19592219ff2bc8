"""Our signatures against foreign verifiers (joserfc, the openssl command) and theirs against ours."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from certs.algorithms import PrivateKey
from certs.certificate import protected_header
from certs.message import VerifiedMessage
from certs.sign import SigningError, load_key, sign
from tests.certs.ring import VECTORS, b64, certificate, code, ec_key, ed_key, payload, rsa_key, validate

P = payload()
OPENSSL = shutil.which("openssl")
KEYS: dict[str, tuple[PrivateKey, str]] = {
    "RS256": (rsa_key(), "accept/01-prod-rsa3072.cer"),
    "PS256": (rsa_key(), "accept/01-prod-rsa3072.cer"),
    "ES256": (ec_key(), "accept/11-ec-p256.cer"),
    "EdDSA": (ed_key(), "accept/12-ed25519.cer"),
}
NAMES = tuple(KEYS)
# RFC 9864 would rather write Ed25519; the profile says EdDSA, as RFC 8037 does.
IGNORE_NEW_NAME = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


def jwk(key: PrivateKey) -> RSAKey | ECKey | OKPKey:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAKey.import_key(pem)
    return ECKey.import_key(pem) if isinstance(key, ec.EllipticCurvePrivateKey) else OKPKey.import_key(pem)


def segment(message: bytes) -> list[bytes]:
    return message.removesuffix(b"\r").rpartition(b"\r")[2].split(b"|")


@pytest.mark.parametrize("alg", NAMES)
def test_what_we_sign_we_verify(alg: str) -> None:
    key, file = KEYS[alg]
    message = sign(P, key=key, certificate=certificate(file), alg=alg)
    outcome = validate(message)
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.payload == P
    assert segment(message)[3] == f"{len(P)}^{hashlib.sha256(P).hexdigest()}".encode("ascii")


def test_the_worked_example_byte_for_byte() -> None:
    example = (VECTORS / "steps/9-message.hl7").read_bytes()
    bare = (VECTORS / "steps/1-payload.bin").read_bytes()
    own = certificate("accept/01-prod-rsa3072.cer")
    assert sign(bare, key=rsa_key(), certificate=own, diagnosis=False) == example
    assert protected_header("RS256", own.thumbprint) == (VECTORS / "steps/2-header.json").read_text(encoding="utf-8")


@IGNORE_NEW_NAME
@pytest.mark.parametrize("alg", NAMES)
def test_joserfc_verifies_ours(alg: str) -> None:
    key, file = KEYS[alg]
    compact = segment(sign(P, key=key, certificate=certificate(file), alg=alg))[2].decode("ascii")
    head, _, signature = compact.split(".")
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    checked = jws.deserialize_compact(f"{head}.{b64(P)}.{signature}", jwk(key), registry=registry)
    assert checked.payload == P


@IGNORE_NEW_NAME
@pytest.mark.parametrize("alg", NAMES)
def test_we_verify_joserfc(alg: str) -> None:
    key, file = KEYS[alg]
    head = json.loads(protected_header(alg, certificate(file).thumbprint))
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    first, _, last = jws.serialize_compact(head, P, jwk(key), registry=registry).split(".")
    assert code(validate(P + f"ZSG|1|{first}..{last}\r".encode("ascii"))) is None


needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")
PSS = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sigopt", "rsa_mgf1_md:sha256")


def openssl(*arguments: str | Path) -> bytes:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], check=True, capture_output=True, timeout=60).stdout


@needs_openssl
@pytest.mark.parametrize("alg", ["RS256", "PS256"])
def test_openssl_verifies_ours(alg: str, tmp_path: Path) -> None:
    key, file = KEYS[alg]
    head, _, signature = segment(sign(P, key=key, certificate=certificate(file), alg=alg))[2].decode("ascii").split(".")
    (tmp_path / "input").write_bytes(f"{head}.{b64(P)}".encode("ascii"))
    (tmp_path / "signature").write_bytes(_unb64(signature))
    (tmp_path / "key.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    said = openssl(
        "dgst",
        "-sha256",
        "-verify",
        tmp_path / "key.pem",
        "-signature",
        tmp_path / "signature",
        *(PSS if alg == "PS256" else ()),
        tmp_path / "input",
    )
    assert said.strip() == b"Verified OK"


@needs_openssl
@pytest.mark.parametrize("alg", ["RS256", "PS256"])
def test_we_verify_openssl(alg: str, tmp_path: Path) -> None:
    head = b64(protected_header(alg, certificate("accept/01-prod-rsa3072.cer").thumbprint).encode())
    (tmp_path / "input").write_bytes(f"{head}.{b64(P)}".encode("ascii"))
    signature = openssl(
        "dgst",
        "-sha256",
        "-sign",
        VECTORS / "keys/prod-rsa3072.key.pem",
        "-binary",
        *(PSS if alg == "PS256" else ()),
        tmp_path / "input",
    )
    assert code(validate(P + f"ZSG|1|{head}..{b64(signature)}\r".encode("ascii"))) is None


@needs_openssl
def test_what_openssl_writes_for_ecdsa_is_der_and_refused(tmp_path: Path) -> None:
    head = b64(protected_header("ES256", certificate("accept/11-ec-p256.cer").thumbprint).encode())
    (tmp_path / "input").write_bytes(f"{head}.{b64(P)}".encode("ascii"))
    der = openssl("dgst", "-sha256", "-sign", VECTORS / "keys/ec-p256.key.pem", "-binary", tmp_path / "input")
    assert der[0] == 0x30
    assert code(validate(P + f"ZSG|1|{head}..{b64(der)}\r".encode("ascii"))) == "SIG07"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_are_made_as_the_receiver_makes_them(end: bytes) -> None:
    key, file = KEYS["RS256"]
    assert sign(P.replace(b"\r", end), key=key, certificate=certificate(file)).startswith(P + b"ZSG|1|")


def test_what_cannot_be_signed() -> None:
    key, own = rsa_key(), certificate("accept/01-prod-rsa3072.cer")
    once = sign(P, key=key, certificate=own)
    with pytest.raises(SigningError, match="ZSG segment already"):
        sign(once, key=key, certificate=own)
    with pytest.raises(SigningError, match="begin with MSH"):
        sign(b"\xef\xbb\xbf" + P, key=key, certificate=own)
    with pytest.raises(SigningError, match="not the one"):
        sign(P, key=rsa_key("test-rsa2048"), certificate=own)
    for alg in ("ES256", "none", "rs256"):
        with pytest.raises(SigningError, match="RS256 or PS256"):
            sign(P, key=key, certificate=own, alg=alg)


@pytest.mark.parametrize(
    "form",
    [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL],
    ids=["pkcs8", "sec1"],
)
def test_keys_are_read_from_pem(form: PrivateFormat, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(ec_key().private_bytes(Encoding.PEM, form, NoEncryption()))
    assert load_key(file).public_key() == ec_key().public_key()


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    locked = ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    contents = {
        "locked": (locked, "passphrase"),
        "empty": (b"", "no private key"),
        "cut": (b"-----BEGIN", "no private key"),
        "certificate": ((VECTORS / "certs/accept/11-ec-p256.cer").read_bytes(), "no private key"),
        "large": (b"x" * (1024 * 1024), "no private key"),
    }
    for name, (content, expected) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SigningError, match=expected):
            load_key(tmp_path / name)
    for name in ("ed448", "dsa2048", "ec-p384", "ec-secp256k1"):
        with pytest.raises(SigningError, match="not RSA, P-256 or Ed25519"):
            load_key(VECTORS / f"keys/{name}.key.pem")
    with pytest.raises(SigningError, match="no key file"):
        load_key(tmp_path / "absent")
    with pytest.raises(SigningError, match="cannot be read"):
        load_key(tmp_path)


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
