"""Splits a frame's content into what was signed and its signature, ZSG (signing profile 1, sections 1 to 3).

Pure. The sender's rule is "sign last, with raw bytes, nothing after it"; ours is that the bytes which were signed (P) and
the bytes which are parsed are the same object. Nothing here knows a key: a signature that splits off well may still be
anybody's.

    canonical(content)            one line end, CR, and none at the end
    split(content)             -> Signed | Unsigned | Fault
    read_header(Signed.header) -> Header | Fault
"""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

MAX_JWS_BYTES: Final = 4096  # RSA-8192 takes 1366 for the signature and 122 for the header
TYP: Final = "hl7v2-sig"
_REQUIRED: Final = frozenset({"alg", "typ", "x5t#S256"})
_ALLOWED: Final = _REQUIRED | {"kid"}
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# characters outside Base64url become a character that Base64 never has
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/***")
_DIAGNOSIS: Final = re.compile(rb"([0-9]{1,9})\^([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why the envelope is refused: a code of the profile's table, ERR-3 and a sentence without message content."""

    code: str
    err3: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """ZSG-3: what the sender says it signed. It is not authenticated, so it gives a hint and never decides.

    Attributes:
        length: of the signed bytes.
        sha256: of the signed bytes, lower-case hex.
    """

    length: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A well-formed envelope.

    Attributes:
        payload: P, from `MSH` through the CR before ZSG.
        preamble: whether there are bytes before `MSH`; they are not in P.
        header: BASE64URL(header), as used in the signing input.
        signature: decoded; its length is not checked.
    """

    payload: bytes = field(repr=False)
    preamble: bool
    header: bytes
    signature: bytes = field(repr=False)
    diagnosis: Diagnosis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """There is no ZSG. `payload` is what P would be if the message were signed."""

    payload: bytes = field(repr=False)
    preamble: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """An acceptable JOSE header. Whether the certificate permits `alg` is checked later.

    Attributes:
        alg: as written; case matters.
        thumbprint: x5t#S256, Base64url of SHA-256 of the certificate's DER.
    """

    alg: str
    thumbprint: str


def canonical(content: bytes) -> bytes:
    """The content with CR as the only line end, whatever the transport changed, and none at the end. A lone LF among CRs is data.

    "Turn every LF into CR" would let free text become segments inside a validly signed message.
    """
    body = content.rstrip(b"\r\n")
    if b"\n" not in body:
        return body
    if b"\r" not in body:
        return body.replace(b"\n", b"\r")
    return body.replace(b"\r\n", b"\r")


def split(content: bytes) -> Signed | Unsigned | Fault:
    """Split a frame's content into P and its signature. Never raises."""
    body = canonical(content)
    start = body.find(b"MSH")
    if start < 0:
        return Fault(code="NOHL7", err3="199", text="no MSH segment: not an HL7 version 2 message")
    at = body.find(b"\rZSG|")
    if at < 0:
        if body.startswith(b"ZSG|") or body.endswith(b"\rZSG") or b"\rZSG\r" in body:
            return _malformed("ZSG is empty, or is before MSH")
        return Unsigned(payload=body[start:] + b"\r", preamble=start > 0)
    if start > at:
        return _malformed("ZSG is before MSH")
    if body.find(b"\r", at + 1) >= 0:
        twice = body.find(b"\rZSG|", at + 1) >= 0
        return _malformed("two ZSG segments" if twice else "ZSG is not the last segment")
    fields = body[at + 1 :].split(b"|", 4)
    if len(fields) not in (3, 4):
        return _malformed("ZSG has the fields 1, 2 and perhaps 3, no others")
    if fields[1] != b"1":
        return _malformed("ZSG-1 is not 1, the only profile")
    diagnosis = None
    if len(fields) == 4 and fields[3]:
        match = _DIAGNOSIS.fullmatch(fields[3])
        if match is None:
            return _malformed("ZSG-3 is not length^sha256")
        diagnosis = Diagnosis(length=int(match[1]), sha256=match[2].decode("ascii"))
    jws = fields[2]
    if len(jws) > MAX_JWS_BYTES:
        return _malformed(f"ZSG-2 is longer than {MAX_JWS_BYTES} bytes")
    parts = jws.split(b".", 3)
    if len(parts) != 3 or parts[1] or not parts[0]:
        return _malformed("ZSG-2 is not header..signature")
    signature = decode_base64url(parts[2])
    if signature is None:
        return _malformed("the signature in ZSG-2 is not Base64url without padding")
    return Signed(
        payload=body[start : at + 1], preamble=start > 0, header=parts[0], signature=signature, diagnosis=diagnosis
    )


# Senders repeat one header for years. A cache of 256 headers of at most 4 KB limits what a hostile sender can make us store.
@lru_cache(maxsize=256)
def read_header(encoded: bytes) -> Header | Fault:
    """Decode and check a JOSE header against section 3. Never raises."""
    raw = decode_base64url(encoded)
    if raw is None:
        return _malformed("the header in ZSG-2 is not Base64url without padding")
    try:
        # Decoded here because json.loads would guess UTF-16 and UTF-32 from bytes.
        members = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except _TwiceError:
        return _unacceptable("the header names a member twice")
    except (ValueError, RecursionError):
        return _unacceptable("the header is not a UTF-8 JSON object")
    if not isinstance(members, dict):
        return _unacceptable("the header is not a JSON object")
    if not members.keys() <= _ALLOWED:
        return _unacceptable("the header has members other than alg, typ, x5t#S256 and kid")
    if not members.keys() >= _REQUIRED:
        return _unacceptable("the header lacks alg, typ or x5t#S256")
    if not all(isinstance(value, str) for value in members.values()):
        return _unacceptable("a member of the header is not a string")
    if members["typ"] != TYP:
        return _unacceptable(f"the header's typ is not {TYP}")
    thumbprint: str = members["x5t#S256"]
    decoded = decode_base64url(thumbprint.encode("utf-8", "replace"))
    if decoded is None or len(decoded) != 32:
        return _unacceptable("the header's x5t#S256 is not a SHA-256 thumbprint in Base64url")
    return Header(alg=members["alg"], thumbprint=thumbprint)


def signing_input(header: bytes, payload: bytes) -> bytes:
    """RFC 7515 section 5.1: ASCII(BASE64URL(header) "." BASE64URL(P)). `header` is encoded already."""
    return header + b"." + encode_base64url(payload)


def encode_base64url(raw: bytes) -> bytes:
    """RFC 7515 section 2: Base64url without padding."""
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL)


def decode_base64url(text: bytes) -> bytes | None:
    """The decoded bytes; None unless `text` is their canonical encoding.

    With padding, other alphabets, white space or non-zero spare bits one signature would have several spellings.
    """
    try:
        raw = binascii.a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        return None
    return raw if encode_base64url(raw) == text else None


class _TwiceError(Exception):
    """A name occurs twice in a JSON object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _TwiceError
    return members


def _malformed(text: str) -> Fault:
    return Fault(code="SIG02", err3="102", text=text)


def _unacceptable(text: str) -> Fault:
    return Fault(code="SIG03", err3="102", text=text)
