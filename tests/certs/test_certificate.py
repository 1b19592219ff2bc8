"""The value that stands for a certificate everywhere behind the upload check."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509

from certs.certificate import SigningCertificate, protected_header, thumbprint_of
from tests.certs.ring import VECTORS, certificate, rsa_key, thumbprint
from tests.certs.shapes import issue

FILES = {
    "prod": "accept/01-prod-rsa3072.cer",
    "next": "accept/10-prod-next-rsa3072.cer",
    "test": "accept/09-test-rsa2048.cer",
    "retired": "accept/14-retired-rsa2048.cer",
    "ec": "accept/11-ec-p256.cer",
    "ed": "accept/12-ed25519.cer",
    "leaf": "accept/13-ca-issued-leaf.cer",
    "expired": "refuse/20-expired.cer",
}


@pytest.mark.parametrize(("name", "file"), FILES.items(), ids=FILES)
def test_thumbprint(name: str, file: str) -> None:
    own = certificate(file)
    assert own.thumbprint == thumbprint(name) == thumbprint_of(own.der)


@pytest.mark.parametrize("form", ["02-windows-crlf", "03-no-header", "05-utf8-bom-crlf", "07-bag-attributes"])
def test_the_form_of_the_file_leaves_no_trace(form: str) -> None:
    assert certificate(f"accept/{form}.cer") == certificate(FILES["prod"])


def test_header_is_the_worked_examples() -> None:
    own = certificate(FILES["prod"])
    assert own.header == (VECTORS / "steps/2-header.json").read_text(encoding="utf-8")
    assert protected_header("PS256", own.thumbprint) == own.header.replace("RS256", "PS256")


def test_the_same_key_is_known_under_another_certificate() -> None:
    again = SigningCertificate.of(x509.load_pem_x509_certificate(issue(rsa_key())))
    own = certificate(FILES["prod"])
    assert again.thumbprint != own.thumbprint
    assert again.key_digest == own.key_digest
    assert own.key_digest != certificate(FILES["next"]).key_digest


def test_repr_is_short() -> None:
    shown = repr(certificate(FILES["prod"]))
    assert "b'" not in shown
    assert hashlib.sha256(b"").hexdigest() not in shown
    assert thumbprint("prod") in shown


@pytest.mark.parametrize("file", ["26-ec-p384", "29-ed448", "31-dsa"])
def test_a_key_of_no_algorithm(file: str) -> None:
    other = x509.load_pem_x509_certificate((VECTORS / f"certs/refuse/{file}.cer").read_bytes())
    with pytest.raises(ValueError, match="no algorithm"):
        SigningCertificate.of(other)
