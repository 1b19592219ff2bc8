"""Uploads: what is accepted, and that everything else is refused with its own reason."""

from __future__ import annotations

import base64
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.cer import Report, inspect, read_upload
from certs.reasons import REASONS
from tests.certs.forms import DER, GOOD, SMALL, good_forms, other_forms, pem, private_key_forms
from tests.certs.ring import NOW, VECTORS, certificate, ec_key, rsa_key, thumbprint
from tests.certs.shapes import explicit_curve, huge_key, issue, pss_only, swap_spki

ROWS = [tuple(line.split("\t")) for line in (VECTORS / "certs.tsv").read_text(encoding="utf-8").splitlines()]
LEAF = (VECTORS / "certs/accept/13-ca-issued-leaf.cer").read_bytes()
CODES = {
    "01-der-binary": "DER",
    "03-private-key-then-cert": "PRIVATE_KEY",
    "04-private-key-pkcs8": "PRIVATE_KEY",
    "05-private-key-pkcs1": "PRIVATE_KEY",
    "06-private-key-encrypted": "PRIVATE_KEY",
    "08-pkcs12-base64": "PKCS12",
    "10-cert-and-ec-private-key": "PRIVATE_KEY",
    "11-chain-bundle": "BUNDLE",
    "13-p7b-pem": "PKCS7",
    "14-p7b-der": "PKCS7",
    "16-csr": "CSR",
    "17-bare-public-key": "BARE_KEY",
    "19-crl": "CRL",
    "20-expired": "EXPIRED",
    "22-rsa1024": "KEY_SIZE",
    "23-md5-signed": "WEAK_HASH",
    "24-sha1-signed": "WEAK_HASH",
    "26-ec-p384": "KEY_TYPE",
    "27-ec-secp256k1": "KEY_TYPE",
    "29-ed448": "KEY_TYPE",
    "31-dsa": "KEY_TYPE",
    "33-empty": "EMPTY",
    "34-blank": "EMPTY",
    "36-random-base64": "NOT_A_CERTIFICATE",
    "38-truncated": "TRUNCATED",
    "40-bad-self-signature": "SELF_SIGNATURE",
    "42-oversize": "TOO_LARGE",
}
EXPOSED = ("exposed", "new key")


def look(data: bytes, at: datetime = NOW) -> Report:
    return inspect(data, at)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: PurePath(row[1]).stem)
def test_vector(row: tuple[str, ...], tmp_path: Path) -> None:
    verdict, path, _ = row
    file = VECTORS / path
    if path.endswith("42-oversize.cer"):  # described by the index, made here
        file = tmp_path / "oversize.cer"
        file.write_bytes(GOOD + b"\n" * 2**20)
    report = read_upload(file, NOW)
    assert report.verdict == verdict
    if verdict == "accept":
        assert (report.code, report.reason) == ("OK", None)
        assert report.certificate is report.parsed
        assert report.certificate is not None
    else:
        assert report.code == CODES[PurePath(path).stem]
        assert report.reason
        assert (report.certificate, report.algorithms, report.header) == (None, (), None)


def test_report_of_the_worked_example() -> None:
    report = look(GOOD)
    assert report.header == (VECTORS / "steps/2-header.json").read_text(encoding="utf-8")
    assert report.thumbprint == thumbprint("prod")
    assert report.algorithms == ("RS256", "PS256")
    assert report.notices == ()
    assert report.subject is not None
    assert "CN=epic-bridges-prod" in report.subject
    assert report.not_before is not None
    assert report.not_before.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("file", "algorithms"),
    [("11-ec-p256.cer", ("ES256",)), ("12-ed25519.cer", ("EdDSA",)), ("09-test-rsa2048.cer", ("RS256", "PS256"))],
)
def test_algorithms_follow_the_key(file: str, algorithms: tuple[str, ...]) -> None:
    report = read_upload(VECTORS / "certs/accept" / file, NOW)
    assert report.algorithms == algorithms
    assert report.header is not None
    assert report.header.startswith('{"alg":"' + algorithms[0] + '"')


@pytest.mark.parametrize("data", good_forms().values(), ids=good_forms())
def test_other_good_forms(data: bytes) -> None:
    report = look(data)
    assert (report.code, report.thumbprint) == ("OK", thumbprint("prod"))


@pytest.mark.parametrize(("name", "data"), private_key_forms().items(), ids=private_key_forms())
def test_private_keys_are_found_in_every_wrapping(name: str, data: bytes) -> None:
    report = look(data)
    assert report.code == "PRIVATE_KEY", name
    assert report.reason is not None
    assert all(words in report.reason for words in EXPOSED)
    assert (report.parsed, report.subject, report.thumbprint) == (None, None, None)


