"""Decode P's bytes to text: by MSH-18, then as UTF-8, then with the environment's fallback (hl7.md, Character sets).

Decoding always comes before splitting: in Big5, Shift-JIS, GBK and GB 18030 the second byte of a character may be 0x7C,
0x5C, 0x5E or 0x7E, and in ISO-2022-JP both bytes are plain ASCII, so splitting bytes would cut characters in half and
create false fields. The bytes are verified before they are decoded (signing.md section 2).

- MSH-18 is HL7 table 0211; senders misspell it (`UTF8`, `BIG5`, `ISO-8859-1`), so only its letters and digits count.
- A sender can only name codecs of the table below, never `utf-7` or another codec that turns harmless bytes into
  delimiters: all of these map 0x20-0x7E and CR to themselves outside an ISO 2022 shift. The fallback, which the
  environment's administrator chooses, may be any codec of Python that keeps ASCII as it is.
- A declared set that does not fit its bytes, an unknown one, and the use of the fallback are warnings; nothing is raised.
- CNS 11643 (EUC-TW) and the UTF-16 and UTF-32 forms are known by name and not supported; a block that starts with the
  bytes `MSH` cannot be in the latter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from parser.event import ParseWarning

_LAST_RESORT: Final = "cp1252"
_MAX_NAME: Final = 40  # the longest in table 0211 has 16 characters; cached values stay small
_NOT_ALPHANUMERIC: Final = re.compile(r"[^A-Z0-9]+")

_ISO_2022: Final = "iso2022_jp_ext"

# Spellings are reduced by `_reduced`: upper case, letters and digits only, no leading ISO. Values are codecs of Python.
_CODECS: Final[dict[str, str]] = {
    "UNICODE": "utf-8",  # table 0211 leaves the form open; over MLLP only UTF-8 is possible
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "106461": "utf-8",  # ISO 10646-1; some senders use this name
    "88591": "iso8859-1",
    "LATIN1": "iso8859-1",
    **{f"8859{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"{name}{page}": f"cp{page}" for page in range(1250, 1259) for name in ("CP", "WINDOWS", "WIN")},
    "IR14": "cp932",  # JIS X 0201; Shift-JIS contains it and keeps 0x5C as the escape character
    "SHIFTJIS": "cp932",
    "SJIS": "cp932",
    "WINDOWS31J": "cp932",
    "CP932": "cp932",
    "IR87": _ISO_2022,  # JIS X 0208, shifted to by ESC $ B
    "IR159": _ISO_2022,  # JIS X 0212, shifted to by ESC $ ( D
    "JISX0202": _ISO_2022,
    "JAS2020": _ISO_2022,
    "2022JP": _ISO_2022,
    "EUCJP": "euc_jp",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",  # a superset
    "GB2312": "gb18030",  # a superset
    "CP936": "gb18030",  # a superset
    "BIG5": "cp950",  # Big5 as it is in use
    "CP950": "cp950",
    "KSX1001": "cp949",  # EUC-KR and its superset
    "EUCKR": "cp949",
    "CP949": "cp949",
}
_ASCII: Final = frozenset({"", "ASCII", "USASCII", "IR6"})  # UTF-8 is a superset of it


@dataclass(frozen=True, slots=True)
class Decoded:
    """The decoded text, and how it was decoded.

    Attributes:
        codec: Python's name; `\\Xhh\\` escapes are decoded with it too.
    """

    text: str
    codec: str
    warnings: tuple[ParseWarning, ...] = ()


def decode(payload: bytes, declared: bytes, fallback: str) -> Decoded:
    """Decode P.

    Args:
        payload: P.
        declared: MSH-18, first repetition, as sent.
        fallback: the environment's `fallback_charset`; one that does not keep ASCII as it is counts as cp1252.
    """
    if payload.isascii() and b"\x1b" not in payload:
        # Nearly every message is ASCII. All codecs here agree on these bytes, so an unknown name in MSH-18 does no harm.
        return Decoded(payload.decode("ascii"), codec_of(_name(declared)) or "utf-8")
    return _decode_beyond_ascii(payload, declared, fallback)


def codec_of(name: str) -> str | None:
    """The codec for a character set's name in any usual spelling; None: not known, not supported, or plain ASCII."""
    return _CODECS.get(_reduced(name[:_MAX_NAME]))


def _decode_beyond_ascii(payload: bytes, declared: bytes, fallback: str) -> Decoded:
    warnings: list[ParseWarning] = []
    name = _name(declared)
    codec = codec_of(name)
    if codec is None and b"\x1b" in payload:
        # Japanese senders leave the first repetition empty (ASCII) and name the sets that they shift to in the next repetitions.
        codec = _ISO_2022 if _ISO_2022 in map(codec_of, _repetitions(payload)) else None
    if codec is not None:
        text = _strict(payload, codec)
        if text is not None:
            return Decoded(text, codec)
        warnings.append(_warning("CHARSET_MISMATCH", f"MSH-18 announces {codec}, but the bytes are not that"))
    elif _reduced(name) not in _ASCII:
        warnings.append(_warning("CHARSET_UNKNOWN", "MSH-18 names a character set that is not supported"))
    text = _strict(payload, "utf-8")
    if text is not None:
        return Decoded(text, "utf-8", tuple(warnings))
    codec = _fallback_codec(fallback)
    text = _strict(payload, codec)
    if text is not None:
        warnings.append(_warning("CHARSET_FALLBACK", f"not UTF-8; read as the environment's fallback, {codec}"))
        return Decoded(text, codec, tuple(warnings))
    warnings.append(_warning("CHARSET_REPLACED", f"neither UTF-8 nor {codec}; unreadable bytes became U+FFFD"))
    return Decoded(payload.decode(codec, "replace"), codec, tuple(warnings))


# Text that utf-7, hz and the escape codecs would read differently; then ASCII itself.
_PROBES: Final = (b"~{!!~}+AGE-\\x41\\u0041", bytes(range(0x80)))


@lru_cache(maxsize=64)
def _fallback_codec(name: str) -> str:
    codec = codec_of(name)
    if codec is not None:
        return codec
    try:
        keeps_ascii = all(probe.decode(name) == probe.decode("ascii") for probe in _PROBES)
        b"\xff".decode(name, "replace")  # which idna does not offer
    except (LookupError, ValueError):
        keeps_ascii = False
    return name if keeps_ascii else _LAST_RESORT


def _name(declared: bytes) -> str:
    return declared[:_MAX_NAME].decode("ascii", "replace")


@lru_cache(maxsize=256)
def _reduced(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", name.upper()).removeprefix("ISO")


def _strict(payload: bytes, codec: str) -> str | None:
    try:
        return payload.decode(codec)
    except UnicodeDecodeError:
        return None


def _repetitions(payload: bytes) -> Iterator[str]:
    """MSH-18's second and further repetitions, at most 20 in all."""
    end = payload.find(b"\r")
    header = payload if end < 0 else payload[:end]
    fields = header.split(header[3:4] or b"|", 18)
    if len(fields) > 17:
        for repetition in fields[17].split(header[5:6] or b"~", 20)[1:20]:
            yield _name(repetition)


def _warning(code: str, text: str) -> ParseWarning:
    return ParseWarning(code=code, field="MSH-18", text=text)
