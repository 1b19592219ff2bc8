"""Forms in which people send a certificate, or what they take for one: what programs write, editors save and mail brings.

The vectors hold more of them, each in a file.
"""

from __future__ import annotations

import base64
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)
from cryptography.x509.oid import NameOID

from tests.certs.ring import NOW, VECTORS, b64, certificate, ec_key, ed_key, rsa_key

GOOD = (VECTORS / "certs/accept/01-prod-rsa3072.cer").read_bytes()
SMALL = (VECTORS / "certs/accept/11-ec-p256.cer").read_bytes()
DER = certificate("accept/01-prod-rsa3072.cer").der
TEXT = GOOD.decode("ascii")
BODY = "".join(TEXT.splitlines()[1:-1])


def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    body = base64.encodebytes(der).decode("ascii")
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode("ascii")


def good_forms() -> dict[str, bytes]:
    """Other forms of the vectors' first certificate, each of which is accepted."""
    return {
        "utf16le": b"\xff\xfe" + TEXT.encode("utf-16-le"),
        "utf16le-crlf": b"\xff\xfe" + TEXT.replace("\n", "\r\n").encode("utf-16-le"),
        "utf16le-bare": b"\xff\xfe" + BODY.encode("utf-16-le"),
        "utf8-bom-bare": b"\xef\xbb\xbf" + BODY.encode("ascii"),
        "one-line": BODY.encode("ascii"),
        "bare-blank-lines": BODY.encode("ascii") + b"\r\n\r\n",
        "mixed-line-ends": TEXT.replace(BODY[:64] + "\n", BODY[:64] + "\r\n").encode("ascii"),
        "blank-around": b"\n\n" + GOOD.rstrip() + b" \t\r\n\n",
        "no-final-newline": GOOD.rstrip(),
        "latin1-text-before": "Für die Klinik: nicht löschen\n".encode("latin-1") + GOOD,
        "s_client-text-before": b" 0 s:CN = engine\n   i:CN = engine\n---\nkeep the private key elsewhere\n" + GOOD,
        "older-label": GOOD.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
        "one-long-line": b"-----BEGIN CERTIFICATE-----\n" + BODY.encode("ascii") + b"\n-----END CERTIFICATE-----",
    }


def private_key_forms() -> dict[str, bytes]:
    """Private keys, alone and beside a certificate, in every wrapping."""
    small, edwards, big = ec_key(), ed_key(), rsa_key("leaf-rsa2048")
    lock = BestAvailableEncryption(b"secret")
    plain = NoEncryption()
    der = Encoding.DER, PrivateFormat.PKCS8
    old = PrivateFormat.TraditionalOpenSSL
    forms = {
        "openssh": edwards.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, plain),
        "openssh-encrypted-header-only": b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n",
        "pkcs1-encrypted": big.private_bytes(Encoding.PEM, old, lock),
        "ec-pem": small.private_bytes(Encoding.PEM, old, plain),
        "pkcs8-encrypted": small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock),
        "bare-pkcs8-rsa": base64.encodebytes(big.private_bytes(*der, plain)),
        "bare-pkcs8-ed25519": base64.b64encode(edwards.private_bytes(*der, plain)),
        "bare-pkcs8-encrypted": base64.encodebytes(small.private_bytes(*der, lock)),
        "bare-pkcs1": base64.encodebytes(big.private_bytes(Encoding.DER, old, plain)),
        "bare-sec1": base64.encodebytes(small.private_bytes(Encoding.DER, old, plain)),
        "binary-pkcs8": big.private_bytes(*der, plain),
        "binary-pkcs8-ed25519": edwards.private_bytes(*der, plain),
        "binary-sec1": small.private_bytes(Encoding.DER, old, plain),
        "under-a-certificate-label": pem(small.private_bytes(*der, plain)),
        "under-an-unknown-label": pem(small.private_bytes(*der, plain), "SOMETHING"),
        "base64-of-pem": base64.encodebytes(small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain)),
        "ssh2": b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA\n",
        "putty": b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
        "jwk": b'{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}',
        "dotnet": b"<RSAKeyValue><Modulus>AA</Modulus><D>AA</D></RSAKeyValue>",
        "jks": b"\xfe\xed\xfe\xed\x00\x00\x00\x02",
    }
    pkcs8 = small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain)
    bare = forms["bare-pkcs8-rsa"]
    return forms | {
        "after-certificate": SMALL + pkcs8,
        "before-certificate": pkcs8 + SMALL,
        "cut-short-after-certificate": SMALL + pkcs8[:80],
        "utf16le": b"\xff\xfe" + (SMALL + pkcs8).decode("ascii").encode("utf-16-le"),
        "utf16be": (SMALL + pkcs8).decode("ascii").encode("utf-16-be"),
        "unlabelled-before-certificate": bare + SMALL,
        "unlabelled-after-certificate": SMALL + bare,
        "bare-certificate-then-bare-key": base64.encodebytes(DER) + bare,
        "appended-to-the-der": pem(DER + small.private_bytes(*der, plain)),
    }


