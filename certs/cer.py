"""Read an uploaded `.cer`, or say in plain words why it is refused (signing.md section 5).

The upload is the trust: whoever may put this file here decides whose signature counts. So nothing is fetched and no
chain, CRL or OCSP is looked at; instead the file must be exactly one certificate, in Base64, spelled canonically, with a
key that a profile-1 algorithm can use. `load_pem_x509_certificate` alone is not enough: it reads the first certificate
of a bundle, skips a private key beside it, and judges neither dates nor keys.

Work is bounded: at most 64 KiB are read, every pattern below is linear, and at most two certificates are parsed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import stat
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, PublicKeyAlgorithmOID, SignatureAlgorithmOID

from certs.der import certificate_parts, elements, outline
from certs.reasons import REASONS

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 64 * 1024
EXPIRY_NOTICE = timedelta(days=60)
RSA_BITS = range(2048, 8192 + 1)
RSA_MIN_EXPONENT = 65537
RSA_ADVISED_BITS = 3072

_MARKER = re.compile(r"-----(BEGIN|END) ([A-Z0-9 #]{1,40})-----")
_PRIVATE = re.compile(
    r"-[ \t]?(?:BEGIN|END)[^-\n]{0,40}PRIVATE\s{1,4}KEY"  # PEM of every kind, OpenSSH, SSH2, PGP
    r"|PuTTY-User-Key-File-"
    r"|<RSAKeyValue>.{0,4096}<D>",  # .NET
    re.IGNORECASE | re.DOTALL,
)
_JWK_PRIVATE = re.compile(r'"d"\s{0,8}:\s{0,8}"')
_BASE64_LINES = re.compile(
    r"^(?:[A-Za-z0-9+/]{16,}={0,2}[ \t]*\r?(?:\n|\Z))+(?:[A-Za-z0-9+/]{1,15}={0,2}[ \t]*$)?", re.M
)
_BASE64_PIECE = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_SPACE = str.maketrans("", "", " \t\r\n")
_LABELS = {
    "CERTIFICATE": "CERTIFICATE",
    "X509 CERTIFICATE": "CERTIFICATE",
    "TRUSTED CERTIFICATE": "TRUSTED",
    "PKCS7": "PKCS7",
    "PKCS #7 SIGNED DATA": "PKCS7",
    "CMS": "PKCS7",
    "PKCS12": "PKCS12",
    "CERTIFICATE REQUEST": "CSR",
    "NEW CERTIFICATE REQUEST": "CSR",
    "X509 CRL": "CRL",
    "PUBLIC KEY": "BARE_KEY",
    "RSA PUBLIC KEY": "BARE_KEY",
}
_WEAK_SIGNATURES = {
    "1.2.840.113549.1.1.2": "MD2",
    SignatureAlgorithmOID.RSA_WITH_MD5.dotted_string: "MD5",
    SignatureAlgorithmOID.RSA_WITH_SHA1.dotted_string: "SHA-1",
    "1.3.14.3.2.29": "SHA-1",  # the older name of sha1WithRSA
    SignatureAlgorithmOID.DSA_WITH_SHA1.dotted_string: "SHA-1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1.dotted_string: "SHA-1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The verdict on one upload, and what an administrator wants to see of it.

    Everything about the certificate is empty where no single certificate could be read.

    Attributes:
        reason: one or two plain sentences; None when accepted.
        code: stable; a key of `certs.reasons.REASONS`, or `OK`.
        notices: sentences worth reading about an accepted certificate.
        subject: RFC 4514 text, unprintable characters replaced, at most 200 characters.
        not_before: first valid second, UTC.
        not_after: last valid second, UTC.
        thumbprint: x5t#S256: unpadded base64url of SHA-256 over the DER.
        algorithms: what profile 1 allows this key; only when accepted.
        header: the JWS header to paste, for the first of `algorithms`; only when accepted.
        certificate: set only when accepted.
        parsed: also set when the dates alone spoke against it, so that a registered certificate that has expired
            since can still be named in an answer (SIG06).
    """

    verdict: Literal["accept", "refuse"]
    code: str
    reason: str | None = None
    notices: tuple[str, ...] = ()
    subject: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    thumbprint: str | None = None
    algorithms: tuple[str, ...] = ()
    header: str | None = None
    certificate: x509.Certificate | None = None
    parsed: x509.Certificate | None = None


