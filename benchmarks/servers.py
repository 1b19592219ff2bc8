"""The servers of a run: Carebell itself, and those beside it, each started anew on an empty folder for every round."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

from benchmarks.messages import Messages
from tests.faults.node import environment_of, write_configuration

_HERE: Final = Path(__file__).parent
_YARDSTICKS: Final = _HERE / "yardsticks"
_READY: Final = re.compile(r"(?:ready|listening: \S+ \S+:|listening: \S+ )\D*(?:127\.0\.0\.1:)?(\d+)")
_PATIENCE: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """This server cannot run here; the text says why, for its row of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Attributes:
    does: what it does with a message, for the table.
    command: (folder, messages) -> its command line; Missing where it cannot run here.
    variables: over the environment. most: connections to ask of it at most; None: any.
    warming: seconds of load before it is measured.
    """

    name: str
    does: str
    command: Callable[[Path, Messages], Sequence[str]]
    variables: Mapping[str, str] = field(default_factory=dict)
    most: int | None = None
    warming: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started server."""

    port: int
    pid: int

    @property
    def processes(self) -> list[int]:
        """The process that was started, and its workers."""
        return family(self.pid)

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes."""
        return sum(_cpu_seconds(process) for process in self.processes)

    def memory(self, what: Literal["VmRSS", "VmHWM"] = "VmRSS") -> float:
        """Megabytes resident, `VmHWM`: at most so far, of its largest process: a worker, where there are several."""
        return max(self._memories(what))

    def whole_memory(self, what: Literal["VmRSS", "VmHWM"] = "VmRSS") -> float:
        """The same of all its processes together; pages that they share count in each."""
        return sum(self._memories(what))

    def _memories(self, what: str) -> list[float]:
        return [_megabytes(process, what) for process in self.processes]


def family(process: int) -> list[int]:
    """A process and its children's children; see proc(5). Those that ended meanwhile are left out."""
    try:
        children = [
            child
            for thread in Path(f"/proc/{process}/task").iterdir()
            for child in (thread / "children").read_text().split()
        ]
    except OSError:
        return []
    return [process, *(member for child in children for member in family(int(child)))]


def _cpu_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _megabytes(process: int, what: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


@contextmanager
def running(
    server: Server, folder: Path, messages: Messages, variables: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start it in an empty `folder`; it is killed at the end."""
    folder.mkdir(parents=True)
    command = server.command(folder, messages)
    environment = {**environment_of(os.environ), **server.variables, **(variables or {})}
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            match = None
            for line in process.stdout:
                match = _READY.search(line)
                if match is not None:
                    break
            if match is None:
                raise Missing(f"did not start: {(folder / 'errors').read_text(errors='replace').strip()[-200:]}")
            yield Running(port=int(match[1]), pid=process.pid)
        finally:
            _kill(process)
            process.stdout.close()
    shutil.rmtree(folder)


def _kill(process: subprocess.Popen[str]) -> None:
    """With its workers, wherever they put themselves: one that lived on would take the next server's CPU."""
    members = family(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in members[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.wait(_PATIENCE)
    until = time.monotonic() + _PATIENCE
    while any(map(_runs, members)) and time.monotonic() < until:
        time.sleep(0.01)


def _runs(process: int) -> bool:
    """Not gone, nor waiting as a zombie for whoever has to ask for its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _python(module: str, *words: str) -> Callable[[Path, Messages], Sequence[str]]:
    return lambda folder, messages: [sys.executable, "-m", module, *words]


def _usual_design(folder: Path, messages: Messages) -> Sequence[str]:
    return [sys.executable, "-m", "benchmarks.yardsticks.usual_design", str(folder / "usual.db")]


def _node(script: str) -> Callable[[Path, Messages], Sequence[str]]:
    def command(folder: Path, messages: Messages) -> Sequence[str]:
        return [_node_with_packages(), str(_YARDSTICKS / script)]

    return command


@cache
def _node_with_packages() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Missing("node and npm are not installed")
    if not (_YARDSTICKS / "node_modules").exists():
        words = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run([npm, "install", "--prefix", _YARDSTICKS, *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise Missing(f"npm could not install it: {done.stderr.strip().splitlines()[0]}")
    return node


def _hapi(folder: Path, messages: Messages) -> Sequence[str]:
    jars, java = os.environ.get("HAPI_JARS"), shutil.which("java")
    if java is None:
        raise Missing("no JVM is installed")
    if jars is None or not list(Path(jars).glob("hapi-base-*.jar")):
        raise Missing(
            "a JVM is here, HAPI's jars are not, and no package of this system brings them: name their folder in HAPI_JARS "
            "(hapi-base, hapi-structures-v251, slf4j-api, commons-lang3)"
        )
    return [java, "-cp", f"{jars}/*", str(_YARDSTICKS / "HapiServer.java")]


def carebell(folder: Path, messages: Messages) -> Sequence[str]:
    """The service as shipped: every role but the portal, JSON log to a file, SQLite with synchronous=FULL."""
    configuration = write_configuration(folder / "carebell", [messages.certificate], sms={"debounce": "60s"})
    return [sys.executable, "-m", "benchmarks.variants", "-c", str(configuration), "--roles", ROLES]


ROLES: Final = "listener,dispatcher,housekeeping"

CAREBELL: Final = Server(name="carebell serve", does="verify, parse, plan, encrypt, commit, ack", command=carebell)
COMPILED_NAME: Final = f"{CAREBELL.name}, compiled"
"""The same from the compiled wheel; `benchmarks.editions` makes it."""
USUAL: Final = Server(name="the usual design", does="parse, ORM, a commit each, ack", command=_usual_design)
PYTHON_HL7: Final = Server(
    name="python-hl7", does="parse, ack; keeps nothing", command=_python("benchmarks.yardsticks.python_hl7")
)
HL7APY: Final = Server(
    name="hl7apy MLLPServer",
    does="parse, ack; keeps nothing",
    command=_python("benchmarks.yardsticks.hl7apy_server"),
    most=16,  # one message a connection and 20 a second: more than this only queues
)
SIMPLE_HL7: Final = Server(name="simple-hl7 (node)", does="split, ack; keeps nothing", command=_node("simple_hl7.js"))
NODE_HL7: Final = Server(name="node-hl7-server", does="parse, ack; keeps nothing", command=_node("node_hl7_server.js"))
HAPI: Final = Server(
    name="HAPI (Java)",
    does="parse, ack; keeps nothing",
    command=_hapi,
    warming=3.0,  # a JVM compiles what it has seen often
)

YARDSTICKS: Final = (USUAL, PYTHON_HL7, HL7APY, SIMPLE_HL7, NODE_HL7, HAPI)
