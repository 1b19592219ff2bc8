"""Read the JSON log for people: filter lines, follow the file through rotation and truncation, and format each line.

Lines of another form (cut by a full disk, written by hand) are skipped. The output is escaped again, because a log file is
untrusted input.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from journal.lines import LEVELS, people_line

LONGEST_LINE: Final = 64 * 1024
"""Bytes; Carebell's lines have at most some ten kilobytes."""

_PIECE: Final = 512 * 1024
_CLOCK: Final = "%Y-%m-%d %H:%M:%S"
_AN_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_NUMBERS: Final = {name: number for number, name in LEVELS.items()}
_HEAD: Final = ("time", "level", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event as it was logged.

    Attributes:
        fields: everything but time, level and event, in the order of the line.
    """

    time: str
    level: str
    event: str
    fields: Mapping[str, Any]

    def pretty(self, *, colour: bool, zone: tzinfo = UTC, columns: int | None = None) -> str:
        """The line for people, with every instant in this zone; `columns` as in `journal.lines.people_line`."""
        fields = {name: _local(value, zone) for name, value in self.fields.items()}
        time = _instant(self.time).astimezone(zone).strftime(_CLOCK)
        return people_line(time, self.level, self.event, fields, colour=colour, columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The filter for lines; None: all lines.

    Attributes:
        since: aware.
        level: the lowest, a number of `logging`.
        event: its name.
        words: texts of which a line must hold at least one, anywhere; empty: no such limit.
    """

    appointment: str | None = None
    control_id: str | None = None
    since: datetime | None = None
    level: int = logging.DEBUG
    event: str | None = None
    words: frozenset[str] = frozenset()

    def rules_out(self, raw: bytes) -> bool:
        """Whether the line cannot match, told by its bytes alone: parsing them costs ten times as much."""
        return not all(any(word in raw for word in words) for words in _needed(self))

    def __call__(self, line: Line) -> bool:
        if _NUMBERS.get(line.level, logging.INFO) < self.level:
            return False
        if self.event is not None and line.event != self.event:
            return False
        if self.appointment is not None and line.fields.get("appointment") != self.appointment:
            return False
        if self.control_id is not None and line.fields.get("control_id") != self.control_id:
            return False
        return self.since is None or _instant(line.time) >= self.since


@lru_cache(maxsize=8)
def _needed(wanted: Wanted) -> tuple[tuple[bytes, ...], ...]:
    """Groups of words; a line that matches holds one of each. What JSON may write in two ways is in no group."""
    groups = [(wanted.event,), (wanted.appointment,), (wanted.control_id,), tuple(wanted.words)]
    return tuple(
        tuple(json.dumps(word).encode("ascii") for word in words if word is not None)
        for words in groups
        if words and all(word is not None and word.isascii() and word.isprintable() for word in words)
    )


def instant_of(line: Line) -> datetime:
    """When it was logged, aware."""
    return _instant(line.time)


def parse_line(raw: bytes) -> Line | None:
    """One line of the log file; None if it is not one."""
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in _HEAD):
        return None
    try:
        _instant(values["time"])
    except ValueError:
        return None
    fields = {name: value for name, value in values.items() if name not in _HEAD}
    return Line(time=values["time"], level=values["level"], event=values["event"], fields=fields)


def read(path: Path, wanted: Wanted) -> Iterator[Line]:
    """The selected lines that the file holds now. OSError: it cannot be read."""
    with path.open("rb") as stream:
        yield from read_stream(stream, wanted)


def read_stream(stream: IO[bytes], wanted: Wanted) -> Iterator[Line]:
    """As `read`, from an open file, which may be a decompressing one.

    Where every line that matches holds one of some words, they are searched for in large pieces: that is several times faster than
    looking at each line.
    """
    words = min(_needed(wanted), key=len, default=())
    torn = b""
    while piece := _read1(stream):
        piece = torn + piece
        end = piece.rfind(b"\n") + 1
        yield from _lines(_with_a_word(piece[:end], words) if words else piece[:end].splitlines(keepends=True), wanted)
        torn = piece[end:] if len(piece) - end < LONGEST_LINE else b""  # no line of ours
    yield from _lines([torn] if torn else [], wanted)


