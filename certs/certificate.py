"""A certificate whose key can sign profile-1 messages, parsed once (signing profile, section 4).

It is made from uploads that `certs.cer` has checked. Not verified here: who issued it, whether it is valid at some moment, what its
key may do. Validity is checked when a message is received, so a keyring can hold an expired certificate and name it in a refusal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.algorithms import PublicKey, algorithms_for
from certs.envelope import TYP, encode_base64url
from certs.unwrap import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningCertificate:
    """A certificate whose key may sign.

    Attributes:
        der: the certificate as uploaded.
        thumbprint: x5t#S256: Base64url of SHA-256 of `der`, 43 characters.
        subject: RFC 4514, for people and terminals.
        not_before, not_after: UTC, both inclusive.
        key_digest: SHA-256 of the SubjectPublicKeyInfo; equal in two certificates with the same key.
        algorithms: values of `alg` for the key, the recommended one first.
    """

    der: bytes = field(repr=False)
    thumbprint: str
    subject: str
    not_before: datetime
    not_after: datetime
    key: PublicKey = field(repr=False, compare=False)
    key_digest: bytes = field(repr=False)
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, certificate: x509.Certificate) -> SigningCertificate:
        """Parse a certificate. ValueError if its key is not RSA, P-256 or Ed25519."""
        key = certificate.public_key()
        if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)) or not (
            algorithms := algorithms_for(key)
        ):
            raise ValueError("a key that no algorithm of profile 1 uses")
        data = certificate.public_bytes(Encoding.DER)
        return cls(
            der=data,
            thumbprint=thumbprint_of(data),
            subject=printable(certificate.subject),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            key=key,
            key_digest=key_digest(key),
            algorithms=algorithms,
        )

    @property
    def header(self) -> str:
        """The JWS header, ready to paste: constant for a certificate."""
        return protected_header(self.algorithms[0], self.thumbprint)


def protected_header(alg: str, thumbprint: str) -> str:
    """The JWS header of section 3 as JSON, without blanks."""
    return json.dumps({"alg": alg, "typ": TYP, "x5t#S256": thumbprint}, separators=(",", ":"))


def thumbprint_of(der: bytes) -> str:
    """x5t#S256 of a DER certificate (RFC 7515, section 4.1.8): a TLS client's certificate is recognised by it too."""
    return encode_base64url(hashlib.sha256(der).digest()).decode("ascii")


def key_digest(key: PublicKey) -> bytes:
    """SHA-256 of a key's SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
