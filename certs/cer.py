"""Read an uploaded `.cer`, or say in plain words why it is refused (signing.md section 5).

Carebell trusts a certificate because an administrator uploaded it. So nothing is fetched, and no chain, CRL or OCSP is
checked. The file must be exactly one certificate, in canonical Base64, with a key that a profile-1 algorithm can use.
`load_pem_x509_certificate` is not enough: it reads the first certificate of a bundle, ignores a private key beside it, and
checks neither dates nor keys.

The work is limited: at most 64 KiB are read, and one certificate is checked. `certs.unwrap` takes it out of the file.
"""

from __future__ import annotations

import stat
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, PublicKeyAlgorithmOID, SignatureAlgorithmOID

from certs.certificate import SigningCertificate, thumbprint_of
from certs.der import certificate_parts, elements
from certs.reasons import REASONS, UploadError
from certs.selfsigned import is_damaged
from certs.unwrap import MAX_BYTES, printable, single_certificate

if TYPE_CHECKING:
    from pathlib import Path

EXPIRY_NOTICE = timedelta(days=60)
RSA_BITS = range(2048, 8192 + 1)
RSA_MIN_EXPONENT = 65537
RSA_ADVISED_BITS = 3072
_CURVES = {"secp384r1": "P-384", "secp521r1": "P-521"}

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
    """The verdict on one upload, and the facts that an administrator needs.

    All facts about the certificate are empty if no single certificate could be read.

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
        certificate: for a keyring; set only when accepted.
        parsed: also set if only the dates are wrong, so that an answer (SIG06) can name a registered certificate that has expired.
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
    certificate: SigningCertificate | None = None
    parsed: SigningCertificate | None = None


def read_upload(path: Path, at: datetime) -> Report:
    """`inspect` for a file. Its size is checked before it is read. An unreadable file is refused too."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a FIFO or a device would block or never end
            return _refusal(UploadError("UNREADABLE", why="it is a folder or a device, not a file"))
        if status.st_size > MAX_BYTES:
            return _refusal(UploadError("TOO_LARGE"))
        with path.open("rb") as file:
            return inspect(file.read(MAX_BYTES + 1), at)
    except FileNotFoundError:
        return _refusal(UploadError("UNREADABLE", why="there is no such file"))
    except PermissionError:
        return _refusal(UploadError("UNREADABLE", why="this account may not open it"))
    except OSError as error:
        return _refusal(UploadError("UNREADABLE", why=error.strerror or "the file system does not say why"))
    except ValueError:  # a NUL in the path
        return _refusal(UploadError("UNREADABLE", why="no file can have this name"))


def inspect(data: bytes, at: datetime) -> Report:
    """The verdict on the bytes of an upload at the time `at` (aware). Never raises."""
    try:
        der = single_certificate(data)
    except UploadError as refused:
        return _refusal(refused)
    facts = Report(verdict="refuse", code="DAMAGED", reason=REASONS["DAMAGED"])
    try:
        # The library warns of odd but harmless encodings (a serial number of 0); only the rules here decide.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            facts = _facts(certificate, der)
            notices = _judge(certificate, der)
            signer = SigningCertificate.of(certificate)
    except UploadError as refused:
        return replace(facts, code=refused.code, reason=refused.reason)
    except Exception:  # the library raises many kinds of errors for a damaged certificate; all mean the same
        return facts
    try:
        _check_dates(facts, at)
    except UploadError as refused:
        return replace(facts, code=refused.code, reason=refused.reason, parsed=signer)
    return replace(
        facts,
        verdict="accept",
        code="OK",
        reason=None,
        notices=notices + _expiry_notice(facts, at),
        algorithms=signer.algorithms,
        header=signer.header,
        certificate=signer,
        parsed=signer,
    )


def _refusal(refused: UploadError) -> Report:
    return Report(verdict="refuse", code=refused.code, reason=refused.reason)


def _facts(certificate: x509.Certificate, der: bytes) -> Report:
    return Report(
        verdict="refuse",
        code="DAMAGED",
        reason=REASONS["DAMAGED"],
        subject=printable(certificate.subject),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        thumbprint=thumbprint_of(der),
    )


