"""`doctor`'s checks of the program, its files, the unit, the clock: everything that needs no database."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from carebell.bootstrap.descriptors import would_not_fit
from carebell.bootstrap.preflight import findings
from carebell.commands.diagnosis import DoctorFinding, Machine, ServiceAccount, State, mode_of
from carebell.commands.install import unit_of
from config.credentials import copy_of
from config.load import Loaded
from config.secret_files import secret_files_in_use
from store.keys import KeyFault, read_key_file

_OLDEST_PYTHON: Final = (3, 11)
_OLDEST_SQLITE: Final = (3, 35)
_LOGROTATE: Final = "/usr/sbin/logrotate"
_FULL: Final = 0.05
_FEW_BYTES: Final = 500_000_000
"""Below a twentieth of the file system, and below this, room is short."""


# The program


def python(
    machine: Machine,
    loaded: Loaded,
    version: tuple[int, ...] = sys.version_info[:3],
    sqlite: tuple[int, ...] = sqlite3.sqlite_version_info,
) -> Iterator[DoctorFinding]:
    written = ".".join(map(str, version))
    if version < _OLDEST_PYTHON:
        yield DoctorFinding(
            check="python", state="wrong", what=f"Python {written} is too old", mend="install Python 3.11 or newer"
        )
    elif loaded.configuration.storage.url.startswith("sqlite") and sqlite < _OLDEST_SQLITE:
        what = f"Python's SQLite is {'.'.join(map(str, sqlite))}; Carebell needs 3.35"
        yield DoctorFinding(check="python", state="wrong", what=what, mend="use a newer Python, or PostgreSQL")
    else:
        yield DoctorFinding(check="python", state="good", what=f"Python {written}, SQLite {'.'.join(map(str, sqlite))}")


def package(
    machine: Machine, loaded: Loaded, distribution: importlib.metadata.Distribution | None = None
) -> Iterator[DoctorFinding]:
    """Every installed file has the content with which it was released, and every required package is there."""
    installed = distribution or importlib.metadata.distribution("carebell")
    changed, files = [], installed.files or []
    hashed = [file for file in files if file.hash is not None]
    for file in hashed:
        path = Path(str(file.locate()))
        if not path.is_file() or (file.hash is not None and _digest(path, file.hash.mode) != file.hash.value):
            changed.append(str(file))
    again = f"pip install --force-reinstall --no-deps carebell=={installed.version}"
    if changed:
        what = f"{len(changed)} files of the package are not as they were released, {changed[0]} for one"
        yield DoctorFinding(check="package", state="wrong", what=what, mend=again)
    elif len(hashed) < 10:
        yield DoctorFinding(
            check="package",
            state="unknown",
            what=f"Carebell {installed.version} runs from a checkout, whose files have no sums",
        )
    else:
        what = f"Carebell {installed.version}, {len(hashed)} files as released"
        yield DoctorFinding(check="package", state="good", what=what)
    absent = [name for name in _required(installed, loaded) if not _is_installed(name)]
    if absent:
        what = f"packages that Carebell needs are missing: {', '.join(absent)}"
        yield DoctorFinding(check="package", state="wrong", what=what, mend=f"pip install {' '.join(absent)}")


def _digest(path: Path, algorithm: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(algorithm, path.read_bytes()).digest()).rstrip(b"=").decode()


def _required(distribution: importlib.metadata.Distribution, loaded: Loaded) -> list[str]:
    names = [
        match[0]
        for requirement in distribution.requires or []
        if "extra ==" not in requirement and (match := re.match(r"[\w.-]+", requirement))
    ]
    return [*names, "psycopg"] if loaded.configuration.storage.url.startswith("postgresql") else names


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


# The configuration and its files


def configuration(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    """What `check-config` says; certificates have a check of their own."""
    problems = [finding for finding in findings(loaded, machine.now) if ".certificates" not in finding.problem.key]
    for finding in problems:
        mend = None if finding.is_warning else "edit it; `carebell check-config` says when it is right"
        state: State = "warning" if finding.is_warning else "wrong"
        yield DoctorFinding(check="configuration", state=state, what=str(finding.problem), mend=mend)
    if not problems:
        yield DoctorFinding(check="configuration", state="good", what=f"{loaded.path}, version {loaded.version}")


def descriptors(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    problems = would_not_fit(loaded) if machine.account is None else []  # the unit sets its own limit
    for problem in problems:
        yield DoctorFinding(check="descriptors", state="warning", what=str(problem), mend="raise `ulimit -n`")
    if not problems:
        yield DoctorFinding(check="descriptors", state="good", what="every configured connection has a file descriptor")


def files(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    """Nobody but root and the service changes the configuration or reads the secrets, and the service reads what it needs."""
    account, clean = machine.account, True
    for path in (loaded.path.absolute().parent, loaded.path):
        if mode_of(path) & 0o002:
            clean = False
            what = f"{path} has mode {mode_of(path):04o}: every account can change the configuration"
            yield DoctorFinding(check="files", state="wrong", what=what, mend=f"chmod o-w {path}")
    for path in _secret_files(loaded):
        if path.is_file() and mode_of(path) & 0o077 and not _is_credential(path, machine):
            clean = False
            what = f"{path} has mode {mode_of(path):04o}: other accounts can open it"
            yield DoctorFinding(check="files", state="wrong", what=what, mend=f"chmod 0400 {path}")
        if account is not None and path.is_file() and not _is_handed_over(path, machine) and not account.may(path, 4):
            clean = False
            what = f"the service's account {account.name} cannot read {path}, and the unit does not hand it over"
            yield DoctorFinding(
                check="files", state="wrong", what=what, mend=f"move it to {_handed_over(machine)} and name it there"
            )
    for path in (path for path in loaded.files if account is not None and path.is_file()):
        if account is not None and path not in _secret_files(loaded) and not _reaches(account, path):
            clean = False
            what = f"the service's account {account.name} cannot read {path}"
            yield DoctorFinding(
                check="files", state="wrong", what=what, mend=f"chgrp {account.name} {path}; chmod 0640 {path}"
            )
    for path in _written(loaded):
        if account is not None and path.exists() and path.stat().st_uid != account.user:
            clean = False
            what = f"{path} belongs to another account than the service's, {account.name}"
            yield DoctorFinding(
                check="files", state="wrong", what=what, mend=f"chown {account.name}:{account.name} {path}"
            )
    if clean:
        whose = f"readable for {account.name}" if account is not None else "readable"
        yield DoctorFinding(
            check="files",
            state="good",
            what=f"configuration, certificates and secrets are {whose} and closed to others",
        )


def _secret_files(loaded: Loaded) -> list[Path]:
    configuration = loaded.configuration
    secrets = [path for _, path in secret_files_in_use(configuration)]
    listeners = [environment.listener.tls for environment in configuration.environments.values()]
    return [configuration.storage.key_file, *secrets, *(tls.key for tls in listeners if tls is not None)]


def _written(loaded: Loaded) -> list[Path]:
    """What the service writes into."""
    configuration = loaded.configuration
    paths = [configuration.log.file, configuration.storage.marker_file]
    url = configuration.storage.url
    if url.startswith("sqlite:///"):
        database = Path(url.removeprefix("sqlite:///"))
        paths += [database.with_name(f"{database.name}{end}") for end in ("", "-wal", "-shm")]
    return [path for path in paths if path is not None]


def _is_credential(path: Path, machine: Machine) -> bool:
    folder = machine.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.is_relative_to(str(folder))


def _handed_over(machine: Machine) -> str:
    """The folder whose secrets the unit hands to the service; empty: none."""
    try:
        match = re.search(r"^LoadCredential=\w+:(\S+)$", machine.unit.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return match[1] if match else ""


def _is_handed_over(path: Path, machine: Machine) -> bool:
    folder = _handed_over(machine)
    return bool(folder) and path.absolute().parent == Path(folder)


def _reaches(account: ServiceAccount, path: Path) -> bool:
    folders = [folder for folder in path.absolute().parents if folder.exists()]
    return account.may(path, 4) and all(account.may(folder, 1) for folder in folders)


def credentials(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    """The running service has the secrets as they are now: systemd hands them over at its start alone."""
    copies = [
        (path, copy) for path in _secret_files(loaded) if (copy := copy_of(path, machine.credentials)) is not None
    ]
    stale = [path for path, copy in copies if path.is_file() and path.read_bytes() != copy.read_bytes()]
    for path in stale:
        what = f"{path} changed since systemd handed it to the running service"
        yield DoctorFinding(check="credentials", state="wrong", what=what, mend="systemctl restart carebell")
    if copies and not stale:
        yield DoctorFinding(
            check="credentials", state="good", what="the running service has the secrets as they are now"
        )


def key(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    try:
        ring = read_key_file(loaded.configuration.storage.key_file)
    except KeyFault as fault:
        mend = "restore the key file from its backup, or run doctor as root (sudo)"
        yield DoctorFinding(check="key", state="wrong", what=str(fault), mend=mend)
    else:
        yield DoctorFinding(
            check="key", state="good", what=f"{loaded.configuration.storage.key_file}: key {ring.current} is in use"
        )


def log(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    file = loaded.configuration.log.file
    if file is None:
        yield DoctorFinding(check="log", state="good", what="no log file is configured; lines go to standard error")
        return
    folder = file.parent
    if not folder.is_dir():
        yield DoctorFinding(
            check="log", state="wrong", what=f"there is no folder {folder} for the log", mend=f"mkdir {folder}"
        )
        return
    if machine.account is not None and not machine.account.may(folder, 3):
        what = f"the service's account {machine.account.name} cannot write into {folder}"
        yield DoctorFinding(
            check="log", state="wrong", what=what, mend=f"chown {machine.account.name} {folder}; chmod 0750 {folder}"
        )
        return
    if machine.account is not None and machine.ask([_LOGROTATE, "--version"]) is None:
        what = f"logrotate is not installed: {file} grows without an end"
        yield DoctorFinding(check="log", state="warning", what=what, mend="apt install logrotate")
    yield room("log", machine, folder)


def room(check: str, machine: Machine, folder: Path) -> DoctorFinding:
    """Whether a folder's file system has room."""
    free, total = machine.space(folder)
    what = f"{folder}: {free / 1e9:.1f} GB of {total / 1e9:.1f} GB are free"
    if free < min(total * _FULL, _FEW_BYTES):
        return DoctorFinding(check=check, state="wrong", what=what, mend="make room: a full disk stores no message")
    return DoctorFinding(check=check, state="good", what=what)


