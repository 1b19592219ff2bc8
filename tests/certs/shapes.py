"""Certificates that no ordinary tool makes: put together from parts, byte by byte."""

from __future__ import annotations

import base64
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from certs.der import certificate_parts, elements
from tests.certs.ring import NOW, VECTORS, rsa_key


def issue(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType, subject: str = "engine"
) -> bytes:
    """A self-signed certificate as PEM, valid for a year around the vectors' clock."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=180))
        .not_valid_after(NOW + timedelta(days=180))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def tlv(tag: int, content: bytes) -> bytes:
    """DER of one element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def swap_spki(pem: bytes, spki: bytes) -> bytes:
    """DER of a CA-issued certificate with another public key; its issuer's signature, which nobody checks, is void."""
    own = x509.load_pem_x509_certificate(pem)
    assert own.issuer != own.subject
    parts = certificate_parts(own.public_bytes(Encoding.DER))
    assert parts is not None
    signed = own.tbs_certificate_bytes
    assert signed[1] == 0x82  # a length of two bytes
    inner = signed[4:].replace(parts[2], spki)
    return tlv(0x30, tlv(0x30, inner) + parts[1] + tlv(0x03, b"\x00" + own.signature))


def huge_key(bits: int) -> bytes:
    """SubjectPublicKeyInfo of an RSA key with a modulus of this many bits, which need not be a product of primes."""
    modulus = (1 << (bits - 1)) | 1
    content = modulus.to_bytes(bits // 8 + 1, "big")
    number = tlv(0x02, content if content[0] or content[1] & 0x80 else content[1:])
    key = tlv(0x30, number + tlv(0x02, b"\x01\x00\x01"))
    return tlv(0x30, bytes.fromhex("300d06092a864886f70d0101010500") + tlv(0x03, b"\x00" + key))


def explicit_curve() -> bytes:
    """SubjectPublicKeyInfo of P-256 with the curve's parameters spelled out, taken from the vectors' key file."""
    text = (VECTORS / "keys/ec-p256-explicit.key.pem").read_text(encoding="ascii")
    der = base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))
    algorithm, wrapped = list(elements(next(elements(der)).content))[1:3]  # PKCS#8: version, algorithm, key
    point = next(
        element.content for element in elements(next(elements(wrapped.content)).content) if element.tag == 0xA1
    )
    return tlv(0x30, algorithm.raw + next(elements(point)).raw)


def pss_only() -> bytes:
    """SubjectPublicKeyInfo of a key restricted to RSASSA-PSS: the same key under the other algorithm identifier."""
    plain = rsa_key("leaf-rsa2048").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = list(elements(next(elements(plain)).content))[1].raw
    return tlv(0x30, bytes.fromhex("300b06092a864886f70d01010a") + key)
