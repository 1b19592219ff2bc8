"""Sign the simulated server's id tokens: RS256 with a key of its own, and every way in which that can be wrong.

cryptography alone, so that the checks in `oauth`, which use another library, are tested against foreign work.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator.fhir.faults import FhirFault

_BITS: Final = 2048


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class TokenSigner:
    """A key pair, made when it is first needed, and the tokens it signs."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPrivateKey] = {}

    def _key(self, name: str) -> rsa.RSAPrivateKey:
        if name not in self._keys:
            self._keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        return self._keys[name]

    def published(self) -> dict[str, Any]:
        """The JWK set."""
        numbers = self._key("published").public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "alg": "RS256",
                    "kid": "simulated-1",
                    "n": encoded(numbers.n.to_bytes(_BITS // 8, "big")),
                    "e": encoded(numbers.e.to_bytes(3, "big")),
                }
            ]
        }

    def signed(self, claims: Mapping[str, Any], faults: frozenset[FhirFault] = frozenset()) -> str:
        """A compact JWS of `claims`."""
        algorithm = "none" if FhirFault.ALG_NONE in faults else "HS256" if FhirFault.ALG_HS256 in faults else "RS256"
        header = {"alg": algorithm, "typ": "JWT", "kid": "simulated-1"}
        content = _part(claims)
        text = f"{_part(header)}.{content}".encode("ascii")
        if algorithm == "none":
            signature = b""
        elif algorithm == "HS256":
            public = self._key("published").public_key()
            secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            signature = hmac.new(secret, text, hashlib.sha256).digest()
        else:
            key = self._key("foreign" if FhirFault.WRONG_KEY in faults else "published")
            signature = key.sign(text, padding.PKCS1v15(), SHA256())
        if FhirFault.CHANGED in faults:
            content = _part({**claims, "sub": "somebody-else"})
        return f"{_part(header)}.{content}.{encoded(signature)}"


def _part(value: Mapping[str, Any]) -> str:
    return encoded(json.dumps(value, separators=(",", ":")).encode())
