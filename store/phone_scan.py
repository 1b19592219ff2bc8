"""Search files for the digits of a number, in several spellings. For `purge --verify`.

It finds the digits as ASCII (with up to two separators between two digits), UTF-16 in both byte orders, hexadecimal of the ASCII,
and base64 at each of its three alignments. It does not find compressed or encrypted copies.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parser.phone_number import PhoneNumber

_CHUNK: Final = 1 << 20
_OVERLAP: Final = 256
"""Longer than the longest spelling of fifteen digits, so that one chunk holds a match that crosses two chunks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOccurrence:
    """Where a number was found. The number itself is not stored here.

    Attributes:
        offset: bytes from the beginning of the file.
        spelling: ascii, utf-16-le, utf-16-be, hex or base64.
    """

    path: Path
    offset: int
    spelling: str


def scan_files(paths: Iterable[Path], number: PhoneNumber) -> list[PhoneOccurrence]:
    """The first match of each spelling in each file. Files that do not exist are skipped.

    OSError if an existing file cannot be read: then the search proves nothing.
    """
    patterns = _patterns(number)
    return [trace for path in paths if path.exists() for trace in _scan(path, patterns)]


def _scan(path: Path, patterns: dict[str, re.Pattern[bytes]]) -> list[PhoneOccurrence]:
    occurrences: dict[str, PhoneOccurrence] = {}
    with path.open("rb") as file:
        begin, tail = 0, b""
        while chunk := file.read(_CHUNK):
            window = tail + chunk
            for spelling, pattern in patterns.items():
                if spelling not in occurrences and (hit := pattern.search(window)):
                    occurrences[spelling] = PhoneOccurrence(
                        path=path, offset=begin - len(tail) + hit.start(), spelling=spelling
                    )
            begin += len(chunk)
            tail = window[-_OVERLAP:]
    return list(occurrences.values())


def _patterns(number: PhoneNumber) -> dict[str, re.Pattern[bytes]]:
    digits = number.e164().removeprefix("+")
    national = digits[1:] if digits.startswith("1") else digits  # people write American numbers without the 1
    plain = national.encode("ascii")
    separated = b"[^0-9A-Za-z\\0]{0,2}".join(re.escape(bytes([digit])) for digit in plain)
    return {
        "ascii": re.compile(separated),
        "utf-16-le": re.compile(re.escape(national.encode("utf-16-le"))),
        "utf-16-be": re.compile(re.escape(national.encode("utf-16-be"))),
        "hex": re.compile(re.escape(plain.hex().encode("ascii")), re.IGNORECASE),
        "base64": re.compile(b"|".join(map(re.escape, _base64(plain)))),
    }


def _base64(plain: bytes) -> list[bytes]:
    """The base64 text of `plain` at each alignment, without the characters that depend on neighbouring bytes."""
    spellings = []
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain)
        begin = (shift * 8 + 5) // 6
        end = (shift + len(plain)) * 8 // 6
        spellings.append(encoded[begin:end])
    return spellings
