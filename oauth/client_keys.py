"""The keys with which Carebell proves who it is to an EHR's token endpoint: sign an assertion, and publish the public half.

Sources: SMART App Launch 2.2.0, "Client Authentication: Asymmetric"; RFC 7523; RFC 7517; RFC 7638 (the key's id is its thumbprint).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from oauth.id_token import require_sso

ClientAlgorithm = Literal["RS384", "ES384"]
ASSERTION_LASTS: Final = timedelta(minutes=4)
"""SMART allows five; the rest is for clocks that differ."""
CLOCK_SKEW: Final = timedelta(seconds=30)
"""The other side's clock may be this much behind ours."""
_SMALLEST_RSA: Final = 2048


class ClientKeyError(Exception):
    """A key cannot be used. The sentence names no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A private key.

    Attributes:
        key_id: the thumbprint of its public half, `kid`.
        public: its public half as a JWK.
    """

    algorithm: ClientAlgorithm
    key_id: str
    public: Mapping[str, Any]
    _private: Any = field(repr=False)

    def assertion(self, *, client_id: str, token_endpoint: str, token_id: str, now: datetime) -> str:
        """A signed statement that lets `client_id` ask for a token once.

        Args:
            token_id: random, `jti`: the endpoint takes each once.
            now: aware.
        """
        from joserfc import jwt

        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": token_endpoint,
            "jti": token_id,
            "iat": int((now - CLOCK_SKEW).timestamp()),
            "exp": int((now + ASSERTION_LASTS).timestamp()),
        }
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.key_id}
        return jwt.encode(header, claims, self._private, algorithms=[self.algorithm])


def read_client_key(pem: bytes, algorithm: ClientAlgorithm) -> ClientKey:
    """A private key in PEM form without passphrase: RSA of 2048 bits or more for RS384, P-384 for ES384.

    Raises:
        ClientKeyError: it is none of these.
        SsoExtraMissing: joserfc is not installed.
    """
    require_sso()
    from joserfc.jwk import ECKey, RSAKey

    wanted = "an RSA key of 2048 bits or more" if algorithm == "RS384" else "a P-384 key"
    try:
        given = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        given = None
    private: RSAKey | ECKey
    if algorithm == "RS384" and isinstance(given, rsa.RSAPrivateKey) and given.key_size >= _SMALLEST_RSA:
        private = RSAKey.import_key(given)
    elif algorithm == "ES384" and isinstance(given, ec.EllipticCurvePrivateKey) and given.curve.name == "secp384r1":
        private = ECKey.import_key(given)
    else:
        raise ClientKeyError(f"holds no private key for {algorithm}: {wanted}, PEM, without passphrase")
    key_id = private.thumbprint()
    public = {**private.as_dict(private=False), "use": "sig", "alg": algorithm, "kid": key_id}
    return ClientKey(algorithm=algorithm, key_id=key_id, public=public, _private=private)


def published(keys: Iterable[ClientKey]) -> dict[str, Any]:
    """A JWK set of the public halves, each once."""
    return {"keys": list({key.key_id: dict(key.public) for key in keys}.values())}
