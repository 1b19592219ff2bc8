"""The Carebells of a run: this checkout as plain Python and compiled, and that of a baseline commit; same interpreter and packages.

Each is a search path for modules, put before everything else by PYTHONPATH, so that one virtual environment serves them all. What
it really leads to is asked of an interpreter before anything is measured.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from benchmarks.messages import Messages
from benchmarks.servers import CAREBELL, COMPILED_NAME, Missing, Server, carebell

ROOT: Final = Path(__file__).parents[1]
BASELINE: Final = "3627648"
"""The commit before the work on speed: what the targets against itself are measured from."""
KEPT: Final = ROOT / "build" / "benchmark-wheels"
"""Compiled wheels by what they were built from, so that a second run builds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One Carebell.

    Attributes:
        name: for the tables. path: folders, in the order in which modules are looked up.
        has_workers: whether its `serve` knows `--workers`.
    """

    name: str
    path: Sequence[Path]
    has_workers: bool

    @property
    def variables(self) -> dict[str, str]:
        """For the environment of a program that should run on it."""
        return {"PYTHONPATH": os.pathsep.join(map(str, self.path))}

    def server(self, workers: int | None = None, *, slower_milliseconds: float = 0.0) -> Server:
        """`carebell serve` of this edition.

        Args:
            workers: None: as many as it starts by default.
            slower_milliseconds: added to every commit.
        """
        count = "" if workers is None else f", {workers} worker{'s' if workers > 1 else ''}"
        slower = f", +{slower_milliseconds:g} ms a commit" if slower_milliseconds else ""
        return Server(
            name=f"{self.name}{count}{slower}",
            does=CAREBELL.does,
            command=lambda folder, messages: self._command(folder, messages, workers),
            variables={**self.variables, "CAREBELL_BENCH_COMMIT_MS": f"{slower_milliseconds:g}"},
        )

    def _command(self, folder: Path, messages: Messages, workers: int | None) -> Sequence[str]:
        command = carebell(folder, messages)
        if workers is None or (workers == 1 and not self.has_workers):
            return command
        if not self.has_workers:
            raise Missing("this edition's `carebell serve` has no --workers")
        return [*command, "--workers", str(workers)]


@dataclass
class Editions:
    """Made when they are first asked for.

    Attributes:
        place: an empty folder for the baseline's checkout.
        baseline_commit: what `baseline` is.
    """

    place: Path
    baseline_commit: str = BASELINE
    _missing: dict[str, Missing] = field(default_factory=dict)

    @cached_property
    def pure(self) -> Edition:
        """This checkout, as it is, uncommitted changes too."""
        return _edition(CAREBELL.name, [ROOT], compiled=False)

    @property
    def compiled(self) -> Edition:
        """This checkout's compiled wheel, built here. Missing: no compiler."""
        return self._made("compiled")

    @property
    def baseline(self) -> Edition:
        """Missing: no such commit, as where the history was cut off."""
        return self._made("baseline")

    def _made(self, name: str) -> Edition:
        if name in self._missing:
            raise self._missing[name]
        try:
            return self._compiled if name == "compiled" else self._baseline
        except Missing as reason:
            self._missing[name] = reason
            raise

    @cached_property
    def _compiled(self) -> Edition:
        return _edition(COMPILED_NAME, [_compiled_rooms(), ROOT], compiled=True)

    @cached_property
    def _baseline(self) -> Edition:
        folder = self.place / "baseline"
        commit = f"{self.baseline_commit}^{{commit}}"
        for command in (
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder)],
            ["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise Missing(f"no baseline {self.baseline_commit} here: {_last_line(done.stderr)}")
        return _edition(f"{CAREBELL.name} at {self.baseline_commit}", [folder], compiled=False)


def _edition(name: str, path: Sequence[Path], *, compiled: bool) -> Edition:
    """RuntimeError: the path leads elsewhere than it should; nothing would be worse than to measure the wrong one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}

    def asked(*words: str) -> str:
        command = [sys.executable, *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment, cwd=path[0].parent
        ).stdout

    file = Path(asked("-c", "import parser.er7; print(parser.er7.__file__)").strip())
    if not file.is_relative_to(path[0]) or (file.suffix == ".so") != compiled:
        raise RuntimeError(f"{name} would run {file}")
    return Edition(name=name, path=path, has_workers="--workers" in asked("-m", "carebell", "serve", "--help"))


def _compiled_rooms() -> Path:
    """The unpacked wheel of this checkout's present sources."""
    reason = subprocess.run(["sh", ".ci/compile", "--check"], cwd=ROOT, capture_output=True, text=True)
    if reason.returncode != 0:
        raise Missing(_last_line(reason.stderr))
    digest = hashlib.sha256(sys.version.encode())
    for file in [ROOT / "setup.py", *_sources()]:
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    folder = KEPT / digest.hexdigest()[:16]
    if not folder.exists():
        shutil.rmtree(KEPT, ignore_errors=True)
        partial = folder.with_suffix(".partial")
        built = subprocess.run(["sh", ".ci/compile", str(partial)], cwd=ROOT, capture_output=True, text=True)
        if built.returncode != 0:
            raise Missing(f"the compiled wheel could not be built: {_last_line(built.stderr)}")
        [wheel] = partial.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(partial)
        partial.rename(folder)
    return folder


def _sources() -> list[Path]:
    """Every file of every room: the wheel holds what is not compiled too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rooms = (
        "carebell", "certs", "config", "ehr", "journal", "listener", "notifier", "oauth", "parser", "portal", "scheduler",
        "simulator", "store",
    )  # fmt: skip
    names = [name for name in listed.stdout.split("\0") if name.split("/")[0] in rooms]
    return [ROOT / name for name in sorted(names) if (ROOT / name).is_file()]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "no reason given"
