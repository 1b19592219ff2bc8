"""Whether system calls can be traced here."""

from __future__ import annotations

import shutil
import subprocess


class NoTrace(Exception):
    """They cannot; the text says why."""


def strace() -> str:
    """The program, tried out. NoTrace where it is missing or not permitted."""
    found = shutil.which("strace")
    if found is None:
        raise NoTrace("strace is not installed")
    if subprocess.run([found, "-f", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        raise NoTrace("strace may not trace here")
    return found
