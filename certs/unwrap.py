"""Get the DER of the one certificate from the bytes of an upload, or the reason for a refusal (signing.md section 5); pure.

Administrators export what their tool offers. So the form is recognised before anything is parsed: text or binary, PEM or bare
Base64, and for each block its kind by label and outline. A private key is searched for first and everywhere, because an
administrator who uploaded one must read about the key, not about the form.

Every pattern is linear in at most 64 KiB; at most two certificates are parsed, for their names.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import islice

from cryptography import x509

from certs.der import elements, outline
from certs.reasons import UploadError

MAX_BYTES = 64 * 1024

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


def single_certificate(data: bytes) -> bytes:
    """The DER, exactly one whole element. UploadError: anything else."""
    if len(data) > MAX_BYTES:
        raise UploadError("TOO_LARGE")
    if _holds_private_key(data):
        raise UploadError("PRIVATE_KEY")
    if _is_binary_der(data):
        kind = outline(data)
        raise UploadError({"CERTIFICATE": "DER", "UNKNOWN": "NOT_TEXT"}.get(kind, kind))
    text = _text(data)
    if not text.strip():
        raise UploadError("EMPTY")
    blocks, outside = _pem_blocks(text)
    if not blocks and "-----BEGIN " not in text and "-----END " not in text:
        return _bare(text)
    _refuse_unlabelled_keys(outside)
    return _only(blocks, text)


def _holds_private_key(data: bytes) -> bool:
    """Textual private keys of any wrapping, in any encoding that leaves ASCII readable, and UTF-16 of either order."""
    text = data.replace(b"\x00", b"").decode("latin-1")
    return bool(_PRIVATE.search(text)) or ('"kty"' in text and bool(_JWK_PRIVATE.search(text)))


def _is_binary_der(data: bytes) -> bool:
    # Text may begin with the character "0" as well, but it has no byte above 0x7F next and no NUL.
    return outline(data) == "PRIVATE_KEY" or (data[:1] == b"\x30" and (data[1:2] >= b"\x80" or b"\x00" in data))


def _text(data: bytes) -> str:
    """The text. ISO 8859-1 is used for every ASCII superset, because only ASCII matters and other text is skipped."""
    if data.startswith(b"\xff\xfe"):
        try:
            return data[2:].decode("utf-16-le")
        except UnicodeDecodeError:
            raise UploadError("NOT_TEXT") from None
    if b"\x00" in data:
        raise UploadError("NOT_TEXT")
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _pem_blocks(text: str) -> tuple[list[tuple[str, str]], str]:
    """Every (label, body) between matching markers, and the text outside of them."""
    blocks, outside, opened, label, end = [], [], None, "", 0
    for marker in _MARKER.finditer(text):
        if marker[1] == "BEGIN":
            if opened is not None:
                raise UploadError("TRUNCATED")
            outside.append(text[end : marker.start()])
            opened, label = marker.end(), marker[2]
        else:
            if opened is None or marker[2] != label:
                raise UploadError("TRUNCATED")
            blocks.append((label, text[opened : marker.start()]))
            opened, end = None, marker.end()
    if opened is not None or ("-----BEGIN " in text and not blocks):
        raise UploadError("TRUNCATED")
    outside.append(text[end:])
    return blocks, "\n".join(outside)


def _only(blocks: list[tuple[str, str]], text: str) -> bytes:
    certificates = []
    kinds = []
    for label, body in blocks:
        kind = _LABELS.get(label, "OTHER_PEM")
        der = _decoded(body.translate(_SPACE))
        if der is not None:
            kind = _key_within(der) or (outline(der) if kind == "CERTIFICATE" else kind)  # the label may be wrong
        kinds.append("NOT_BASE64" if kind == "CERTIFICATE" and der is None else kind)
        certificates.append(der or b"")
    for wanted in ("PRIVATE_KEY", "PKCS12", *dict.fromkeys(kinds)):
        if wanted in kinds and wanted != "CERTIFICATE":
            raise UploadError("NOT_A_CERTIFICATE" if wanted == "UNKNOWN" else wanted)
    if len(certificates) > 1:
        raise UploadError("BUNDLE", subjects=" and ".join(_subject_of(der) for der in certificates[:2]))
    if not certificates:
        raise UploadError("TRUNCATED")
    if text[text.rindex("-----END ") :].partition("-----END ")[2].partition("-----")[2].strip():
        raise UploadError("TRAILING")
    return _whole(certificates[0])


def _bare(text: str) -> bytes:
    _refuse_unlabelled_keys(text)
    der = _decoded(text.translate(_SPACE))
    if der is None:
        ssh = text.lstrip().startswith(("ssh-", "ecdsa-sha2-"))
        raise UploadError("BARE_KEY" if ssh else "NOT_BASE64")
    if key := _key_within(der):
        raise UploadError(key)
    kind = outline(der)
    if kind != "CERTIFICATE":
        raise UploadError("NOT_A_CERTIFICATE" if kind == "UNKNOWN" else kind)
    return _whole(der)


def _refuse_unlabelled_keys(text: str) -> None:
    """Refuse a private key that is beside the certificate as bare Base64, or directly joined to it."""
    for run in _BASE64_LINES.finditer(text):
        for piece in _BASE64_PIECE.findall(run[0].translate(_SPACE)):
            der = _decoded(piece)
            if der is not None and (key := _key_within(der)):
                raise UploadError(key)


def _key_within(der: bytes) -> str | None:
    """The refusal for a private key among the first elements of the decoded Base64, or None."""
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
        raise UploadError("DAMAGED")
    if outer.declared != len(der):
        raise UploadError("TRUNCATED" if outer.declared > len(der) else "TRAILING")
    return der


def _subject_of(der: bytes) -> str:
    try:
        return printable(x509.load_der_x509_certificate(der).subject)
    except Exception:
        return "an unreadable one"


def printable(name: x509.Name) -> str:
    """The name as text that is safe in a terminal or a log, because the uploader chose its bytes."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name.rfc4514_string())
    return text if len(text) <= 200 else text[:199] + "…"
