"""Read the log with its rotated files: numbered or dated files, compressed or not, oldest first, then the log itself.

A name is `carebell.log.1`, `carebell.log-20260301`, `carebell.log.2026-03-01` or, by logrotate's `extension`,
`carebell-20260301.log`, with or without `.gz`, `.bz2` or `.xz` at the end. The order comes from the lines, not from the names,
because logrotate configurations name files differently.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from journal.read import LONGEST_LINE, Line, Wanted, follow, instant_of, parse_line, read_stream

_STAMP: Final = r"[.-]\d[\d.T_-]*"
_COMPRESSED: Final = r"\.(?:gz|bz2|xz)"
_DAMAGED: Final = (EOFError, zlib.error, lzma.LZMAError)  # besides OSError, which gzip and bz2 raise

OnUnreadable = Callable[[Path, str], None]
"""Called with a rotated file that cannot be read completely, and the reason."""


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
    """The selected lines of the rotated files and of the log at `path`, which need not exist.

    Args:
        idle: None: only the lines that the files hold now. Otherwise every added line too, as in `journal.read.follow`.

    Raises:
        OSError: the log itself cannot be read.
    """
    reported: set[Path] = set()

    def report(file: Path, why: str) -> None:
        if file not in reported:
            reported.add(file)
            on_unreadable(file, why)

    # opened before the others are listed, so that a rotation meanwhile loses and repeats nothing
    current = _opened(path)
    try:
        status = os.fstat(current.fileno())
        rotated = _rotated_files(path, (status.st_dev, status.st_ino), report)
        for index, file in enumerate(rotated, 1):
            if wanted.since is not None and index < len(rotated) and rotated[index].first < wanted.since:
                continue  # all of it is older
            yield from _lines_of(file.path, wanted, report)
        yield from read_stream(current, wanted) if idle is None else follow(path, wanted, idle, opened=current)
    finally:
        current.close()


def _opened(path: Path) -> BinaryIO:
    """The open log; an empty stream if the log does not exist between a rotation and the service's next line."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return Path(os.devnull).open("rb")


def rotated_names(path: Path) -> list[str]:
    """The names of the rotated files of the log at `path`, in no order."""
    behind = rf"{re.escape(path.name)}{_STAMP}"
    within = rf"{re.escape(path.stem)}{_STAMP}{re.escape(path.suffix)}"
    pattern = re.compile(rf"(?:{behind}|{within})(?:{_COMPRESSED})?")
    with suppress(OSError):
        names = {file.name for file in path.parent.iterdir() if pattern.fullmatch(file.name) and file.is_file()}
        # While a file is being compressed, an incomplete copy is beside it.
        return [name for name in names if re.sub(rf"{_COMPRESSED}$", "", name) not in names - {name}]
    return []


def _rotated_files(path: Path, current: tuple[int, int], on_unreadable: OnUnreadable) -> list[_RotatedFile]:
    """The rotated files, oldest first, without those that hold no log line, and without the file that is open as the log."""
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


def _lines_of(file: Path, wanted: Wanted, on_unreadable: OnUnreadable) -> Iterator[Line]:
    """The selected lines of the file, as far as it can be read."""
    with _reported(file, on_unreadable), _open(file) as stream:
        yield from read_stream(stream, wanted)


def _raw_lines(file: Path, on_unreadable: OnUnreadable) -> Iterator[bytes]:
    """The lines of the file, as far as it can be read."""
    with _reported(file, on_unreadable), _open(file) as stream:
        while raw := stream.readline(LONGEST_LINE):
            yield raw


@contextmanager
def _reported(file: Path, on_unreadable: OnUnreadable) -> Iterator[None]:
    """What goes wrong in reading is reported, and ends it."""
    try:
        yield
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
