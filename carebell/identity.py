"""Signing identities that Carebell makes itself: test keys for the demo, and placeholders whose key is thrown away."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ENVIRONMENTS: Final = ("production", "test")
_RSA_BITS: Final = 3072
_TEST_KEY_DAYS: Final = 90
_PLACEHOLDER_DAYS: Final = 3650


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A private key (PKCS#8 PEM, not encrypted) and its self-signed certificate (Base64 X.509)."""

    key_pem: bytes = field(repr=False)
    certificate_pem: bytes


def signing_identity(environment: str, now: datetime) -> Identity:
    """A test identity, good for 90 days from the day before `now`."""
    return _make(f"Carebell test signer ({environment})", now, _TEST_KEY_DAYS)


def placeholder(environment: str, now: datetime) -> bytes:
    """A certificate whose private key exists nowhere: a configuration can name it, and nothing can be signed with it."""
    return _make(
        f"Placeholder for {environment}: put your own certificate here", now, _PLACEHOLDER_DAYS
    ).certificate_pem


def _make(common_name: str, now: datetime, days: int) -> Identity:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return Identity(
        key_pem=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM),
    )