def follow(
    path: Path, wanted: Wanted, idle: Callable[[], bool], *, from_start: bool = True, opened: BinaryIO | None = None
) -> Iterator[Line]:
    """As `read`, and then every added line, until `idle` returns False.

    When logrotate has moved the file away, it reads the rest of the old file and then the new one. When the file was truncated
    (copytruncate), it begins at the start again.

    Args:
        idle: called when there is nothing new; it waits, and returns False to end.
        from_start: False begins at the end of the file.
        opened: the file to begin with, if it is open already; it is closed here.

    Raises:
        OSError: the file cannot be opened at first; if it is missing later, it waits for the file.
    """
    stream: BinaryIO = opened or path.open("rb")
    try:
        if not from_start:
            stream.seek(0, os.SEEK_END)
        torn = b""
        while True:
            raw = stream.readline(LONGEST_LINE)
            if raw:
                torn += raw
                if torn.endswith(b"\n") or len(torn) >= LONGEST_LINE:
                    yield from _lines([torn], wanted)
                    torn = b""
                continue
            if _was_truncated(stream):
                stream.seek(0)
                torn = b""
            elif (successor := _successor(path, stream)) is not None:
                # Read the old file once more: a line may have come between the last read and the rotation.
                yield from _lines(_complete(stream, torn), wanted)
                stream.close()
                stream, torn = successor, b""
            elif not idle():
                return
    finally:
        stream.close()


def _read1(stream: IO[bytes]) -> bytes:
    """What one read gives: a damaged compressed file is read up to the damage."""
    return cast(BufferedIOBase, stream).read1(_PIECE)


def _with_a_word(piece: bytes, words: Sequence[bytes]) -> list[bytes]:
    """The lines with one of the words, in order."""
    bounds: dict[int, int] = {}
    for word in words:
        at = piece.find(word)
        while at >= 0:
            end = piece.find(b"\n", at) + 1
            bounds[piece.rfind(b"\n", 0, at) + 1] = end
            at = piece.find(word, end)
    return [piece[begin : bounds[begin]] for begin in sorted(bounds)]


def _complete(stream: BinaryIO, torn: bytes) -> Iterator[bytes]:
    while raw := stream.readline(LONGEST_LINE):
        yield torn + raw
        torn = b""


def _lines(raws: Iterable[bytes], wanted: Wanted) -> Iterator[Line]:
    for raw in raws:
        if wanted.rules_out(raw):
            continue
        line = parse_line(raw)
        if line is not None and wanted(line):
            yield line


def _was_truncated(stream: BinaryIO) -> bool:
    return os.fstat(stream.fileno()).st_size < stream.tell()


def _successor(path: Path, stream: BinaryIO) -> BinaryIO | None:
    """The file that is now at `path`, opened, if it is another one."""
    with suppress(OSError):
        present, opened = path.stat(), os.fstat(stream.fileno())
        if (present.st_dev, present.st_ino) != (opened.st_dev, opened.st_ino):
            return path.open("rb")
    return None


def _instant(written: str) -> datetime:
    """The line's time, aware. ValueError if it is not a time."""
    time = datetime.fromisoformat(written)
    if time.tzinfo is None:
        raise ValueError("a time without an offset")
    return time


def _local(value: object, zone: tzinfo) -> object:
    if not isinstance(value, str) or _AN_INSTANT.fullmatch(value) is None:
        return value
    try:
        return datetime.fromisoformat(value).astimezone(zone).strftime(_CLOCK)
    except (ValueError, OverflowError):  # no such day, or at the end of time
        return value
