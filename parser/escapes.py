"""The delimiters of a message, and its escape sequences: both as MSH-1 and MSH-2 define them.

Source: HL7 v2.9 chapter 2, sections 2.5.4 (delimiters), 2.5.5.2 (truncation) and 2.7 (escape sequences).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2 of one message, and the codec of its `\\Xhh\\` escapes."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = "#"
    codec: str = "utf-8"


def delimiters_of(text: str, codec: str = "utf-8") -> Delimiters:
    """What MSH-1 and MSH-2 of a decoded message say; the usual ones where it has no MSH."""
    if text.startswith("MSH|^~\\&|"):
        return _usual(codec)
    separator = text[3:4] if text.startswith("MSH") else ""
    if not separator or separator == "\r":
        return _usual(codec)
    end = re.compile(f"[\r{re.escape(separator)}]").search(text, 4)
    # Missing characters keep their usual meaning. MSH-2 has four, or five since 2.7.
    characters = text[4 : min(end.start() if end else len(text), 9)]
    component, repetition, escape, subcomponent, truncation = [*characters, *"^~\\&#"[len(characters) :]]
    return Delimiters(separator, component, repetition, escape, subcomponent, truncation, codec)


@lru_cache(maxsize=32)
def _usual(codec: str) -> Delimiters:
    return Delimiters(codec=codec)


_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
_FORMATTING: Final = re.compile(r"\.(br|sp|fi|nf|in|ti|sk|ce)(?:[+-]?[0-9]{1,4})?")
_LINE_BREAKS: Final = frozenset({"br", "sp", "ce"})
_MEANINGLESS: Final = re.compile(r"C[0-9A-Fa-f]{4}|M(?:[0-9A-Fa-f]{4}|[0-9A-Fa-f]{6})|Z[0-9A-Za-z]{1,16}")


def unescape(raw: str, delimiters: Delimiters) -> str:
    """Decode section 2.7's escape sequences, once: what they decode to is not read again.

    - `\\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\L\\`: field, component, subcomponent, repetition, escape, truncation character.
    - `\\Xhh..\\`: bytes in the message's character set; where they are none, one character a byte.
    - `\\.br\\`, `\\.sp\\`, `\\.ce\\`: one LF, whatever count they carry; `\\.sk\\`: one space; other formatting: nothing.
    - `\\H\\ \\N\\` (highlighting), `\\C..\\ \\M..\\` (other character sets), `\\Z..\\` (local): known, without meaning here:
      dropped.
    - Anything else is no sequence but text with a stray escape character, as in `\\\\server\\share`, and stays as sent, so
      that no text is lost.
    """
    escape = delimiters.escape
    if escape not in raw:
        return raw
    parts = raw.split(escape)
    last = len(parts) - 1
    out = [parts[0]]
    at = 1
    while at <= last:
        body = parts[at]
        # The last part has no closing escape character, so it cannot be a sequence.
        decoded = _decoded(body, delimiters) if body and at < last else None
        if decoded is None:
            out.append(escape)
            out.append(body)
            at += 1
        else:
            out.append(decoded)
            out.append(parts[at + 1])
            at += 2
    return "".join(out)


def _decoded(body: str, delimiters: Delimiters) -> str | None:
    """What one sequence stands for; None: `body` is none."""
    if len(body) == 1:
        name = _DELIMITER_NAMES.get(body)
        if name is not None:
            character: str = getattr(delimiters, name)
            return character
        return "" if body in "HN" else None
    match = _HEX.fullmatch(body)
    if match is not None:
        octets = bytes.fromhex(match[1])
        try:
            return octets.decode(delimiters.codec)
        except UnicodeDecodeError:
            return octets.decode("latin-1")
    match = _FORMATTING.fullmatch(body)
    if match is not None:
        if match[1] in _LINE_BREAKS:
            return "\n"
        return " " if match[1] == "sk" else ""
    return "" if _MEANINGLESS.fullmatch(body) else None


_DELIMITER_NAMES: Final = {
    "F": "field",
    "S": "component",
    "T": "subcomponent",
    "R": "repetition",
    "E": "escape",
    "L": "truncation",
}
