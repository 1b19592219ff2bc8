"""Signing, as a sender does it: for `carebell sign` and `send`, the demo, the simulated EHR and the tests.

The rule in one line: sign last, with raw bytes, nothing after it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from certs.algorithms import SigningKey, algorithms_for, make
from certs.envelope import canonical, encode, has_signature
from certs.keyring import thumbprint_of

_LARGEST_KEY: Final = 64 * 1024


class SigningError(ValueError):
    """The message cannot be signed with this key; one sentence, nothing of key or message."""


def sign(
    content: bytes, *, key: SigningKey, certificate: x509.Certificate, alg: str | None = None, diagnosis: bool = True
) -> bytes:
    """The message with its ZSG segment, CR at the end.

    Args:
        content: one bare message; its segment ends are normalised as the receiver will do.
        alg: None: what fits the key, RS256 for RSA.
        diagnosis: add ZSG-3, so that a refusal can say whether bytes changed on the way.

    SigningError: signed already, no MSH, or key, certificate and algorithm do not go together.
    """
    body = canonical(content)
    if not body.startswith(b"MSH"):
        raise SigningError("the message does not begin with MSH")
    if has_signature(body):
        raise SigningError("the message is signed already")
    if not _belong_together(key, certificate):
        raise SigningError("the private key is not the certificate's")
    fitting = algorithms_for(key)
    if not fitting or (alg is not None and alg not in fitting):
        raise SigningError(f"the key can sign with {', '.join(fitting) or 'no algorithm of profile 1'}")
    payload = body + b"\r"
    chosen = alg or fitting[0]
    header = encode(protected_header(chosen, certificate).encode())
    signature = encode(make(chosen, key, header + b"." + encode(payload)))
    segment = b"ZSG|1|" + header + b".." + signature
    if diagnosis:
        segment += f"|{len(payload)}^{hashlib.sha256(payload).hexdigest()}".encode("ascii")
    return payload + segment + b"\r"


def protected_header(alg: str, certificate: x509.Certificate) -> str:
    """The header for a certificate: constant, ready to paste into an interface engine's script."""
    members = {"alg": alg, "typ": "hl7v2-sig", "x5t#S256": thumbprint_of(certificate)}
    return json.dumps(members, separators=(",", ":"))


def load_key(path: Path) -> SigningKey:
    """A private key file, PEM or DER, not encrypted. SigningError, FileNotFoundError or PermissionError otherwise."""
    if path.stat().st_size > _LARGEST_KEY:
        raise SigningError(f"{path} is not a private key")
    return read_key(path.read_bytes(), str(path))


def read_key(data: bytes, name: str = "the key") -> SigningKey:
    """As `load_key`, from bytes; `name` stands in the error."""
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    try:
        key = load(data, password=None)
    except TypeError:
        raise SigningError(
            f"{name} is encrypted; write it out unencrypted, mode 0400, where only the signer reads it"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError(f"{name} is not a private key in PEM or DER") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise SigningError(f"{name} is a key of a kind that profile 1 does not use")
    return key


def _belong_together(key: SigningKey, certificate: x509.Certificate) -> bool:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
