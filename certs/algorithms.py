"""The four signature algorithms of profile 1, and which key each one fits (signing.md, section 4). Everything else is refused."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

_P256_BYTES: Final = 32
_PSS: Final = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
_PKCS1: Final = padding.PKCS1v15()
_HASH: Final = SHA256()

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def algorithms_for(key: object) -> tuple[str, ...]:
    """The algorithms a public or private key can be used with, the preferred one first; empty: none of the profile."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return ("RS256", "PS256")
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return ("ES256",) if isinstance(key.curve, ec.SECP256R1) else ()
    return ("EdDSA",) if isinstance(key, ed25519.Ed25519PublicKey | ed25519.Ed25519PrivateKey) else ()


def fits(alg: str, key: Key) -> bool:
    """Whether this exact, case-sensitive name is an algorithm of the profile for this key."""
    return alg in algorithms_for(key)


def holds(alg: str, key: Key, signature: bytes, signed: bytes) -> bool:
    """Whether the signature is right. False for any bytes; the algorithm must fit the key."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, _PSS if alg == "PS256" else _PKCS1, _HASH)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if len(signature) != 2 * _P256_BYTES:
                return False
            r, s = (int.from_bytes(half, "big") for half in (signature[:_P256_BYTES], signature[_P256_BYTES:]))
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_HASH))
        else:
            key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def make(alg: str, key: SigningKey, signed: bytes) -> bytes:
    """The signature bytes as profile 1 carries them."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, _PSS if alg == "PS256" else _PKCS1, _HASH)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(_HASH)))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")
    return key.sign(signed)
