"""What files hold, in 32 bytes each: to tell whether what was read is still what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from config.regular_file import read_regular

ABSENT: Final = b""
"""A file that is missing or cannot be read."""


def digest_of(content: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(content).digest()


def digests_of(paths: Iterable[Path]) -> dict[Path, bytes]:
    """Each file's digest as it is now, or ABSENT. Blocking."""
    return {path: _digest(path) for path in paths}


def _digest(path: Path) -> bytes:
    try:
        return digest_of(read_regular(path))
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return ABSENT
