"""One measurement: a server, the load client beside it, and what both cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.messages import Messages
from benchmarks.servers import Running, Server, running

_BUSY: Final = 0.85
"""A share of one core past which a single-threaded program has nothing left to give; of all cores: the machine."""
_CORES: Final = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round. Times in milliseconds, rates a second.

    Attributes:
        client_idle: share of its time that the load client waited. server_cpu: cores that the server used.
        accepted, answered, lost: messages.
        memory: the peak of the server's largest process, megabytes. whole_memory: of all of them; 0: as before there were several.
    """

    rate: float
    p50: float
    p99: float
    client_idle: float
    server_cpu: float
    answered: int
    accepted: int
    lost: int
    memory: float
    whole_memory: float = 0.0

    @property
    def limit(self) -> str:
        """What kept it from being faster."""
        if self.client_idle < 1 - _BUSY:
            return "the load client"
        client = 1 - self.client_idle
        if self.server_cpu > 1.2 and self.server_cpu + client > _BUSY * _CORES:
            return f"the machine's {_CORES} cores (server {self.server_cpu:.2f}, client {client:.2f})"
        if self.server_cpu > _BUSY:
            return f"the server's CPU ({self.server_cpu:.2f} cores)"
        return f"waiting: disk, locks or the other side (server {self.server_cpu:.2f} cores)"


def sample(
    server: Server,
    messages: Messages,
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> Sample:
    """Start the server on nothing, load it, stop it. `Missing` where it cannot run here."""
    with (
        tempfile.TemporaryDirectory(prefix="carebell-bench-") as place,
        running(server, Path(place) / "server", messages, variables) as it,
    ):
        # imports, caches, the first pages
        load(it, messages, connections=min(connections, 16), seconds=server.warming)
        return _measured(it, messages, connections, seconds, rate)


def _measured(it: Running, messages: Messages, connections: int, seconds: float, rate: float | None) -> Sample:
    cpu = it.cpu_seconds()
    totals = load(it, messages, connections=connections, seconds=seconds, rate=rate, skip=_WARMED_UP)
    return Sample(
        rate=totals["rate"],
        p50=totals["p50"],
        p99=totals["p99"],
        client_idle=totals["idle"],
        server_cpu=(it.cpu_seconds() - cpu) / totals["seconds"],
        answered=int(totals["answered"]),
        accepted=int(totals["accepted"]),
        lost=int(totals["lost"]),
        memory=it.memory("VmHWM"),
        whole_memory=it.whole_memory("VmHWM"),
    )


_WARMED_UP: Final = 2000
"""Messages at the file's beginning that only the warming up may send."""


CHECKOUT: Final = Path(__file__).parents[1]


def client_command(
    port: int, messages: Messages, *, connections: int, seconds: float, skip: int = 0, outstanding: int = 1
) -> list[str]:
    """The load client's command line, to be run in `CHECKOUT`."""
    return [
        sys.executable,
        "-m",
        "benchmarks.load",
        "--port",
        str(port),
        "--connections",
        str(connections),
        "--messages",
        str(messages.file),
        "--seconds",
        str(seconds),
        "--skip",
        str(skip),
        "--outstanding",
        str(outstanding),
    ]


def load(
    it: Running,
    messages: Messages,
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    skip: int = 0,
    outstanding: int = 1,
) -> dict[str, float]:
    """The load client's figures; see `benchmarks.load`."""
    command = client_command(
        it.port, messages, connections=connections, seconds=seconds, skip=skip, outstanding=outstanding
    )
    if rate is not None:
        command += ["--rate", str(rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
