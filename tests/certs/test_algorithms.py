"""Signatures that are nearly right: other paddings, hashes, lengths and encodings under a header that says otherwise."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.algorithms import ALGORITHMS, PrivateKey, algorithms_for, verify_signature
from tests.certs.ring import b64, code, ec_key, ed_key, header, payload, rsa_key, thumbprint, validate

P = payload()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def carried(alg: str, name: str, signature: Callable[[bytes], bytes]) -> bytes:
    """A message whose signature is made by `signature` of the signing input, under a header that names `alg`."""
    head = b64(json.dumps(header(alg=alg, thumbprint=thumbprint(name))).encode())
    return P + f"ZSG|1|{head}..{b64(signature(f'{head}.{b64(P)}'.encode('ascii')))}\r".encode("ascii")


def pss(hash_: SHA1 | SHA256, salt: int) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hash_), salt_length=salt)


def rs(data: bytes) -> tuple[int, int]:
    return decode_dss_signature(ec_key().sign(data, ec.ECDSA(SHA256())))


def pair(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def low_or_high(data: bytes) -> bytes:
    """The other of the two s that every ECDSA signature has: RFC 7518 asks for neither."""
    r, s = rs(data)
    return pair(r, P256_ORDER - s)


KEYS: dict[str, PrivateKey] = {"ES256": ec_key(), "EdDSA": ed_key()}
PUBLIC_PEM = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("alg", "name", "signature", "expected"),
    [
        ("RS256", "prod", lambda d: rsa_key().sign(d, padding.PKCS1v15(), SHA256()), None),
        ("RS256", "prod", lambda d: rsa_key().sign(d, padding.PKCS1v15(), SHA1()), "SIG07"),
        ("RS256", "prod", lambda d: rsa_key().sign(d, padding.PKCS1v15(), SHA512()), "SIG07"),
        ("RS256", "prod", lambda d: rsa_key().sign(d, pss(SHA256(), 32), SHA256()), "SIG07"),
        ("RS256", "prod", lambda d: rsa_key("prod-next-rsa3072").sign(d, padding.PKCS1v15(), SHA256()), "SIG07"),
        ("RS256", "prod", lambda d: b"\x00" + rsa_key().sign(d, padding.PKCS1v15(), SHA256()), "SIG07"),
        ("RS256", "prod", lambda d: rsa_key().sign(d, padding.PKCS1v15(), SHA256()) + b"\x00", "SIG07"),
        ("RS256", "prod", lambda d: rsa_key().sign(d.partition(b".")[2], padding.PKCS1v15(), SHA256()), "SIG07"),
        ("RS256", "prod", lambda _: rsa_key().sign(P, padding.PKCS1v15(), SHA256()), "SIG07"),
        ("PS256", "prod", lambda d: rsa_key().sign(d, pss(SHA256(), 32), SHA256()), None),
        ("PS256", "prod", lambda d: rsa_key().sign(d, pss(SHA256(), 20), SHA256()), "SIG07"),
        ("PS256", "prod", lambda d: rsa_key().sign(d, pss(SHA256(), 0), SHA256()), "SIG07"),
        ("PS256", "prod", lambda d: rsa_key().sign(d, pss(SHA1(), 32), SHA256()), "SIG07"),
        ("PS256", "prod", lambda d: rsa_key().sign(d, padding.PKCS1v15(), SHA256()), "SIG07"),
        ("ES256", "ec", lambda d: pair(*rs(d)), None),
        ("ES256", "ec", low_or_high, None),
        ("ES256", "ec", lambda d: ec_key().sign(d, ec.ECDSA(SHA256())), "SIG07"),
        ("ES256", "ec", lambda d: pair(*decode_dss_signature(ec_key().sign(d, ec.ECDSA(SHA384())))), "SIG07"),
        ("ES256", "ec", lambda d: pair(*reversed(rs(d))), "SIG07"),
        ("ES256", "ec", lambda _: bytes(64), "SIG07"),
        ("ES256", "ec", lambda _: pair(P256_ORDER, P256_ORDER), "SIG07"),
        ("ES256", "ec", lambda _: b"\xff" * 64, "SIG07"),
        ("ES256", "ec", lambda d: pair(*rs(d))[:63], "SIG07"),
        ("ES256", "ec", lambda d: pair(*rs(d)) + b"\x00", "SIG07"),
        ("EdDSA", "ed", lambda d: ed_key().sign(d), None),
        ("EdDSA", "ed", lambda d: ed_key().sign(hashlib.sha512(d).digest()), "SIG07"),
        ("EdDSA", "ed", lambda d: ed_key().sign(d)[:63], "SIG07"),
        ("EdDSA", "ed", lambda _: bytes(64), "SIG07"),
        ("EdDSA", "prod", lambda d: ed_key().sign(d), "SIG04"),
        ("ES256", "ed", lambda d: pair(*rs(d)), "SIG04"),
        ("EdDSA", "ec", lambda d: ed_key().sign(d), "SIG04"),
        ("Ed25519", "ed", lambda d: ed_key().sign(d), "SIG04"),
        ("HS256", "prod", lambda d: hmac.digest(PUBLIC_PEM, d, "sha256"), "SIG04"),
    ],
    ids=range(33),
)
def test_signature(alg: str, name: str, signature: Callable[[bytes], bytes], expected: str | None) -> None:
    assert code(validate(carried(alg, name, signature))) == expected


def test_the_four_algorithms_and_no_other() -> None:
    keys = (rsa_key().public_key(), ec_key().public_key(), ed_key().public_key())
    assert [algorithms_for(key) for key in keys] == [("RS256", "PS256"), ("ES256",), ("EdDSA",)]
    assert {name for key in keys for name in algorithms_for(key)} == ALGORITHMS.keys()


def test_another_curve_has_no_algorithm() -> None:
    assert algorithms_for(ec.generate_private_key(ec.SECP384R1()).public_key()) == ()


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_what_is_signed_holds_for_these_bytes_alone(alg: str) -> None:
    private = KEYS.get(alg, rsa_key())
    signature = ALGORITHMS[alg].sign(private, b"data")
    assert verify_signature(alg, private.public_key(), signature, b"data")
    assert not verify_signature(alg, private.public_key(), signature, b"Data")
    assert not verify_signature(alg, private.public_key(), b"", b"data")
