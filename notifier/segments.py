"""Count the SMS segments of a text, and fold typographic characters so that it needs fewer; pure.

GSM 03.38 / 3GPP TS 23.038: the default alphabet holds 160 septets in one segment; ten characters of its extension table take
two. Concatenated texts carry a 6-byte header in each part (TS 23.040, 9.2.3.24.1), which leaves 153 septets. Anything outside
the alphabet turns the whole text into UCS-2: 70 UTF-16 units in one segment, 67 in a part. Neither an escape pair nor a
surrogate pair is split between two parts, so a part may end one unit early.

Some vendors' calculators also keep a whole grapheme cluster (a family emoji) in one part, which can count one segment more
than carriers do; texts for patients hold no such clusters unless a template's author puts them there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_GSM7: Final = _BASIC | _EXTENSION
_BASIC_TEXT: Final = re.compile(f"[{re.escape(''.join(sorted(_BASIC)))}]*")


class Encoding(StrEnum):
    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


# (units in a single segment, units in each part of several)
_ROOM: Final = {Encoding.GSM7: (160, 153), Encoding.UCS2: (70, 67)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The length of a text.

    Attributes:
        segments: parts that the carrier sends and charges; 1 for an empty text.
        units: septets (GSM-7) or UTF-16 units (UCS-2), headers not counted.
        offending: the characters outside GSM-7, each once, in order of appearance; empty for GSM-7.
    """

    encoding: Encoding
    segments: int
    units: int
    offending: tuple[str, ...] = ()


def count(text: str) -> Count:
    """Segments, units and encoding of the unchanged `text`; `fold` it first to save segments."""
    if _BASIC_TEXT.fullmatch(text) is not None:  # the usual case; no pair can cross a boundary
        single, part = _ROOM[Encoding.GSM7]
        segments = 1 if len(text) <= single else -(-len(text) // part)
        return Count(encoding=Encoding.GSM7, segments=segments, units=len(text))
    offending = tuple(dict.fromkeys(char for char in text if char not in _GSM7))
    encoding = Encoding.UCS2 if offending else Encoding.GSM7
    units = sum(_sizes(text, encoding))
    single, part = _ROOM[encoding]
    if units <= single:
        segments = 1
    else:
        segments, used = 1, 0
        for size in _sizes(text, encoding):
            if used + size > part:
                segments, used = segments + 1, 0
            used += size
    return Count(encoding=encoding, segments=segments, units=units, offending=offending)


def split(text: str) -> tuple[str, ...]:
    """The parts that a carrier sends, in order; joined they give `text`. For previews."""
    counted = count(text)
    if counted.segments == 1:
        return (text,)
    room = _ROOM[counted.encoding][1]
    parts: list[str] = []
    begin = used = 0
    for index, size in enumerate(_sizes(text, counted.encoding)):
        if used + size > room:
            parts.append(text[begin:index])
            begin, used = index, 0
        used += size
    return (*parts, text[begin:])


def _sizes(text: str, encoding: Encoding) -> Iterable[int]:
    if encoding is Encoding.GSM7:
        return (2 if char in _EXTENSION else 1 for char in text)
    return (2 if ord(char) > 0xFFFF else 1 for char in text)


def _ranges(*spans: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in spans for code in range(first, last + 1))


INVISIBLE: Final = _ranges(
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers: letters by category, but blank
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),  # zero width, directional marks
    (0x202A, 0x202E),  # bidi embeddings and overrides
    (0x2060, 0x206F),  # word joiner, bidi isolates
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE0FFF),  # tags, further variation selectors
)
"""Characters that are invisible or change the order of others. A reader cannot see them, so texts never contain them."""

_FOLDED: Final = {
    **dict.fromkeys(map(ord, INVISIBLE), ""),
    **dict.fromkeys(map(ord, "\u00a0\u1680\u202f\u205f\u3000\t" + "".join(_ranges((0x2000, 0x200A)))), " "),
    **dict.fromkeys(map(ord, "\u2028\u2029\u0085\v"), "\n"),
    **dict.fromkeys(map(ord, "‘’‚‛′´`ʼ‹›"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″«»"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012–—―−•·"), "-"),
    ord("…"): "...",
    ord("×"): "x",
    ord("™"): "TM",
    ord("№"): "No.",
}


_FOLDED_ASCII: Final = re.compile(f"[{re.escape(''.join(chr(code) for code in sorted(_FOLDED) if code < 0x80))}]")


def fold(text: str) -> str:
    """`text` with typographic characters as their GSM-7 equals, invisible ones removed, composed (NFC).

    It folds quotes, dashes, ellipsis, every kind of space (Babel puts U+202F before PM) and bullets. Letters are not changed:
    a name keeps its spelling even if that costs more.
    """
    if text.isascii() and _FOLDED_ASCII.search(text) is None:  # most texts are already what this makes of them
        return text
    return unicodedata.normalize("NFC", text).translate(_FOLDED)


def fold_letters(text: str) -> str:
    """`fold`, and also remove accents from letters outside GSM-7 if that brings them into it: `sáb` as `sab`.

    For generated words such as weekday names, where one accent would reduce a segment from 160 characters to 70. Never for names.
    """
    return "".join(char if char in _GSM7 else _plain(char) for char in fold(text))


def _plain(char: str) -> str:
    base = "".join(part for part in unicodedata.normalize("NFD", char) if not unicodedata.combining(part))
    return base if base and all(part in _GSM7 for part in base) else char
