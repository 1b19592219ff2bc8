"""`install`: what a Debian machine needs to run Carebell as a service: unit, account, folders, configuration, key.

The service's own files are replaced at each call, so that an upgrade brings theirs. A configuration, a key or a certificate that is
there is never touched. With `--root` everything is written below that folder, for an image that is built offline.
"""

from __future__ import annotations

import grp
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from carebell.commands.init import placeholder_certificates
from carebell.commands.interrupt import interruptible
from carebell.commands.output import print_result
from carebell.exits import PermissionStop, Stop
from journal.lines import plain
from store.keys import create_key_file

ACCOUNT: Final = "carebell"
FOLDER: Final = Path("etc/carebell")
CONFIGURATION: Final = FOLDER / "carebell.yaml"
KEY: Final = FOLDER / "secrets" / "carebell.key"
UNIT: Final = Path("etc/systemd/system/carebell.service")
COMMAND: Final = Path("usr/local/bin/carebell")
SYSTEM_FILES: Final[Mapping[Path, str]] = {
    UNIT: "carebell.service",
    Path("etc/sysusers.d/carebell.conf"): "carebell.sysusers",
    Path("etc/tmpfiles.d/carebell.conf"): "carebell.tmpfiles",
    Path("etc/logrotate.d/carebell"): "carebell.logrotate",
    Path("usr/local/share/man/man1/carebell.1"): "carebell.1",
}
"""Path below the root -> name in `carebell/system`."""

_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/_.+@:~-]+")
"""A program's path that a unit can name as it is."""
_HIDDEN: Final = ("home", "root", "run", "tmp", "var/tmp")
"""Folders that the unit hides from the service, or empties at a boot."""
_EDITS: Final[Mapping[str, str]] = {
    "url: sqlite:///carebell.db ": "url: sqlite:////var/lib/carebell/carebell.db ",
    "key_file: carebell.key": "key_file: secrets/carebell.key",
    "# marker_file: null ": "marker_file: /var/lib/carebell/marker ",
    "file: outbox.jsonl": "file: /var/lib/carebell/outbox.jsonl",
    "auth_token_file: ": "auth_token_file: secrets/",
    "token_file: gateway.token": "token_file: secrets/gateway.token",
    "webhook_secret_file: webhook.secret": "webhook_secret_file: secrets/webhook.secret",
    "key: tls.key,": "key: secrets/tls.key,",
    "# alarms: ": "log: {file: /var/log/carebell/carebell.log}\n\n# alarms: ",
}
"""The shipped configuration has everything in one folder; a machine's has it where the system looks for it."""

Run = Callable[[Sequence[str]], None]

_NEXT: Final = """
Next:
  systemctl enable --now carebell     starts it, now and at every boot; texts are printed to the system's log at first
  carebell doctor                     checks the whole installation
  edit /etc/carebell/carebell.yaml    a running service takes every change to it by itself
"""


def install(root: Path | None, *, as_json: bool) -> None:
    """Write the files, make the account and the folders; PermissionStop unless root does it."""
    installation = ServiceInstaller(root=root or Path("/"), program=_program(), run=_run)
    if os.geteuid() != 0:
        raise PermissionStop("install writes into /etc and makes an account: run it as root (sudo)")
    with interruptible() as progress:
        for path, what in installation.steps():
            progress.done = f"{path} and what stands above it are written; run it again to complete it"
            print_result({"file": str(path), "what": what}, f"{what:8} {path}", as_json=as_json)
    if not as_json:
        print(_NEXT, end="")


def unit_of(program: Path) -> str:
    """The unit's text.

    Args:
        program: the console script that it starts.
    """
    return _shipped("carebell.service").replace("@PROGRAM@", str(program))


