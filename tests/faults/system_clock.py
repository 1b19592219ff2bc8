"""The system's clock under a program, to be set while it runs: `clock.c` and the file that it reads.

clock = SystemClock(tmp_path)                          # NoLayer where it cannot be built
node = Node(..., environment=clock.environment())
clock.set_by(timedelta(days=-1))                       # at once, for the node alone
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_OFFSET: Final = struct.Struct("=q")


class NoLayer(Exception):
    """The layer cannot be built here; the text says why."""


class SystemClock:
    """One clock, shown to every program that runs in its environment.

    Args:
        folder: for the compiled layer and the file that it reads.
    """

    def __init__(self, folder: Path) -> None:
        self._layer = _compiled(folder)
        self._file = folder / "clock.offset"
        self._file.write_bytes(_OFFSET.pack(0))
        self._seconds = 0

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        preloaded = " ".join(filter(None, [str(self._layer), base.get("LD_PRELOAD")]))
        return {**base, "LD_PRELOAD": preloaded, "CAREBELL_CLOCK": str(self._file)}

    def set_by(self, shift: timedelta) -> None:
        """Forward or back, in one step."""
        self._seconds += int(shift.total_seconds())
        with self._file.open("r+b") as file, mmap.mmap(file.fileno(), _OFFSET.size) as shared:
            shared[:] = _OFFSET.pack(self._seconds)

    def now(self) -> datetime:
        """What the programs are shown, UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._seconds)


def _compiled(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoLayer("no C compiler to build the clock's layer with")
    source, layer = Path(__file__).with_name("clock.c"), folder / "clock.so"
    made = subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-shared", "-fPIC", source, "-o", layer, "-ldl"], capture_output=True, text=True
    )
    if made.returncode != 0:
        raise NoLayer(f"the clock's layer does not compile here: {made.stderr.strip().splitlines()[-1]}")
    return layer
