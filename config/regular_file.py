"""Reading a file that a person named: never waiting for one that is none (a named pipe without a writer, a device)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_regular(path: Path, limit: int = -1) -> bytes:
    """The content, `limit` bytes of it at most.

    Raises:
        OSError: as `open` does; and for what is no regular file, with words for a person in `strerror`.
    """
    with open(path, "rb", opener=_without_waiting) as stream:  # a folder is refused by `open` itself
        mode = os.fstat(stream.fileno()).st_mode
        if not stat.S_ISREG(mode):
            kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
            raise OSError(errno.EINVAL, f"it is {kind}, not a file")
        return stream.read(limit)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