def service_configuration() -> str:
    """The first configuration of a service: the shipped one, with the paths of a machine."""
    content = resources.files("config").joinpath("carebell.yaml").read_text("utf-8")
    for shipped, installed in _EDITS.items():
        if shipped not in content:
            raise AssertionError(f"the shipped configuration has no {shipped!r}")
        content = content.replace(shipped, installed)
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInstaller:
    """Attributes:
    root: the folder that stands for `/`.
    program: the console script, as the unit starts it.
    run: runs a program of the system; raises Stop with its words if it fails.
    """

    root: Path
    program: Path
    run: Run = field(repr=False)

    def steps(self) -> list[tuple[Path, str]]:
        """Do everything. Each path with what happened to it: wrote, kept or linked."""
        self._require_usable()
        done = [self._replace(path, self._text(name)) for path, name in SYSTEM_FILES.items()]
        self.run(["systemd-sysusers", *self._rooted, "carebell.conf"])
        self.run(["systemd-tmpfiles", *self._rooted, "--create", "carebell.conf"])
        done.append(self._first(CONFIGURATION, service_configuration().encode(), 0o640))
        for name, content in placeholder_certificates().items():
            done.append(self._first(FOLDER / name, content, 0o644))
        done += [self._key(), self._link()]
        if self.root == Path("/") and Path("/run/systemd/system").is_dir():
            self.run(["systemctl", "daemon-reload"])
        return done

    @property
    def _rooted(self) -> list[str]:
        return [] if self.root == Path("/") else [f"--root={self.root.absolute()}"]

    def _require_usable(self) -> None:
        if _PLAIN_PATH.fullmatch(str(self.program)) is None:
            raise Stop(
                f"{plain(str(self.program))}: systemd does not read every sign in a path as it stands; install "
                "Carebell in /opt/carebell (python3 -m venv /opt/carebell). Nothing was written"
            )
        hidden = next((folder for folder in _HIDDEN if self.program.is_relative_to(Path("/") / folder)), None)
        if hidden is not None:
            raise Stop(
                f"{self.program}: the service cannot see programs in /{hidden}; install Carebell in /opt/carebell "
                "(python3 -m venv /opt/carebell). Nothing was written"
            )

    def _text(self, name: str) -> str:
        return unit_of(self.program) if name == "carebell.service" else _shipped(name)

    def _replace(self, path: Path, text: str) -> tuple[Path, str]:
        """A file of ours. What an administrator wrote into it by hand is kept beside it."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            if target.read_text("utf-8") == text:
                return target, "kept"
            shutil.copy2(target, target.with_name(f"{target.name}.before"))
        _write(target, text.encode(), 0o644)
        return target, "wrote"

    def _first(self, path: Path, content: bytes, mode: int) -> tuple[Path, str]:
        """A file that is the administrator's from now on."""
        target = self.root / path
        if target.exists():
            return target, "kept"
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content, mode)
        os.chown(target, 0, self._group())
        return target, "wrote"

    def _key(self) -> tuple[Path, str]:
        target = self.root / KEY
        if target.exists():
            return target, "kept"
        create_key_file(target)
        return target, "wrote"

    def _link(self) -> tuple[Path, str]:
        """`carebell` for everybody's shell. A program of that name that is no link is somebody else's."""
        target = self.root / COMMAND
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            return target, "kept"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(self.program)
        return target, "linked"

    def _group(self) -> int:
        if self.root == Path("/"):
            return grp.getgrnam(ACCOUNT).gr_gid
        for line in (self.root / "etc/group").read_text("utf-8").splitlines():
            name, _, number, *_ = line.split(":")
            if name == ACCOUNT:
                return int(number)
        raise Stop(f"{self.root / 'etc/group'} has no group {ACCOUNT}: systemd-sysusers did not make it")


def _program() -> Path:
    """The console script beside the interpreter: of the environment that this command runs in."""
    program = Path(sys.executable).absolute().with_name("carebell")
    if not program.is_file():
        raise Stop(f"there is no {program}: install Carebell with pip into an environment of its own")
    return program


def _shipped(name: str) -> str:
    return resources.files("carebell").joinpath("system", name).read_text("utf-8")


def _run(words: Sequence[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # words of this module
    except FileNotFoundError:
        raise Stop(
            f"{words[0]} is not on this machine: `carebell install` needs systemd; see docs/how-to/container.md"
        ) from None
    if done.returncode != 0:
        raise Stop(f"{words[0]} failed: {(done.stderr or done.stdout).strip()}")


def _write(path: Path, content: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    beside.replace(path)
