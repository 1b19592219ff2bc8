"""Splitting the signature off the bytes (profile 1, sections 1 to 3); pure.

The signed bytes P are everything from `MSH` through the CR before `ZSG`, after one normalisation: if the message holds no
CR, every LF is a CR; otherwise every CRLF is a CR and any other LF is data. A lone LF must stay data, or a patient's free
text could become a segment inside a validly signed message. Nothing is decoded, re-encoded or trimmed.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

_TAG: Final = b"ZSG"
_START: Final = b"ZSG|"
_LONGEST_JWS: Final = 4096
_BASE64URL: Final = re.compile(rb"[A-Za-z0-9_-]*")
_DIAGNOSIS: Final = re.compile(rb"([0-9]{1,9})\^([0-9a-f]{64})")
_REQUIRED: Final = {"alg", "typ", "x5t#S256"}
_ALLOWED: Final = _REQUIRED | {"kid"}
_TYPE: Final = "hl7v2-sig"
_SHA256_BYTES: Final = 32


class EnvelopeError(ValueError):
    """The signature segment cannot be used. `code`: SIG01, SIG02 or SIG03; the text holds nothing of the message."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The protected header: its algorithm (any string so far) and the certificate it names, base64url of SHA-256."""

    alg: str
    thumbprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """ZSG-3: what the sender says it signed. Not authenticated: for a helpful message only."""

    length: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed message taken apart.

    Attributes:
        payload: P.
        leading: bytes before `MSH` (a byte-order mark, say); they are not signed and make the message unacceptable.
        header_text: the header as it was signed, base64url.
        signature: raw bytes; empty is possible.
    """

    payload: bytes = field(repr=False)
    leading: bytes = field(repr=False)
    header_text: bytes
    header: Header
    signature: bytes = field(repr=False)
    diagnosis: Diagnosis | None = None

    @property
    def signing_input(self) -> bytes:
        """What the signature covers: RFC 7515's `ASCII(BASE64URL(header) "." BASE64URL(P))`."""
        return self.header_text + b"." + encode(self.payload)


def canonical(content: bytes) -> bytes:
    """The frame's content with one kind of segment end, CR, and none at the very end."""
    body = content.rstrip(b"\r\n")
    if b"\n" not in body:
        return body
    if b"\r" not in body:
        return body.replace(b"\n", b"\r")
    return body.replace(b"\r\n", b"\r")


def has_signature(body: bytes) -> bool:
    """Whether a canonical body holds a signature segment anywhere."""
    return body.startswith(_START) or b"\rZSG|" in body or body == _TAG or body.endswith(b"\rZSG") or b"\rZSG\r" in body


def split(body: bytes) -> Envelope:
    """Take a canonical body apart. EnvelopeError as in the table of signing.md."""
    if not has_signature(body):
        raise EnvelopeError("SIG01", "no signature: the last segment is not ZSG")
    cut = body.rfind(b"\r") + 1
    last = body[cut:]
    if not last.startswith(_START) or has_signature(body[: max(cut - 1, 0)]):
        raise EnvelopeError("SIG02", "ZSG stands twice or is not the last segment")
    fields = last.split(b"|")
    if len(fields) not in (3, 4):
        raise EnvelopeError("SIG02", "ZSG has two fields, or three with the diagnosis")
    if fields[1] != b"1":
        raise EnvelopeError("SIG02", "ZSG-1 is not 1")
    diagnosis = _diagnosis(fields[3]) if len(fields) == 4 else None
    header_text, signature = _detached(fields[2])
    begins = max(body.find(b"MSH", 0, cut), 0)
    return Envelope(
        payload=body[begins:cut],
        leading=body[:begins],
        header_text=header_text,
        header=read_header(header_text),
        signature=signature,
        diagnosis=diagnosis,
    )


def encode(raw: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def decode(text: bytes) -> bytes:
    """The strict inverse of `encode`. ValueError for padding, white space, other alphabets, or non-zero spare bits."""
    if _BASE64URL.fullmatch(text) is None or len(text) % 4 == 1:
        raise ValueError("not base64url without padding")
    raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("base64url with non-zero spare bits")
    return raw


def _detached(jws: bytes) -> tuple[bytes, bytes]:
    """`BASE64URL(header)..BASE64URL(signature)` as (header text, signature)."""
    if len(jws) > _LONGEST_JWS:
        raise EnvelopeError("SIG02", f"ZSG-2 is longer than {_LONGEST_JWS} bytes")
    parts = jws.split(b".")
    if len(parts) != 3 or parts[1] or not parts[0]:
        raise EnvelopeError("SIG02", "ZSG-2 is not a detached compact JWS (header..signature)")
    try:
        decode(parts[0])
        return parts[0], decode(parts[2])
    except ValueError:
        raise EnvelopeError("SIG02", "ZSG-2 is not base64url without padding") from None


def _diagnosis(written: bytes) -> Diagnosis | None:
    if not written:
        return None
    match = _DIAGNOSIS.fullmatch(written)
    if match is None:
        raise EnvelopeError("SIG02", "ZSG-3 is not length^sha256")
    return Diagnosis(length=int(match[1]), sha256=match[2].decode("ascii"))


# A sender's header is constant for its certificate, so it is parsed once; an attacker's headers push out only each other.
@lru_cache(maxsize=512)
def read_header(header_text: bytes) -> Header:
    """The protected header. EnvelopeError SIG03 unless it is exactly as section 3 asks."""
    try:
        members = json.loads(decode(header_text).decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError):
        raise EnvelopeError("SIG03", "the header is not a JSON object with unique names") from None
    if not isinstance(members, dict):
        raise EnvelopeError("SIG03", "the header is not a JSON object")
    if not members.keys() >= _REQUIRED:
        raise EnvelopeError("SIG03", "the header lacks alg, typ or x5t#S256")
    if not members.keys() <= _ALLOWED:
        raise EnvelopeError("SIG03", "the header has a member that profile 1 does not allow")
    if not all(isinstance(value, str) for value in members.values()):
        raise EnvelopeError("SIG03", "a member of the header is not a string")
    if members["typ"] != _TYPE:
        raise EnvelopeError("SIG03", f"typ is not {_TYPE}")
    thumbprint = members["x5t#S256"]
    try:
        whole = len(decode(thumbprint.encode("ascii"))) == _SHA256_BYTES
    except ValueError:
        whole = False
    if not whole:
        raise EnvelopeError("SIG03", "x5t#S256 is not the base64url of a SHA-256")
    return Header(alg=members["alg"], thumbprint=thumbprint)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members
