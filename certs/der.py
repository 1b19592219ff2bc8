"""Recognises what a DER value is by its outline (tags and a few OIDs), without giving it to a parser.

An administrator who uploads the wrong thing should be told which wrong thing it is, also when the copy is damaged:
the outline of a private key is recognisable from its first bytes. Outlines are those of RFC 5280 (certificate, CRL),
RFC 2986 (request), RFC 5958 and RFC 8017 (private keys), RFC 5915 (EC private key), RFC 2315 and RFC 7292 (PKCS#7,
PKCS#12). Pure; looks at a fixed number of elements, never deeper than two levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTEGER, BIT_STRING, OCTET_STRING, OID, SEQUENCE, CONTEXT_0 = 0x02, 0x03, 0x04, 0x06, 0x30, 0xA0
_TIMES = (0x17, 0x18)  # UTCTime, GeneralizedTime
_PKCS7 = bytes.fromhex("2a864886f70d0107")
_PASSWORD_ENCRYPTION = (bytes.fromhex("2a864886f70d0105"), bytes.fromhex("2a864886f70d010c01"))  # PKCS#5, PKCS#12
_KEY_STORES = (b"openssh-key-v1\x00", b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")  # OpenSSH, Java JKS, Java JCEKS

_PFX_VERSION = b"\x03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One tag-length-value. `content` is shorter if the data ends early."""

    tag: int
    content: bytes
    raw: bytes
    declared: int | None  # whole length in bytes as the header says; None: indefinite (BER)


def elements(data: bytes) -> Iterator[Element]:
    """The consecutive elements in `data`; stops at the first without a readable header."""
    at = 0
    while at + 2 <= len(data):
        first, start, length = data[at + 1], at + 2, len(data)
        if first < 0x80:
            length = first
        elif first != 0x80:
            size = first & 0x7F
            if size > 4 or start + size > len(data):
                return
            start, length = start + size, int.from_bytes(data[start : start + size], "big")
        end = start + length
        yield Element(
            tag=data[at],
            content=data[start:end],
            raw=data[at:end],
            declared=None if first == 0x80 else end - at,
        )
        at = end


def outline(data: bytes) -> str:
    """What `data` is by its outline: the code of its refusal, `CERTIFICATE`, or `UNKNOWN`."""
    if data.startswith(_KEY_STORES):
        return "PRIVATE_KEY"
    outer = next(elements(data), None)
    if outer is None or outer.tag != SEQUENCE:
        return "UNKNOWN"
    parts = tuple(islice(elements(outer.content), 2))
    if not parts:
        return "UNKNOWN"
    head = parts[0]
    if head.tag == INTEGER:
        if len(head.content) > 1:
            return "BARE_KEY"  # the modulus of a PKCS#1 public key; a private key begins with a small version
        return "PKCS12" if head.content == _PFX_VERSION else "PRIVATE_KEY"
    if head.tag == OID:
        return "PKCS7" if head.content.startswith(_PKCS7) else "UNKNOWN"
    return _of_signed(head, parts[1].tag if len(parts) > 1 else None) if head.tag == SEQUENCE else "UNKNOWN"


def _of_signed(head: Element, following: int | None) -> str:
    """Outlines that begin with two nested SEQUENCEs: what was signed, or an AlgorithmIdentifier."""
    inner = tuple(islice(elements(head.content), 4))
    tags = [element.tag for element in inner]
    if tags[:1] == [OID]:
        encrypted = inner[0].content.startswith(_PASSWORD_ENCRYPTION) or following == OCTET_STRING
        return "PRIVATE_KEY" if encrypted else "BARE_KEY"
    if tags[:1] == [CONTEXT_0] or tags == [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE]:
        return "CERTIFICATE"  # version 3, or version 1 without its version
    if (tags[2:3] and tags[2] in _TIMES) or (tags[3:4] and tags[3] in _TIMES):
        return "CRL"
    return "CSR" if tags[:3] == [INTEGER, SEQUENCE, SEQUENCE] else "UNKNOWN"


def certificate_parts(der: bytes) -> tuple[bytes, bytes, bytes] | None:
    """(signature algorithm inside, signature algorithm outside, SubjectPublicKeyInfo), each as raw DER; RFC 5280 4.1."""
    outer = next(elements(der), None)
    if outer is None:
        return None
    parts = tuple(islice(elements(outer.content), 2))
    inner = list(islice(elements(parts[0].content), 7)) if parts else []
    if inner and inner[0].tag == CONTEXT_0:
        del inner[0]
    if len(parts) < 2 or len(inner) < 6:
        return None
    return inner[1].raw, parts[1].raw, inner[5].raw