class _UploadError(Exception):
    """Carries a code of `REASONS` and the facts its sentence needs; never leaves this module."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.reason = REASONS[code].format(**facts)


def read_upload(path: Path, at: datetime) -> Report:
    """`inspect` for a file, whose size is checked before anything is read; an unreadable file is a refusal too."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a FIFO or a device would block or never end
            return _refusal(_UploadError("UNREADABLE"))
        if status.st_size > MAX_BYTES:
            return _refusal(_UploadError("TOO_LARGE"))
        with path.open("rb") as file:
            return inspect(file.read(MAX_BYTES + 1), at)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return _refusal(_UploadError("UNREADABLE"))


def inspect(data: bytes, at: datetime) -> Report:
    """Judge the bytes of an upload as of `at` (aware). Raises for no bytes whatever."""
    try:
        der = _single_certificate(data)
    except _UploadError as refused:
        return _refusal(refused)
    facts = Report(verdict="refuse", code="DAMAGED", reason=REASONS["DAMAGED"])
    try:
        # Odd but harmless encodings (a serial number of 0) make the library warn; the rules here decide, not those.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            facts = _facts(certificate, der)
            algorithms, notices = _judge(certificate, der)
    except _UploadError as refused:
        return replace(facts, code=refused.code, reason=refused.reason)
    except Exception:  # the library raises many kinds for a damaged certificate; each means the same to the reader
        return facts
    try:
        _check_dates(facts, at)
    except _UploadError as refused:
        return replace(facts, code=refused.code, reason=refused.reason, parsed=certificate)
    return replace(
        facts,
        verdict="accept",
        code="OK",
        reason=None,
        notices=notices + _expiry_notice(facts, at),
        algorithms=algorithms,
        header=_header(algorithms[0], facts.thumbprint),
        certificate=certificate,
        parsed=certificate,
    )


def _refusal(refused: _UploadError) -> Report:
    return Report(verdict="refuse", code=refused.code, reason=refused.reason)


# From the file to one DER certificate.