@pytest.mark.parametrize("lock", [NoEncryption(), BestAvailableEncryption(b"secret")], ids=["open", "locked"])
@pytest.mark.parametrize("wrap", [bytes, base64.encodebytes, lambda raw: pem(raw, "PKCS12")], ids=["der", "b64", "pem"])
def test_pkcs12(lock: NoEncryption | BestAvailableEncryption, wrap: object) -> None:
    own = x509.load_der_x509_certificate(certificate("accept/11-ec-p256.cer").der)
    assert callable(wrap)
    report = look(wrap(pkcs12.serialize_key_and_certificates(b"x", ec_key(), own, None, lock)))
    assert report.code == "PKCS12"
    assert report.reason is not None
    assert all(words in report.reason for words in EXPOSED)


@pytest.mark.parametrize(("data", "expected"), other_forms().values(), ids=other_forms())
def test_what_is_no_single_certificate(data: bytes, expected: str) -> None:
    report = look(data)
    assert report.code == expected
    assert report.certificate is None


def test_largest_file_is_read() -> None:
    assert look(GOOD + b"\n" * (64 * 1024 - len(GOOD))).code == "OK"


def test_bundle_names_both() -> None:
    reason = look(GOOD + LEAF).reason
    assert reason is not None
    assert "epic-bridges-prod" in reason
    assert "engine-ca-issued" in reason


def test_der_names_the_command() -> None:
    reason = look(DER).reason
    assert reason is not None
    assert "openssl x509 -inform der -in FILE -out FILE.cer" in reason


# Certificates whose key, dates or usage are wrong.


