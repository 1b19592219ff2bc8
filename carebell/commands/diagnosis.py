"""What `doctor` looks at and what it says: the machine as it sees it, and one sentence for each finding."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from config.credentials import OF_THE_SERVICE
from config.load import Loaded

State = Literal["good", "warning", "wrong", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """One finding.

    Attributes:
        check: a stable word.
        state: `unknown`: it could not be found out, `what` says why.
        mend: what to do about it; None where nothing is to be done.
    """

    check: str
    state: State
    what: str
    mend: str | None = None

    @property
    def row(self) -> dict[str, str | None]:
        return {"check": self.check, "state": self.state, "what": self.what, "mend": self.mend}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """The account that the service runs as."""

    name: str
    user: int
    groups: frozenset[int]

    def may(self, path: Path, wanted: int) -> bool:
        """Whether it may do that with the file itself.

        Args:
            wanted: 4 to read, 2 to write, 1 to enter, or a sum of them.
        """
        status = path.stat()
        if self.user == 0:
            return True
        if status.st_uid == self.user:
            bits = status.st_mode >> 6
        elif status.st_gid in self.groups:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        return bits & wanted == wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the checks ask of the machine; tests put another one in its place.

    Attributes:
        unit: the installed unit. program: what it should start.
        ask: runs a program of the system and gives its output; None: it is not there or failed.
        space: free bytes and all bytes of a path's file system.
        account: None: no unit is installed, and the service runs as whoever starts it.
        online: whether other machines may be asked.
        credentials: the folder of the secrets that systemd has given to the running service.
    """

    now: datetime
    environ: Mapping[str, str]
    unit: Path
    program: Path
    ask: Callable[[Sequence[str]], str | None] = field(repr=False)
    space: Callable[[Path], tuple[int, int]] = field(repr=False)
    account: ServiceAccount | None
    online: bool
    credentials: Path = OF_THE_SERVICE

    @property
    def has_systemd(self) -> bool:
        return self.ask(["systemctl", "--version"]) is not None


Check = Callable[[Machine, Loaded], Iterator[DoctorFinding]]


def this_machine(unit: Path, program: Path, *, online: bool) -> Machine:
    return Machine(
        now=datetime.now(UTC),
        environ=os.environ,
        unit=unit,
        program=program,
        ask=_ask,
        space=_space,
        account=_account("carebell") if unit.exists() else None,
        online=online,
    )


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _account(name: str) -> ServiceAccount | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return ServiceAccount(name=name, user=entry.pw_uid, groups=frozenset(os.getgrouplist(name, entry.pw_gid)))


def _ask(words: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603  # constants
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _space(path: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(path)
    return usage.free, usage.total
