"""The four signature algorithms of profile 1 and the keys that they use (signing profile, section 4; RFC 7518, RFC 8037).

A name that is not in `ALGORITHMS` is refused: there is no `none`, no HMAC, no SHA-1, and names are case-sensitive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_P256_BYTES: Final = 32
_SHA256: Final = SHA256()
_PKCS1: Final = padding.PKCS1v15()
_PSS: Final = padding.PSS(mgf=padding.MGF1(_SHA256), salt_length=_SHA256.digest_size)
_ECDSA: Final = ec.ECDSA(_SHA256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """One value of `alg`.

    Attributes:
        verify: raises InvalidSignature or ValueError unless the key made this signature over the data.
        sign: returns the signature in the profile's form.
    """

    name: str
    verify: Callable[[PublicKey, bytes, bytes], None]
    sign: Callable[[PrivateKey, bytes], bytes]


def algorithms_for(key: PublicKey) -> tuple[str, ...]:
    """The names of the algorithms for a key, the recommended one first; empty: the profile has none."""
    if isinstance(key, rsa.RSAPublicKey):
        return ("RS256", "PS256")
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ("ES256",) if isinstance(key.curve, ec.SECP256R1) else ()
    return ("EdDSA",)


def verify_signature(name: str, key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the key made this signature over the data. `name` must be one of `algorithms_for(key)`."""
    try:
        ALGORITHMS[name].verify(key, signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify_rs256(key: PublicKey, signature: bytes, data: bytes) -> None:
    cast("rsa.RSAPublicKey", key).verify(signature, data, _PKCS1, _SHA256)  # isinstance of an ABC takes 1 us


def _sign_rs256(key: PrivateKey, data: bytes) -> bytes:
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.sign(data, _PKCS1, _SHA256)


def _verify_ps256(key: PublicKey, signature: bytes, data: bytes) -> None:
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signature, data, _PSS, _SHA256)


def _sign_ps256(key: PrivateKey, data: bytes) -> bytes:
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.sign(data, _PSS, _SHA256)


def _verify_es256(key: PublicKey, signature: bytes, data: bytes) -> None:
    """Verify R||S of 64 bytes (RFC 7518, section 3.4). openssl and Java write DER instead."""
    assert isinstance(key, ec.EllipticCurvePublicKey)
    if len(signature) != 2 * _P256_BYTES:
        raise InvalidSignature
    r = int.from_bytes(signature[:_P256_BYTES], "big")
    s = int.from_bytes(signature[_P256_BYTES:], "big")
    key.verify(encode_dss_signature(r, s), data, _ECDSA)


def _sign_es256(key: PrivateKey, data: bytes) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(data, _ECDSA))
    return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")


def _verify_eddsa(key: PublicKey, signature: bytes, data: bytes) -> None:
    assert isinstance(key, ed25519.Ed25519PublicKey)
    key.verify(signature, data)


def _sign_eddsa(key: PrivateKey, data: bytes) -> bytes:
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(data)


ALGORITHMS: Final[dict[str, Algorithm]] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(name="RS256", verify=_verify_rs256, sign=_sign_rs256),
        Algorithm(name="PS256", verify=_verify_ps256, sign=_sign_ps256),
        Algorithm(name="ES256", verify=_verify_es256, sign=_sign_es256),
        Algorithm(name="EdDSA", verify=_verify_eddsa, sign=_sign_eddsa),
    )
}
