"""The delimiters of a message, and its escape sequences: both as MSH-1 and MSH-2 define them.

Source: HL7 v2.9 chapter 2, sections 2.5.4 (delimiters), 2.5.5.2 (truncation) and 2.7 (escape sequences).
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from functools import lru_cache
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2 of one message, and the codec of its `\\Xhh\\` escapes.

    Attributes:
        usual: they are the characters that the standard recommends.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = "#"
    codec: str = "utf-8"
    usual: bool = dataclasses.field(init=False, default=False)

    def __post_init__(self) -> None:
        own = (self.field, self.component, self.repetition, self.escape, self.subcomponent, self.truncation)
        object.__setattr__(self, "usual", own == ("|", "^", "~", "\\", "&", "#"))


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
    - `\\Xhh..\\`: bytes in the message's character set. The bytes of adjacent sequences are one text, because many senders write a
      sequence for each byte of a character. Bytes that are not a valid character are read as Latin-1.
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
    text = _Text(delimiters.codec)
    text.add(parts[0])
    at = 1
    while at <= last:
        body = parts[at]
        # The last part has no closing escape character, so it cannot be a sequence.
        decoded = _decoded(body, delimiters) if body and at < last else None
        if decoded is None:
            text.add(escape + body)
            at += 1
        else:
            text.add(decoded)
            text.add(parts[at + 1])
            at += 2
    return text.all()


class _Text:
    """A value under construction: the octets of adjacent `\\Xhh\\` sequences are joined and decoded in one pass."""

    __slots__ = ("_codec", "_decoder", "_out")

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._decoder: codecs.IncrementalDecoder | None = None  # None: no octets since the last text
        self._out: list[str] = []

    def add(self, part: str | bytes) -> None:
        if isinstance(part, bytes):
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder(self._codec)(_LATIN_1)
            self._out.append(self._decoder.decode(part))
            return
        # The second byte of a character may be ASCII, which a sender need not escape: Shift-JIS, GBK, Big5, GB 18030.
        while part and "0" <= part[0] <= "~" and self._is_unfinished():
            self.add(part[0].encode("ascii"))
            part = part[1:]
        if part:
            self._finish()
            self._out.append(part)

    def all(self) -> str:
        self._finish()
        return "".join(self._out)

    def _is_unfinished(self) -> bool:
        """Whether the octets end within a character."""
        return self._decoder is not None and self._decoder.getstate()[0] != b""

    def _finish(self) -> None:
        if self._decoder is not None:
            self._out.append(self._decoder.decode(b"", final=True))
            self._decoder = None


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: octets that are no character are each one of Latin-1."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


_LATIN_1: Final = "carebell.latin-1"
codecs.register_error(_LATIN_1, _as_latin_1)


def _decoded(body: str, delimiters: Delimiters) -> str | bytes | None:
    """The meaning of one sequence, bytes for `\\Xhh..\\`; None: `body` is not a sequence."""
    if len(body) == 1:
        name = _DELIMITER_NAMES.get(body)
        if name is not None:
            character: str = getattr(delimiters, name)
            return character
        return "" if body in "HN" else None
    match = _HEX.fullmatch(body)
    if match is not None:
        return bytes.fromhex(match[1])
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
