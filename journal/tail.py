"""The log's newest lines, and what came since: for a page that asks every few seconds and keeps no file open.

A cursor says how far somebody has read: the file by its inode, and the bytes in it. logrotate renames the file, so the rest of a
rotated file is found by the inode; where it was compressed, removed or truncated meanwhile, lines may be missing, and the answer
says so. Each call reads a bounded number of bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from journal.read import LONGEST_LINE, Line, Wanted, parse_line
from journal.rotated import rotated_names

MOST_BYTES: Final = 4 * 1024 * 1024
"""That one call reads: some ten thousand lines."""
_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """Attributes: offset: bytes of the file that were read; a line that is not complete yet is not among them."""

    inode: int
    offset: int

    def __str__(self) -> str:
        """`131074:48210`."""
        return f"{self.inode}:{self.offset}"

    @classmethod
    def parse(cls, written: str) -> LogCursor | None:
        """None: it is not a cursor."""
        inode, _, offset = written.partition(":")
        if not all(part.isascii() and part.isdecimal() and len(part) <= 20 for part in (inode, offset)):
            return None
        return cls(inode=int(inode), offset=int(offset))


@dataclass(frozen=True, slots=True, kw_only=True)
class TailPart:
    """Attributes:
    lines: oldest first.
    cursor: for the next call; None: there is no log file.
    has_gap: lines between the last call and these may be missing.
    has_more: there are more lines already; ask again at once.
    """

    lines: Sequence[Line]
    cursor: LogCursor | None
    has_gap: bool = False
    has_more: bool = False


def newest(path: Path, wanted: Wanted, limit: int) -> TailPart:
    """The last `limit` lines that match among the last `MOST_BYTES` of the log; right after a rotation those of the file before it,
    too. OSError: it cannot be read."""
    lines: list[Line] = []
    cursor, budget = None, MOST_BYTES
    for file in (path, _rotated_last(path)):
        if file is None or len(lines) >= limit:
            break
        with suppress(FileNotFoundError), file.open("rb") as stream:
            end = _complete_end(stream)
            if file == path:
                cursor = LogCursor(inode=os.fstat(stream.fileno()).st_ino, offset=end)
            there = _matching(_backwards(stream, end, budget, wanted), wanted)
            lines += [line for line, _ in zip(there, range(limit - len(lines)), strict=False)]
            budget -= min(budget, end)
    return TailPart(lines=lines[::-1], cursor=cursor, has_more=False)


def since(path: Path, wanted: Wanted, cursor: LogCursor, limit: int) -> TailPart:
    """What was added behind the cursor, at most `limit` lines and `MOST_BYTES`. OSError: the log cannot be read."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return TailPart(lines=(), cursor=cursor)  # between a rotation and the service's next line
    with stream:
        status = os.fstat(stream.fileno())
        if status.st_ino == cursor.inode:
            has_gap = status.st_size < cursor.offset  # copytruncate
            return _read_on(stream, wanted, 0 if has_gap else cursor.offset, limit, has_gap=has_gap)
        before = _rotated_with(path, cursor.inode)
        if before is None:
            return _read_on(stream, wanted, 0, limit, has_gap=True)
        with before:
            rest = _read_on(
                before, wanted, cursor.offset, limit, has_gap=os.fstat(before.fileno()).st_size < cursor.offset
            )
        if rest.has_more:
            return rest
        further = _read_on(stream, wanted, 0, max(limit - len(rest.lines), 1), has_gap=rest.has_gap)
        return TailPart(
            lines=[*rest.lines, *further.lines], cursor=further.cursor, has_gap=rest.has_gap, has_more=further.has_more
        )


def _read_on(stream: BinaryIO, wanted: Wanted, offset: int, limit: int, *, has_gap: bool) -> TailPart:
    stream.seek(offset)
    lines: list[Line] = []
    end = offset
    while len(lines) < limit and end - offset < MOST_BYTES and (raw := stream.readline(LONGEST_LINE)):
        if not raw.endswith(b"\n") and len(raw) < LONGEST_LINE:
            break  # it is being written
        end += len(raw)
        lines += _matching([raw], wanted)
    inode, size = (status := os.fstat(stream.fileno())).st_ino, status.st_size
    cursor = LogCursor(inode=inode, offset=end)
    is_stopped = len(lines) >= limit or end - offset >= MOST_BYTES
    return TailPart(lines=lines, cursor=cursor, has_gap=has_gap, has_more=is_stopped and end < size)


def _matching(raws: Iterable[bytes], wanted: Wanted) -> Iterator[Line]:
    for raw in raws:
        if not wanted.rules_out(raw):
            line = parse_line(raw)
            if line is not None and wanted(line):
                yield line


def _complete_end(stream: BinaryIO) -> int:
    """The bytes up to the last line's end."""
    size = stream.seek(0, os.SEEK_END)
    begin = max(size - LONGEST_LINE, 0)
    stream.seek(begin)
    tail = stream.read(size - begin)
    return begin + tail.rfind(b"\n") + 1


def _backwards(stream: BinaryIO, end: int, most: int, wanted: Wanted) -> Iterator[bytes]:
    """The complete lines before `end`, the last one first, from at most so many bytes; not those of a piece without a match."""
    begin, torn = end, b""
    while begin > 0 and end - begin < most:
        step = min(_CHUNK, begin, most - (end - begin))
        begin -= step
        stream.seek(begin)
        piece = stream.read(step) + torn
        torn, _, whole = piece.partition(b"\n")
        if wanted.rules_out(whole):
            continue
        for raw in reversed(whole.split(b"\n")):
            if raw:
                yield raw
    if begin == 0 and torn:
        yield torn


def _rotated_last(path: Path) -> Path | None:
    """The file that was rotated last, if it is not compressed."""
    files = [path.with_name(name) for name in rotated_names(path)]
    newest_file = max(files, key=_changed_at, default=None)
    return newest_file if newest_file is not None and newest_file.suffix not in (".gz", ".bz2", ".xz") else None


def _rotated_with(path: Path, inode: int) -> BinaryIO | None:
    for name in rotated_names(path):
        with suppress(OSError):
            file = path.with_name(name)
            if file.stat().st_ino == inode and file.suffix not in (".gz", ".bz2", ".xz"):
                return file.open("rb")
    return None


def _changed_at(file: Path) -> float:
    with suppress(OSError):
        return file.stat().st_mtime
    return 0.0
