"""The log with what rotation has left of it: numbered or dated files, compressed or not, oldest first, then the log itself.

A name is `carebell.log.1`, `carebell.log-20260301`, `carebell.log.2026-03-01` or, by logrotate's `extension`,
`carebell-20260301.log`, with or without `.gz`, `.bz2` or `.xz` behind it. The order comes from the lines, not from the names, whose
sense differs from one logrotate to the next.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from journal.read import LONGEST_LINE, Line, Wanted, follow, instant_of, parse_line, read_stream

_STAMP: Final = r"[.-]\d[\d.T_-]*"
_COMPRESSED: Final = r"\.(?:gz|bz2|xz)"
_DAMAGED: Final = (EOFError, zlib.error, lzma.LZMAError)  # besides OSError, which gzip and bz2 raise

OnUnreadable = Callable[[Path, str], None]
"""Called with a rotated file that cannot be read, or not to its end, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _RotatedFile:
    """Attributes:
    first: the time of its first line.
    """

    path: Path
    first: datetime


def read_log(
    path: Path, wanted: Wanted, on_unreadable: OnUnreadable, *, idle: Callable[[], bool] | None = None
) -> Iterator[Line]:
    """The wanted lines of the rotated files and of the log at `path`, which need not be there.

    Args:
        idle: None: what the files hold now. Else it goes on with every line that is added, as `journal.read.follow` has it.

    Raises:
        OSError: the log itself cannot be read.
    """
    reported: set[Path] = set()

    def report(file: Path, why: str) -> None:
        if file not in reported:
            reported.add(file)
            on_unreadable(file, why)

    current = _opened(path)  # before the others are listed: rotation meanwhile loses nothing and repeats nothing
    try:
        status = os.fstat(current.fileno())
        rotated = _rotated_files(path, (status.st_dev, status.st_ino), report)
        for index, file in enumerate(rotated, 1):
            if wanted.since is not None and index < len(rotated) and rotated[index].first < wanted.since:
                continue  # all of it is older
            for raw in _raw_lines(file.path, report):
                line = parse_line(raw)
                if line is not None and wanted(line):
                    yield line
        yield from read_stream(current, wanted) if idle is None else follow(path, wanted, idle, opened=current)
    finally:
        current.close()


def _opened(path: Path) -> BinaryIO:
    """The log; nothing, for now, between a rotation and the service's next line."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return Path(os.devnull).open("rb")


def rotated_names(path: Path) -> list[str]:
    """The names of what rotation has left of the log at `path`, in no order."""
    behind = rf"{re.escape(path.name)}{_STAMP}"
    within = rf"{re.escape(path.stem)}{_STAMP}{re.escape(path.suffix)}"
    pattern = re.compile(rf"(?:{behind}|{within})(?:{_COMPRESSED})?")
    with suppress(OSError):
        names = {file.name for file in path.parent.iterdir() if pattern.fullmatch(file.name) and file.is_file()}
        # Beside the file that is being compressed now stands a part of its copy.
        return [name for name in names if re.sub(rf"{_COMPRESSED}$", "", name) not in names - {name}]
    return []


def _rotated_files(path: Path, current: tuple[int, int], on_unreadable: OnUnreadable) -> list[_RotatedFile]:
    """Oldest first; without those that hold no line of ours, and without the one that is open as the log itself."""
    files = []
    for name in rotated_names(path):
        file = path.with_name(name)
        status = file.stat()
        if (status.st_dev, status.st_ino) == current:
            continue
        first = next((line for raw in _raw_lines(file, on_unreadable) if (line := parse_line(raw)) is not None), None)
        if first is not None:
            files.append(_RotatedFile(path=file, first=instant_of(first)))
    return sorted(files, key=lambda file: (file.first, file.path.name))


def _raw_lines(file: Path, on_unreadable: OnUnreadable) -> Iterator[bytes]:
    """As far as the file can be read."""
    try:
        with _open(file) as stream:
            while raw := stream.readline(LONGEST_LINE):
                yield raw
    except OSError as error:
        on_unreadable(file, (error.strerror or str(error)).lower())
    except _DAMAGED:
        on_unreadable(file, "the compressed file is damaged or not complete")


def _open(file: Path) -> IO[bytes]:
    match file.suffix:
        case ".gz":
            return cast(IO[bytes], gzip.open(file, "rb"))
        case ".bz2":
            return bz2.open(file, "rb")
        case ".xz":
            return lzma.open(file, "rb")
    return file.open("rb")
