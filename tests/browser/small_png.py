"""Screenshots as small files: PNG with a palette, which pages of plain colours need no more than.

Format: https://www.w3.org/TR/png-3/. Chromium writes 8 bits for each of red, green and blue, not interlaced; nothing else is read.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOURS: Final = 64
"""So many are kept: a page's own colours and the edges of its letters."""

Pixel = tuple[int, int, int]


def small(png: bytes) -> bytes:
    """The same picture in at most 64 colours, without anything but its pixels."""
    width, height, rows = _read(png)
    counts = Counter(pixel for row in rows for pixel in row)
    palette = _palette(counts)
    index = {pixel: _nearest(pixel, palette) for pixel in counts}
    lines = b"".join(b"\0" + bytes(index[pixel] for pixel in row) for row in rows)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(bytes(pixel) for pixel in palette)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _palette(counts: Counter[Pixel]) -> list[Pixel]:
    """The most frequent colours that differ visibly; where pixels are few, a near colour stands for them."""
    chosen: list[Pixel] = []
    for least in (24, 12, 6):
        for pixel, _ in counts.most_common(4000):
            if len(chosen) == _COLOURS:
                return chosen
            if all(_distance(pixel, other) >= least * least for other in chosen):
                chosen.append(pixel)
    return chosen


def _nearest(pixel: Pixel, palette: list[Pixel]) -> int:
    return min(range(len(palette)), key=lambda place: _distance(pixel, palette[place]))


def _distance(first: Pixel, second: Pixel) -> int:
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))


def _read(png: bytes) -> tuple[int, int, list[list[Pixel]]]:
    chunks = dict[bytes, bytes]()
    at = len(_SIGNATURE)
    while at < len(png):
        [length] = struct.unpack_from(">I", png, at)
        name = png[at + 4 : at + 8]
        chunks[name] = chunks.get(name, b"") + png[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if (depth, interlace) != (8, 0) or colour not in (2, 6):
        raise ValueError("not a screenshot of Chromium's")
    size = 3 if colour == 2 else 4
    content = zlib.decompress(chunks[b"IDAT"])
    stride = width * size
    rows, above = [], bytearray(stride)
    for place in range(height):
        start = place * (stride + 1)
        above = _unfiltered(content[start], bytearray(content[start + 1 : start + 1 + stride]), above, size)
        rows.append([(above[x], above[x + 1], above[x + 2]) for x in range(0, stride, size)])
    return width, height, rows


def _unfiltered(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    for x in range(len(line)):
        left = line[x - size] if x >= size else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above[x]
        elif kind == 3:
            guess = (left + above[x]) // 2
        elif kind == 4:
            guess = _paeth(left, above[x], above[x - size] if x >= size else 0)
        else:
            return line
        line[x] = (line[x] + guess) & 255
    return line


def _paeth(left: int, above: int, corner: int) -> int:
    estimate = left + above - corner
    distances = (abs(estimate - left), abs(estimate - above), abs(estimate - corner))
    return (left, above, corner)[distances.index(min(distances))]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