# systemd and the clock


def unit(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    if not machine.unit.exists():
        what = "no unit is installed: nothing starts the service after a boot"
        yield DoctorFinding(
            check="unit", state="unknown", what=what, mend="sudo carebell install (or start it by what you use instead)"
        )
        return
    written = machine.unit.read_text("utf-8")
    started = re.search(r"^ExecStart=(\S+)", written, re.MULTILINE)
    program = Path(started[1]) if started else machine.program
    if started is None or not program.exists():
        what = f"{machine.unit} starts {program}, which is not there"
        yield DoctorFinding(check="unit", state="wrong", what=what, mend="sudo carebell install")
    elif written != unit_of(program):
        what = f"{machine.unit} is not this version's"
        yield DoctorFinding(
            check="unit",
            state="wrong",
            what=what,
            mend="sudo carebell install; changes of your own: systemctl edit carebell",
        )
    elif machine.account is None:
        yield DoctorFinding(
            check="unit", state="wrong", what="there is no account carebell", mend="sudo carebell install"
        )
    else:
        yield from _loaded_unit(machine)


def _loaded_unit(machine: Machine) -> Iterator[DoctorFinding]:
    shown = machine.ask(
        ["systemctl", "show", machine.unit.name, "-p", "ActiveState,UnitFileState,NeedDaemonReload,Result"]
    )
    state = dict(line.split("=", 1) for line in (shown or "").splitlines() if "=" in line)
    active = state.get("ActiveState")
    if not state:
        yield DoctorFinding(check="unit", state="unknown", what="systemd does not answer: is this a container?")
    elif state.get("NeedDaemonReload") == "yes":
        what = "systemd has not read the unit since it changed"
        yield DoctorFinding(
            check="unit", state="wrong", what=what, mend="systemctl daemon-reload && systemctl restart carebell"
        )
    elif active == "failed":
        what = f"the service has failed: {state.get('Result', 'unknown')}"
        yield DoctorFinding(check="unit", state="wrong", what=what, mend="journalctl -u carebell -n 20 says why")
    elif active not in ("active", "reloading"):
        yield DoctorFinding(
            check="unit", state="wrong", what=f"the service is {active}", mend="systemctl start carebell"
        )
    elif state.get("UnitFileState") not in ("enabled", "enabled-runtime"):
        what = "the service runs, and will not be started at a boot"
        yield DoctorFinding(check="unit", state="warning", what=what, mend="systemctl enable carebell")
    else:
        yield DoctorFinding(check="unit", state="good", what=f"{machine.unit} is this version's, active and enabled")


def clock(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    shown = machine.ask(["timedatectl", "show", "-p", "NTPSynchronized", "--value"])
    said = (shown or "").strip()
    if said == "yes":
        yield DoctorFinding(check="clock", state="good", what=f"{machine.now:%Y-%m-%d %H:%M:%S} UTC, synchronised")
    elif said == "no":
        what = f"the clock, {machine.now:%Y-%m-%d %H:%M:%S} UTC, is not synchronised, and texts follow it"
        yield DoctorFinding(check="clock", state="wrong", what=what, mend="install chrony, or timedatectl set-ntp true")
    else:
        what = f"{machine.now:%Y-%m-%d %H:%M:%S} UTC; timedatectl does not say whether it is synchronised"
        yield DoctorFinding(check="clock", state="unknown", what=what)
