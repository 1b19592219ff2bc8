"""The key ring of the vectors' README, and messages signed or mis-signed at will."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certs.cer import read_upload
from certs.certificate import SigningCertificate
from certs.keyring import Binding, Freshness, Held, Keyring, State, Trust
from certs.message import Refusal, VerifiedMessage
from certs.verify import Verifier

VECTORS = Path(__file__).parent.parent / "vectors"
NOW = datetime.fromisoformat((VECTORS / "CLOCK").read_text().strip())
ZONE = ZoneInfo("America/Los_Angeles")

PRODUCTION = Binding(
    facilities=("LAMNA",),
    receiving_application="APPTSMS",
    receiving_facility="LAMNA",
    processing_ids=("P",),
)
TEST = Binding(
    facilities=("LAMNATST",),
    receiving_application="APPTSMS",
    receiving_facility="LAMNATST",
    processing_ids=("T", "D"),
)
PRODUCTION_FILES = (
    "accept/01-prod-rsa3072.cer",
    "accept/10-prod-next-rsa3072.cer",
    "accept/11-ec-p256.cer",
    "accept/12-ed25519.cer",
    "accept/13-ca-issued-leaf.cer",
)


@cache
def certificate(name: str) -> SigningCertificate:
    """A certificate of the vectors, also one whose dates alone are wrong: behind the upload check, as x39 asks."""
    parsed = read_upload(VECTORS / "certs" / name, NOW).parsed
    assert parsed is not None
    return parsed


@cache
def rsa_key(name: str = "prod-rsa3072") -> rsa.RSAPrivateKey:
    key = load_pem_private_key((VECTORS / "keys" / f"{name}.key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key((VECTORS / "keys" / "ec-p256.key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    key = load_pem_private_key((VECTORS / "keys" / "ed25519.key.pem").read_bytes(), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key


def production(
    *files: str,
    retired: tuple[str, ...] = (),
    pending: tuple[str, ...] = (),
    freshness: Freshness | None = None,
    authentication: Literal["signature", "mutual-tls"] = "signature",
) -> Trust:
    return Trust(
        environment="production",
        kind="production",
        zone=ZONE,
        binding=PRODUCTION,
        certificates=tuple(
            Held(certificate=certificate(name), state=state)
            for names, state in (
                (files or PRODUCTION_FILES, State.ACTIVE),
                (retired, State.RETIRED),
                (pending, State.PENDING),
            )
            for name in names
        ),
        freshness=freshness or Freshness(),
        authentication=authentication,
    )


def trial(*, authentication: Literal["signature", "mutual-tls"] = "signature") -> Trust:
    return Trust(
        environment="test",
        kind="test",
        zone=ZONE,
        binding=TEST,
        certificates=(Held(certificate=certificate("accept/09-test-rsa2048.cer")),),
        authentication=authentication,
    )


@cache
def thumbprint(name: str) -> str:
    """x5t#S256 of a certificate of the vectors, from their table: not computed by what is under test."""
    rows = (line.split("\t") for line in (VECTORS / "thumbprints.tsv").read_text().splitlines())
    return {row[0]: row[1] for row in rows}[name]


def payload(*, sent: str = "20260302150405+0000", control_id: str = "MSG1", body: bytes = b"", **fields: str) -> bytes:
    """P of a small message for production; `fields` name what of MSH to replace: separators, facility, receiver, ..."""
    given = {"separators": "|^~\\&", "facility": "LAMNA", "application": "APPTSMS", "receiver": "LAMNA", "kind": "P"}
    assert fields.keys() <= given.keys()
    given |= fields
    header = (
        f"MSH{given['separators']}|ENGINE|{given['facility']}|{given['application']}|{given['receiver']}|{sent}"
        f"||SIU^S12^SIU_S12|{control_id}|{given['kind']}|2.5.1\r"
    )
    return header.encode("ascii") + b"SCH|A1||||||CHECKUP\r" + body


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def header(**changes: object) -> dict[str, object]:
    """The header of production's first certificate; `x5t` stands for the member `x5t#S256`, None removes a member."""
    members: dict[str, object] = {"alg": "RS256", "typ": "hl7v2-sig", "x5t#S256": thumbprint("prod")}
    members |= {"x5t#S256" if name == "thumbprint" else name: value for name, value in changes.items()}
    return {name: value for name, value in members.items() if value is not None}


def jws(p: bytes, head: bytes | dict[str, object] | None = None, *, key: rsa.RSAPrivateKey | None = None) -> str:
    """A detached JWS over `p` with RS256, whatever its header says; the signature is right for the bytes signed."""
    if head is None:
        head = header()
    raw = head if isinstance(head, bytes) else json.dumps(head, separators=(",", ":")).encode()
    covered = f"{b64(raw)}.{b64(p)}".encode("ascii")
    return f"{b64(raw)}..{b64((key or rsa_key()).sign(covered, padding.PKCS1v15(), SHA256()))}"


def signed(p: bytes, head: bytes | dict[str, object] | None = None, *, key: rsa.RSAPrivateKey | None = None) -> bytes:
    return p + f"ZSG|1|{jws(p, head, key=key)}\r".encode("ascii")


def with_diagnosis(message: bytes, p: bytes) -> bytes:
    return message.removesuffix(b"\r") + f"|{len(p)}^{hashlib.sha256(p).hexdigest()}\r".encode("ascii")


def validate(message: bytes, *trusts: Trust, at: datetime = NOW, peer: str | None = None) -> VerifiedMessage | Refusal:
    verifier = Verifier(Keyring(trusts or (production(),)))
    return verifier.verify(message, received_at=at.astimezone(UTC), peer_thumbprint=peer)


def code(outcome: VerifiedMessage | Refusal) -> str | None:
    """The refusal's code; None: verified."""
    return outcome.code if isinstance(outcome, Refusal) else None