def test_key_usage_must_allow_signing() -> None:
    usage = dict.fromkeys(
        (
            "content_commitment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    without = x509.KeyUsage(digital_signature=False, key_encipherment=True, **usage)
    assert look(issue(rsa_key("leaf-rsa2048"), without)).code == "KEY_USAGE"
    allowed = x509.KeyUsage(digital_signature=True, key_encipherment=False, **usage)
    assert look(issue(rsa_key("leaf-rsa2048"), allowed)).code == "OK"


def test_certificate_without_extensions_is_good() -> None:
    assert look(issue(ec_key())).code == "OK"


def test_ca_certificate_is_noticed() -> None:
    report = look(issue(ec_key(), x509.BasicConstraints(ca=True, path_length=None)))
    assert report.code == "OK"
    assert any("CA certificate" in notice for notice in report.notices)


def test_small_public_exponent() -> None:
    report = look(issue(rsa_key("weak-e3-rsa2048")))
    assert report.code == "KEY_EXPONENT"
    assert report.reason is not None
    assert "exponent is 3;" in report.reason


def test_rsa_beyond_8192_bits() -> None:
    # Such a key takes minutes to make and is never used: any odd number does for its modulus.
    report = look(pem(swap_spki(LEAF, huge_key(8200))))
    assert report.code == "KEY_SIZE"
    assert report.reason is not None
    assert "8200 bits" in report.reason


@pytest.mark.parametrize("bits", [2047, 2048, 8192, 8193])
def test_limits_of_the_rsa_modulus(bits: int) -> None:
    report = look(pem(swap_spki(LEAF, huge_key(bits))))
    assert report.code == ("OK" if bits in (2048, 8192) else "KEY_SIZE")


def test_explicit_curve_parameters() -> None:
    assert look(pem(swap_spki(LEAF, explicit_curve()))).code == "REENCODE"


def test_compressed_point() -> None:
    point = ec_key().public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    assert look(pem(swap_spki(LEAF, head + point))).code == "REENCODE"


def test_rsa_key_without_its_null() -> None:
    spki = rsa_key("leaf-rsa2048").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    shorter = spki.replace(algorithm, bytes.fromhex("300b06092a864886f70d010101"))
    length = int.from_bytes(spki[2:4], "big") - 2
    report = look(pem(swap_spki(LEAF, shorter[:2] + length.to_bytes(2, "big") + shorter[4:])))
    assert report.code in ("REENCODE", "KEY_TYPE")
    assert len(shorter) == len(spki) - 2


def test_key_restricted_to_pss() -> None:
    assert look(pem(swap_spki(LEAF, pss_only()))).code == "PSS_KEY"


def test_not_yet_valid_and_expired_are_still_parsed() -> None:
    early = look(GOOD, datetime(2020, 1, 1, tzinfo=UTC))
    late = look(GOOD, datetime(2099, 1, 1, tzinfo=UTC))
    assert (early.code, late.code) == ("NOT_YET_VALID", "EXPIRED")
    for report in (early, late):
        assert report.certificate is None
        assert report.parsed == certificate("accept/01-prod-rsa3072.cer")
        assert report.thumbprint == thumbprint("prod")


def test_dates_are_inclusive() -> None:
    report = look(GOOD)
    assert report.not_before is not None
    assert report.not_after is not None
    second = timedelta(seconds=1)
    edges = (report.not_before - second, report.not_before, report.not_after, report.not_after + second)
    assert [look(GOOD, at).code for at in edges] == ["NOT_YET_VALID", "OK", "OK", "EXPIRED"]


@pytest.mark.parametrize(("days", "told"), [(61, False), (60, True), (1, True)])
def test_expiry_is_noticed_sixty_days_ahead(days: int, told: bool) -> None:
    after = look(GOOD).not_after
    assert after is not None
    notices = look(GOOD, after - timedelta(days=days)).notices
    assert any("expires in" in notice for notice in notices) == told


def test_other_algorithm_inside_than_outside() -> None:
    inner = bytes.fromhex("06092a864886f70d01010b")  # sha256WithRSAEncryption
    at = DER.rindex(inner)
    damaged = DER[:at] + inner[:-1] + b"\x0c" + DER[at + len(inner) :]
    assert look(pem(damaged)).code == "DAMAGED"


def test_subject_cannot_write_to_the_terminal() -> None:
    report = look(issue(ec_key(), subject="a\x1b[2J\nb"))
    assert report.subject is not None
    assert report.subject.isprintable()


# Files.


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent.cer", tmp_path / "pipe", Path("/dev/zero"), Path("a\x00b")):
        report = read_upload(path, NOW)
        assert (report.verdict, report.code) == ("refuse", "UNREADABLE")


def test_why_a_file_cannot_be_read_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def why(path: Path) -> str | None:
        return read_upload(path, NOW).reason

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    assert why(tmp_path / "absent.cer") == "The file cannot be read: there is no such file."
    assert why(tmp_path) == "The file cannot be read: it is a folder or a device, not a file."
    file = tmp_path / "shut.cer"
    file.write_bytes(b"x")
    monkeypatch.setattr(Path, "open", forbidden)
    assert why(file) == "The file cannot be read: this account may not open it."


def test_size_is_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "large.cer"
    file.write_bytes(b"x" * (64 * 1024 + 1))

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("opened although too large")

    monkeypatch.setattr(Path, "open", opened)
    assert read_upload(file, NOW).code == "TOO_LARGE"


# Any bytes.


def test_mutations_are_never_another_certificate() -> None:
    """Of self-signed uploads: for a certificate whose issuer is unknown, nobody can tell a damaged name from a good one."""
    chance = random.Random(7)
    seen = set()
    for data in (GOOD, SMALL):
        for _ in range(500):
            changed = bytearray(data)
            changed[chance.randrange(len(data))] = chance.randrange(256)
            report = look(bytes(changed))
            seen.add(report.code)
            if report.verdict == "accept":
                assert report.thumbprint == look(data).thumbprint
    assert {"OK", "SELF_SIGNATURE", "NOT_BASE64", "TRUNCATED"} <= seen


@pytest.mark.parametrize("name", [b"epic-bridges-prod", b"engine-ec"])
def test_a_damaged_name_does_not_make_an_issuer(name: bytes) -> None:
    for upload in ("01-prod-rsa3072.cer", "11-ec-p256.cer"):
        own = certificate(f"accept/{upload}").der
        for at in (own.find(name), own.rfind(name)):
            if at >= 0:
                assert look(pem(own[:at] + b"E" + own[at + 1 :])).code == "SELF_SIGNATURE"


@pytest.mark.parametrize("named", [True, False])
def test_an_issuer_of_much_the_same_name_is_an_issuer(named: bool) -> None:
    key, name = ec_key(), NameOID.COMMON_NAME
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(name, "lamna-2")]))
        .issuer_name(x509.Name([x509.NameAttribute(name, "lamna-1")]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=90))
    )
    issuer = x509.AuthorityKeyIdentifier(b"another key", None, None)
    if named:
        builder = builder.add_extension(issuer, critical=False)
    issued = builder.sign(rsa_key(), hashes.SHA256())
    assert look(issued.public_bytes(Encoding.PEM)).code == "OK"


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.builds(pem, st.binary(max_size=200)),
        st.builds(
            lambda at, junk: pem(DER[:at] + junk + DER[at + len(junk) :]), st.integers(0, 1100), st.binary(max_size=8)
        ),
        st.builds(lambda at, junk: GOOD[:at] + junk + GOOD[at:], st.integers(0, len(GOOD)), st.binary(max_size=30)),
    )
)
def test_no_bytes_raise(data: bytes) -> None:
    report = look(data)
    assert report.verdict in ("accept", "refuse")
    assert (report.certificate is None) == (report.verdict == "refuse")


def test_every_refusal_has_its_own_sentence() -> None:
    assert len(set(REASONS.values())) == len(REASONS)
    for code, reason in REASONS.items():
        assert code == code.upper()
        assert reason.endswith(".") or "openssl " in reason