def _single_certificate(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise _UploadError("TOO_LARGE")
    if _holds_private_key(data):
        raise _UploadError("PRIVATE_KEY")
    if _is_binary_der(data):
        kind = outline(data)
        raise _UploadError({"CERTIFICATE": "DER", "UNKNOWN": "NOT_TEXT"}.get(kind, kind))
    text = _text(data)
    if not text.strip():
        raise _UploadError("EMPTY")
    blocks, outside = _pem_blocks(text)
    if not blocks and "-----BEGIN " not in text and "-----END " not in text:
        return _bare(text)
    _refuse_unlabelled_keys(outside)
    return _only(blocks, text)


def _holds_private_key(data: bytes) -> bool:
    """Textual private keys of any wrapping, in any encoding that ASCII shines through (UTF-16 of either order)."""
    text = data.replace(b"\x00", b"").decode("latin-1")
    return bool(_PRIVATE.search(text)) or ('"kty"' in text and bool(_JWK_PRIVATE.search(text)))


def _is_binary_der(data: bytes) -> bool:
    # Text may begin with the character "0" as well, but it has no byte above 0x7F next and no NUL.
    return outline(data) == "PRIVATE_KEY" or (data[:1] == b"\x30" and (data[1:2] >= b"\x80" or b"\x00" in data))


def _text(data: bytes) -> str:
    """ISO 8859-1 stands in for every ASCII superset: what matters is ASCII, and the words around it are skipped."""
    if data.startswith(b"\xff\xfe"):
        try:
            return data[2:].decode("utf-16-le")
        except UnicodeDecodeError:
            raise _UploadError("NOT_TEXT") from None
    if b"\x00" in data:
        raise _UploadError("NOT_TEXT")
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _pem_blocks(text: str) -> tuple[list[tuple[str, str]], str]:
    """Every (label, body) between matching markers, and the text outside of them."""
    blocks, outside, opened, label, end = [], [], None, "", 0
    for marker in _MARKER.finditer(text):
        if marker[1] == "BEGIN":
            if opened is not None:
                raise _UploadError("TRUNCATED")
            outside.append(text[end : marker.start()])
            opened, label = marker.end(), marker[2]
        else:
            if opened is None or marker[2] != label:
                raise _UploadError("TRUNCATED")
            blocks.append((label, text[opened : marker.start()]))
            opened, end = None, marker.end()
    if opened is not None or ("-----BEGIN " in text and not blocks):
        raise _UploadError("TRUNCATED")
    outside.append(text[end:])
    return blocks, "\n".join(outside)


def _only(blocks: list[tuple[str, str]], text: str) -> bytes:
    certificates = []
    kinds = []
    for label, body in blocks:
        kind = _LABELS.get(label, "OTHER_PEM")
        der = _decoded(body.translate(_SPACE))
        if der is not None:
            kind = _key_within(der) or (outline(der) if kind == "CERTIFICATE" else kind)  # the label may lie
        kinds.append("NOT_BASE64" if kind == "CERTIFICATE" and der is None else kind)
        certificates.append(der or b"")
    for wanted in ("PRIVATE_KEY", "PKCS12", *dict.fromkeys(kinds)):
        if wanted in kinds and wanted != "CERTIFICATE":
            raise _UploadError("NOT_A_CERTIFICATE" if wanted == "UNKNOWN" else wanted)
    if len(certificates) > 1:
        raise _UploadError("BUNDLE", subjects=" and ".join(_subject_of(der) for der in certificates[:2]))
    if not certificates:
        raise _UploadError("TRUNCATED")
    if text[text.rindex("-----END ") :].partition("-----END ")[2].partition("-----")[2].strip():
        raise _UploadError("TRAILING")
    return _whole(certificates[0])


def _bare(text: str) -> bytes:
    _refuse_unlabelled_keys(text)
    der = _decoded(text.translate(_SPACE))
    if der is None:
        ssh = text.lstrip().startswith(("ssh-", "ecdsa-sha2-"))
        raise _UploadError("BARE_KEY" if ssh else "NOT_BASE64")
    if key := _key_within(der):
        raise _UploadError(key)
    kind = outline(der)
    if kind != "CERTIFICATE":
        raise _UploadError("NOT_A_CERTIFICATE" if kind == "UNKNOWN" else kind)
    return _whole(der)


def _refuse_unlabelled_keys(text: str) -> None:
    """A key may stand beside the certificate as Base64 alone, or run into it."""
    for run in _BASE64_LINES.finditer(text):
        for piece in _BASE64_PIECE.findall(run[0].translate(_SPACE)):
            der = _decoded(piece)
            if der is not None and (key := _key_within(der)):
                raise _UploadError(key)


def _key_within(der: bytes) -> str | None:
    """The refusal for a private key among the first few elements of what Base64 hid, or None."""
    if _holds_private_key(der):  # Base64 of a PEM file
        return "PRIVATE_KEY"
    kinds = (outline(der), *(outline(element.raw) for element in islice(elements(der), 8)))
    return next((kind for kind in kinds if kind in ("PRIVATE_KEY", "PKCS12")), None)


def _decoded(compact: str) -> bytes | None:
    """Base64 of RFC 4648 section 4 in its one canonical spelling, or None."""
    try:
        raw = base64.b64decode(compact.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return raw if base64.b64encode(raw) == compact.encode("ascii") else None


def _whole(der: bytes) -> bytes:
    outer = next(elements(der), None)
    if outer is None or outer.declared is None:
        raise _UploadError("DAMAGED")
    if outer.declared != len(der):
        raise _UploadError("TRUNCATED" if outer.declared > len(der) else "TRAILING")
    return der


# From the certificate to the verdict.


def _facts(certificate: x509.Certificate, der: bytes) -> Report:
    digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode("ascii")
    return Report(
        verdict="refuse",
        code="DAMAGED",
        reason=REASONS["DAMAGED"],
        subject=_printable(certificate.subject),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        thumbprint=digest,
    )


def _judge(certificate: x509.Certificate, der: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the key may sign with and what to notice; everything but the dates."""
    parts = certificate_parts(der)
    if parts is None or parts[0] != parts[1]:  # RFC 5280 4.1.1.2: both algorithm fields MUST be the same
        raise _UploadError("DAMAGED")
    algorithms, notices = _check_key(certificate, parts[2])
    _check_signature_algorithm(certificate)
    for extension in certificate.extensions:
        if extension.oid == ExtensionOID.KEY_USAGE and not extension.value.digital_signature:
            raise _UploadError("KEY_USAGE")
        if extension.oid == ExtensionOID.BASIC_CONSTRAINTS and extension.value.ca:
            notices += ("This is a CA certificate; a certificate made only for signing messages is better.",)
    if certificate.issuer == certificate.subject:
        _check_self_signature(certificate)
    return algorithms, notices


def _check_key(certificate: x509.Certificate, spki: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kind = certificate.public_key_algorithm_oid
    if kind == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise _UploadError("PSS_KEY")
    try:
        key = certificate.public_key()
    except Exception:  # explicit curve parameters, an unknown curve or algorithm: all unusable
        explicit = kind == PublicKeyAlgorithmOID.EC_PUBLIC_KEY and _has_explicit_parameters(spki)
        raise _UploadError("REENCODE" if explicit else "KEY_TYPE") from None
    notices: tuple[str, ...] = ()
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        if key.key_size not in RSA_BITS:
            raise _UploadError("KEY_SIZE", bits=key.key_size)
        if exponent < RSA_MIN_EXPONENT:
            raise _UploadError("KEY_EXPONENT", exponent=exponent)
        if key.key_size < RSA_ADVISED_BITS:
            notices = (f"The RSA key has {key.key_size} bits; {RSA_ADVISED_BITS} are better.",)
        algorithms: tuple[str, ...] = ("RS256", "PS256")
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        algorithms = ("ES256",)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithms = ("EdDSA",)
    else:
        raise _UploadError("KEY_TYPE")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise _UploadError("REENCODE")
    return algorithms, notices


def _has_explicit_parameters(spki: bytes) -> bool:
    """Whether the second field of the key's AlgorithmIdentifier is a SEQUENCE instead of a curve's name (RFC 5480)."""
    algorithm = next(elements(next(elements(spki)).content))
    return [element.tag for element in elements(algorithm.content)][1:2] == [0x30]


def _check_signature_algorithm(certificate: x509.Certificate) -> None:
    oid = certificate.signature_algorithm_oid
    if weak := _WEAK_SIGNATURES.get(oid.dotted_string):
        raise _UploadError("WEAK_HASH", name=weak)
    try:
        used = certificate.signature_hash_algorithm  # None: Ed25519, which hashes by itself
    except Exception:
        raise _UploadError("SIGNATURE_ALGORITHM") from None
    if isinstance(used, hashes.MD5 | hashes.SHA1):  # RSASSA-PSS names its hash in parameters
        raise _UploadError("WEAK_HASH", name=used.name.upper())


def _check_self_signature(certificate: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(certificate)
    except Exception:  # InvalidSignature, or a signature that the certificate's own key could not have made
        raise _UploadError("SELF_SIGNATURE") from None


def _check_dates(facts: Report, at: datetime) -> None:
    assert facts.not_before is not None
    assert facts.not_after is not None
    if at > facts.not_after:
        raise _UploadError("EXPIRED", day=facts.not_after.date().isoformat())
    if at < facts.not_before:
        raise _UploadError("NOT_YET_VALID", day=facts.not_before.date().isoformat())


def _expiry_notice(facts: Report, at: datetime) -> tuple[str, ...]:
    assert facts.not_after is not None
    left = facts.not_after - at.astimezone(UTC)
    if left > EXPIRY_NOTICE:
        return ()
    return (f"The certificate expires in {left.days} days, on {facts.not_after.date().isoformat()}.",)


def _header(algorithm: str, thumbprint: str | None) -> str:
    return json.dumps({"alg": algorithm, "typ": "hl7v2-sig", "x5t#S256": thumbprint}, separators=(",", ":"))


def _subject_of(der: bytes) -> str:
    try:
        return _printable(x509.load_der_x509_certificate(der).subject)
    except Exception:
        return "an unreadable one"


def _printable(name: x509.Name) -> str:
    """The name as text that may stand in a terminal or a log: its bytes are an uploader's choice."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name.rfc4514_string())
    return text if len(text) <= 200 else text[:199] + "…"