def _judge(certificate: x509.Certificate, der: bytes) -> tuple[str, ...]:
    """Check everything but the dates. Returns the notices."""
    parts = certificate_parts(der)
    if parts is None or parts[0] != parts[1]:  # RFC 5280 4.1.1.2: both algorithm fields MUST be the same
        raise UploadError("DAMAGED")
    notices = _check_key(certificate, parts[2])
    _check_signature_algorithm(certificate)
    for extension in certificate.extensions:
        if extension.oid == ExtensionOID.KEY_USAGE and not extension.value.digital_signature:
            raise UploadError("KEY_USAGE")
        if extension.oid == ExtensionOID.BASIC_CONSTRAINTS and extension.value.ca:
            notices += ("This is a CA certificate; a certificate made only for signing messages is better.",)
    if is_damaged(certificate):
        raise UploadError("SELF_SIGNATURE")
    return notices


def _check_key(certificate: x509.Certificate, spki: bytes) -> tuple[str, ...]:
    kind = certificate.public_key_algorithm_oid
    if kind == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise UploadError("PSS_KEY")
    try:
        key = certificate.public_key()
    except Exception:  # explicit curve parameters, an unknown curve or algorithm: all unusable
        explicit = kind == PublicKeyAlgorithmOID.EC_PUBLIC_KEY and _has_explicit_parameters(spki)
        raise UploadError("REENCODE" if explicit else "KEY_TYPE", kind="of an unknown kind") from None
    notices: tuple[str, ...] = ()
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        if key.key_size not in RSA_BITS:
            raise UploadError("KEY_SIZE", bits=key.key_size)
        if exponent < RSA_MIN_EXPONENT:
            raise UploadError("KEY_EXPONENT", exponent=exponent)
        if key.key_size < RSA_ADVISED_BITS:
            notices = (f"The RSA key has {key.key_size} bits; {RSA_ADVISED_BITS} are better.",)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise UploadError("KEY_TYPE", kind=f"EC on {_CURVES.get(key.curve.name, key.curve.name)}")
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        raise UploadError("KEY_TYPE", kind=_kind_of(key))
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise UploadError("REENCODE")
    return notices


def _kind_of(key: object) -> str:
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA"
    return "Ed448" if isinstance(key, ed448.Ed448PublicKey) else "not for signing"


def _has_explicit_parameters(spki: bytes) -> bool:
    """Whether the second field of the key's AlgorithmIdentifier is a SEQUENCE instead of a curve's name (RFC 5480)."""
    algorithm = next(elements(next(elements(spki)).content))
    return [element.tag for element in elements(algorithm.content)][1:2] == [0x30]


def _check_signature_algorithm(certificate: x509.Certificate) -> None:
    oid = certificate.signature_algorithm_oid
    if weak := _WEAK_SIGNATURES.get(oid.dotted_string):
        raise UploadError("WEAK_HASH", name=weak)
    try:
        used = certificate.signature_hash_algorithm  # None: Ed25519, which hashes by itself
    except Exception:
        raise UploadError("SIGNATURE_ALGORITHM") from None
    if isinstance(used, hashes.MD5 | hashes.SHA1):  # RSASSA-PSS names its hash in parameters
        raise UploadError("WEAK_HASH", name=used.name.upper())


def _check_dates(facts: Report, at: datetime) -> None:
    assert facts.not_before is not None
    assert facts.not_after is not None
    if at > facts.not_after:
        raise UploadError("EXPIRED", day=facts.not_after.date().isoformat())
    if at < facts.not_before:
        raise UploadError("NOT_YET_VALID", day=facts.not_before.date().isoformat())


def _expiry_notice(facts: Report, at: datetime) -> tuple[str, ...]:
    assert facts.not_after is not None
    left = facts.not_after - at.astimezone(UTC)
    if left > EXPIRY_NOTICE:
        return ()
    return (f"The certificate expires in {left.days} days, on {facts.not_after.date().isoformat()}.",)
