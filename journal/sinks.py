"""Write lines to a file, which logrotate may move away, and to a terminal. A failure of either never stops the service.

The file is written with one `write` a line on an O_APPEND descriptor: lines of several threads and processes never mix,
and nothing waits in a buffer when the process is killed.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO, TypeAlias

from journal.lines import people_line

_NEWLINE: Final = "\n"

MODE: Final = 0o640
"""Owner writes, the log reader's group reads, nobody else."""


Shown: TypeAlias = tuple[str, str, Mapping[str, object]]
"""One event for people: level, name, fields."""


class LogFile(logging.Handler):
    """A WatchedFileHandler without a buffer: it re-opens after rotation, continues after a full disk, and counts lost lines.

    The standard handler keeps the text of a failed write in its buffer, raises the error again at the next line and at close, and
    prints the traceback with the record to stderr. Here a line is either written or lost, and lost lines are counted.

    Attributes:
        failures: lines lost since the start.
        lost: lines lost since the last one that was written.
        open_to_others: the file's mode is wider than `MODE`, and this process may not change it.
    """

    def __init__(self, path: Path, on_failure: Callable[[], None]) -> None:
        """Open the file. OSError: it cannot be opened; at the start this is a configuration error."""
        super().__init__()
        self.path = path
        self.failures = 0
        self.lost = 0
        self.open_to_others = False
        self._on_failure = on_failure
        self._torn = False
        self._descriptor = -1
        self._identity = (-1, -1)
        self._open()

    def write(self, line: str) -> int:
        """As `write_all`, one line."""
        return self.write_all((line,))

    def write_all(self, lines: Sequence[str]) -> int:
        """Append the lines (no newline in them), each with a newline, in one write; return how many lines were lost before them, if
        they got through.

        Never raises: a line that cannot be written is counted.
        """
        with self.lock or _NO_LOCK:
            whole = 0
            try:
                self._follow_rotation()
                if self._descriptor < 0:
                    raise OSError(errno.ENXIO, "nobody reads the pipe")
                # After half a line (the disk was full) write a newline first, so that the reader skips the incomplete line.
                begin = "\n" if self._torn else ""
                data = f"{begin}{_NEWLINE.join(lines)}\n".encode()
                written = os.write(self._descriptor, data)
                self._torn = self._torn or written > 0
                if written < len(data):
                    whole = max(data[:written].count(b"\n") - len(begin), 0)
                    raise OSError(errno.ENOSPC, "half a line")
            except (OSError, ValueError):
                for _ in range(len(lines) - whole):
                    self.failures += 1
                    self.lost += 1
                    self._on_failure()
                return 0
            self._torn = False
            lost, self.lost = self.lost, 0
            return lost

    def emit(self, record: logging.LogRecord) -> None:
        """Write a library's record. The formatter has made it safe."""
        try:
            self.write(self.format(record))
        except Exception:  # a broken record of a library must not raise in the caller
            self.failures += 1
            self._on_failure()

    def close(self) -> None:
        with self.lock or _NO_LOCK:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        super().close()

    def _open(self) -> None:
        # O_NONBLOCK has no effect on a file. A pipe without a reader, or a full one, must not stop the service.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._descriptor = os.open(self.path, flags, MODE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            self._identity = (-1, -1)  # a pipe that nobody reads: lines are lost and counted until somebody does
            return
        status = os.fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._narrow(status)

    def _narrow(self, status: os.stat_result) -> None:
        """Restrict the mode of a file that others may read (logrotate's `create`, an old umask). A pipe is not changed."""
        if not stat.S_ISREG(status.st_mode) or not stat.S_IMODE(status.st_mode) & ~MODE:
            return
        try:
            os.fchmod(self._descriptor, stat.S_IMODE(status.st_mode) & MODE)
        except PermissionError:  # another account owns it
            self.open_to_others = True

    def _follow_rotation(self) -> None:
        try:
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                return
        except FileNotFoundError:
            pass  # moved away: a new one is made
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._torn = False
        self._open()


class Terminal(logging.Handler):
    """Lines for people on a stream. A closed pipe (`carebell serve | head`) is counted, not raised."""

    def __init__(self, stream: TextIO, on_failure: Callable[[], None], *, colour: bool = False) -> None:
        super().__init__()
        self.failures = 0
        self.colour = colour
        self._stream = stream
        self._on_failure = on_failure

    def show_all(self, time: str, events: Sequence[Shown]) -> None:
        """Write a line for people for each of several events of one moment."""
        self.write("\n".join(people_line(time, *shown, colour=self.colour) for shown in events))

    def write(self, line: str) -> None:
        with self.lock or _NO_LOCK:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: the stream is closed, or cannot encode the character
                self.failures += 1
                self._on_failure()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write(self.format(record))
        except Exception:  # see LogFile.emit
            self.failures += 1
            self._on_failure()


class _NoLock:
    """Replaces a handler's lock, which is None only while logging shuts down."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_NO_LOCK: Final = _NoLock()


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to use colours: only on a terminal, and not if NO_COLOR is set (https://no-color.org) or TERM is `dumb`."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