def other_forms() -> dict[str, tuple[bytes, str]]:
    """What is no single certificate, with the code of its refusal."""
    own = x509.load_der_x509_certificate(certificate("accept/11-ec-p256.cer").der)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(ec_key(), hashes.SHA256())
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .sign(ec_key(), hashes.SHA256())
    )
    public = ec_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    rsa_public = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    ssh = ed_key().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    p7b = pkcs7.serialize_certificates([own], Encoding.DER)
    return {
        "certificate-and-p7b": (SMALL + pem(p7b, "PKCS7"), "PKCS7"),
        "p7b-bare": (base64.encodebytes(p7b), "PKCS7"),
        "p7b-as-certificate": (pem(p7b), "PKCS7"),
        "p7b-as-cms": (pem(p7b, "CMS"), "PKCS7"),
        "csr-bare": (base64.encodebytes(request.public_bytes(Encoding.DER)), "CSR"),
        "csr-der": (request.public_bytes(Encoding.DER), "CSR"),
        "csr-new-label": (pem(request.public_bytes(Encoding.DER), "NEW CERTIFICATE REQUEST"), "CSR"),
        "crl-bare": (base64.encodebytes(revoked.public_bytes(Encoding.DER)), "CRL"),
        "key-bare": (base64.encodebytes(public), "BARE_KEY"),
        "key-pkcs1": (base64.encodebytes(rsa_public), "BARE_KEY"),
        "key-ssh": (ssh, "BARE_KEY"),
        "key-and-certificate": (pem(public, "PUBLIC KEY") + SMALL, "BARE_KEY"),
        "parameters": (pem(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", "EC PARAMETERS"), "OTHER_PEM"),
        "trusted": (pem(DER, "TRUSTED CERTIFICATE"), "TRUSTED"),
        "two-certificates": (GOOD + SMALL, "BUNDLE"),
        "twice-the-same": (GOOD + GOOD, "BUNDLE"),
        "hundreds": (SMALL * 80, "BUNDLE"),
        "text-after": (GOOD + b"issued for Lamna\n", "TRAILING"),
        "base64-after": (GOOD + b"AAAA\n", "TRAILING"),
        "bytes-after-in-der": (pem(DER + b"\x00"), "TRAILING"),
        "bytes-after-in-bare": (base64.b64encode(DER + b"\x05\x00"), "TRAILING"),
        "der-cut-short": (pem(DER[:-1]), "TRUNCATED"),
        "bare-cut-short": (base64.b64encode(DER[:600]), "TRUNCATED"),
        "end-alone": (BODY.encode("ascii") + b"\n-----END CERTIFICATE-----\n", "TRUNCATED"),
        "begin-twice": (GOOD.splitlines()[0] + b"\n" + GOOD, "TRUNCATED"),
        "labels-differ": (GOOD.replace(b"END CERTIFICATE", b"END X509 CRL"), "TRUNCATED"),
        "der-with-more": (DER + b"\n", "DER"),
        "not-base64": (b"<html>Log in</html>", "NOT_BASE64"),
        "star-in-base64": (GOOD.replace(b"MIIE", b"MI*E"), "NOT_BASE64"),
        "padding-missing": (
            BODY.rstrip("=").encode("ascii") if BODY.endswith("=") else BODY[:-1].encode(),
            "NOT_BASE64",
        ),
        "base64url": (b64(DER).encode("ascii"), "NOT_BASE64"),
        "bom-alone": (b"\xef\xbb\xbf", "EMPTY"),
        "utf16-odd": (b"\xff\xfe" + TEXT.encode("utf-16-le") + b"x", "NOT_TEXT"),
        "utf16be": (b"\xfe\xff" + TEXT.encode("utf-16-be"), "NOT_TEXT"),
        "utf16-no-bom": (TEXT.encode("utf-16-le"), "NOT_TEXT"),
        "image": (b"\x89PNG\r\n\x1a\n\x00\x00", "NOT_TEXT"),
        "one-byte-too-many": (GOOD + b"\n" * (64 * 1024 + 1 - len(GOOD)), "TOO_LARGE"),
    }
