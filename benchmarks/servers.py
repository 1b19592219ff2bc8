"""The servers of a run: Carebell itself, and those beside it, each started anew on an empty folder for every round."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

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

    def cpu_seconds(self) -> float:
        """User and system time so far, of the process and those that it started."""
        return sum(_cpu_seconds(pid) for pid in family(self.pid))

    def memory(self, what: str = "VmRSS") -> float:
        """Megabytes resident; `VmHWM`: at most so far."""
        line = next(line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024


def family(pid: int) -> list[int]:
    """The process and its descendants, as far as they live."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *(descendant for child in children.read_text().split() for descendant in family(int(child)))]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


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
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder, env=environment
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
            process.kill()
            process.wait(_PATIENCE)
            process.stdout.close()
    shutil.rmtree(folder)


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
