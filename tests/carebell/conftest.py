"""`carebell` as a function: the console script's own `main`, in this process, with what it printed."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

import simulator.ehr
from carebell.__main__ import main
from simulator.ehr import new_key
from tests.story.folder import make


@dataclass(frozen=True, slots=True)
class Ended:
    """Attributes:
    code: the exit code. out, err: what it printed.
    """

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def sentence(self) -> str:
        """The one line that says why it ended."""
        [line] = self.err.splitlines()
        assert line.startswith("carebell: ")
        return line.removeprefix("carebell: ")


Carebell = Callable[..., Ended]


class HungUp(StringIO):
    """Standard output as a pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    @property
    def buffer(self) -> HungUp:  # type: ignore[override]  # whatever is written raises
        return self


_command_tree: Final = cache(typer.main.get_command)
"""A process builds it once, from the annotations of all commands; the tests run a thousand commands in one."""

_KEYS_MADE: Final = 4
"""Of each size; `init` and `demo` make two, and both differ."""


@cache
def _keys(bits: int) -> Iterator[RSAPrivateKey]:
    return itertools.cycle([new_key(bits) for _ in range(_KEYS_MADE)])


@pytest.fixture
def carebell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Carebell:
    """Run `carebell WORDS` in an empty folder, with nothing of this process's environment that it would look at."""
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    monkeypatch.chdir(nowhere)
    monkeypatch.delenv("CAREBELL_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(typer.main, "get_command", _command_tree)
    monkeypatch.setattr(simulator.ehr, "new_key", lambda bits: next(_keys(bits)))  # making one takes half a second
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # `serve` starts no workers of this test's process

    def run(*words: object, typed: str = "") -> Ended:
        monkeypatch.setattr(sys, "argv", ["carebell", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", StringIO(typed))
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return Ended(code=code if isinstance(code, int) else int(code is not None), out=said.out, err=said.err)

    return run


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A sound configuration in a folder of its own."""
    return make(tmp_path / "clinic")
