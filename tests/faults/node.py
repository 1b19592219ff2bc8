"""A real `carebell serve` in a process of its own, to be loaded, killed and started again; and its configuration."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from ruamel.yaml import YAML

from store.keys import create_key_file

PATIENCE: Final = 60.0
"""Seconds after which a node that does not start, stop or say something is taken for hung: a failure, not a measure."""

_DEADLINE: Final = 300.0
"""The same for a node that says much, but not the line that is waited for."""

_LISTENS: Final = re.compile(r"listening: \S+ \S+:(\d+)")
_ROOT: Final = Path(__file__).parents[2]
LAUNCH: Final = (sys.executable, "-m", "tests.faults.launch")
"""`carebell serve` with what `tests.faults.launch` changes."""
_SERVE: Final = (sys.executable, "-m", "carebell", "serve")


def write_configuration(
    folder: Path,
    certificates: Sequence[bytes],
    *,
    url: str | None = None,
    port: int = 0,
    gateway: Mapping[str, object] | None = None,
    sms: Mapping[str, object] | None = None,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Path:
    """A configuration with one environment, whose texts leave at once into `sent.jsonl`; everything else is beside it.

    Args:
        certificates: the sender's, one or two.
        url: None: SQLite in `folder`/data, which is made.
        port: 0: a free one at each start.
        gateway, sms: over the defaults. change: changes the content before it is written.
    """
    folder.mkdir(exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    names = [f"sender-{hashlib.sha256(certificate).hexdigest()[:8]}.cer" for certificate in certificates]
    for name, certificate in zip(names, certificates, strict=True):
        (folder / name).write_bytes(certificate)
    if not (folder / "carebell.key").exists():
        create_key_file(folder / "carebell.key")
    texts: dict[str, object] = {
        "from": "+14255550100",
        "consent": {"organization_allows_sending": True, "attendees_have_consented": True},
        "confirmation": {"scheduled": True, "updated": True, "canceled": True},
        "reminders": [{"before": "7d", "at": "10:00"}, {"before": "24h"}],
        "quiet_hours": None,
        "debounce": "0s",
    }
    content = {
        "organization": {"name": "Lamna Healthcare", "contact": "+1 425 555 0100"},
        "storage": {"url": url or "sqlite:///data/carebell.db", "key_file": "carebell.key"},
        "gateway": {
            "kind": "file",
            "file": "sent.jsonl",
            "segments_per_second": {"+14255550100": 1000},
            **(gateway or {}),
        },
        "http": {"enabled": False},
        "log": {"file": "carebell.log", "level": "info"},
        "environments": {
            "production": {
                "kind": "production",
                "ehr": "generic",
                "time_zone": "America/Los_Angeles",
                "listener": {"host": "127.0.0.1", "port": port},
                "certificates": names,
                "sender": {
                    "facilities": ["LAMNA"],
                    "receiving_application": "APPTSMS",
                    "receiving_facility": "LAMNA",
                    "processing_ids": ["P"],
                },
                "sms": texts | dict(sms or {}),
            }
        },
    }
    change(content)
    path = folder / "carebell.yaml"
    beside = folder / "carebell.yaml.new"
    with beside.open("w", encoding="utf-8") as file:
        YAML().dump(content, file)
    beside.replace(path)
    return path


def environment_of(base: Mapping[str, str]) -> dict[str, str]:
    """For a program of ours: this checkout's packages, and compiled ones kept, or each start compiles 600 modules anew.

    Where the gate tests the compiled wheel (CAREBELL_BUILD), the packages are those of its PYTHONPATH.
    """
    path = base["PYTHONPATH"] if "CAREBELL_BUILD" in base else str(_ROOT)
    return {**base, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}


class FastTime:
    """Time that runs `speed` times as fast, through one node's end and the next one's start: a text waits for a whole minute."""

    def __init__(self, speed: float = 30.0) -> None:
        self._speed = speed
        self._begun, self._began = datetime.now(UTC), time.monotonic()

    def now(self) -> datetime:
        return self._begun + timedelta(seconds=(time.monotonic() - self._began) * self._speed)

    def options(self) -> tuple[str, ...]:
        """For a node that starts now: `Node(more=...)`."""
        return "--clock", self.now().isoformat(timespec="seconds"), "--speed", str(self._speed)


_STARTED: Final[list[Node]] = []


def _die_with_the_tests() -> None:
    """In the child: whoever kills the tests ends their nodes too (prctl PR_SET_PDEATHSIG, linux/prctl.h)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


_LEASH: Final = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])",
)
"""The same for a node under another program, such as strace, which lets go of what it traced when it is killed."""


def kill_all() -> None:
    """No test leaves a node behind, however it ends."""
    while _STARTED:
        node = _STARTED.pop()
        if node.running:
            node.kill()


class Node:
    """A started service.

    Attributes:
        port: of its listener; None where it has none.
    """

    def __init__(
        self,
        configuration: Path,
        *,
        roles: str = "listener",
        more: Sequence[str] = (),
        environment: Mapping[str, str] = os.environ,
        before: Sequence[str] = (),
        program: Sequence[str] = _SERVE,
        workers: int = 1,
    ) -> None:
        """Start and wait until it listens.

        Args:
            before: words in front of the command, such as strace and its options.
            program: what to run instead of `carebell serve`, with the same arguments.
            workers: processes for its connections; 1: all in one process.
        """
        leash = _LEASH if before else ()
        command = [
            *before,
            *leash,
            *program,
            "-c",
            str(configuration),
            "--roles",
            roles,
            "--workers",
            str(workers),
            *more,
        ]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment_of(environment),
            cwd=configuration.parent,
            start_new_session=True,
            preexec_fn=_die_with_the_tests,
        )
        _STARTED.append(self)
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wanted = _LISTENS if "listener" in roles else re.compile("service started")
        try:
            found = self.wait_for(wanted)
        except BaseException:
            self.kill()
            raise
        self.port = int(found[1]) if "listener" in roles else 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, pattern: re.Pattern[str] | str, *, within: float = _DEADLINE) -> re.Match[str]:
        """The next line of its output that matches, within so many seconds.

        AssertionError with what it said where it ends, hangs, or says something else for too long.
        """
        until = time.monotonic() + within
        while True:
            try:
                line = self._lines.get(timeout=min(PATIENCE, until - time.monotonic()))
            except (Empty, ValueError):  # ValueError: the time is over already
                raise AssertionError(f"no line {pattern!r} in time; the node said: {self._said[-5:]}") from None
            if line is None:
                raise AssertionError(f"the node ended without a line {pattern!r}; it said: {self._said[-5:]}")
            found = re.search(pattern, line)
            if found is not None:
                return found

    def signal(self, number: signal.Signals) -> None:
        """To the node and what it runs under: strace hands a signal on to nobody."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """As a crash: nothing is finished."""
        self.signal(signal.SIGKILL)
        self.ended()

    def stop(self) -> int:
        """As an administrator; the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait until it has ended by itself; the exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._said = [*self._said[-20:], line.rstrip()]
                self._lines.put(line)
        self._lines.put(None)
