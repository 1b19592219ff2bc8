"""A journal that writes to a file and to a terminal at a fixed time, and what came out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from journal.logs import Journal, setup

NOW = datetime(2026, 3, 9, 19, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Written:
    """The journal's outputs."""

    file: Path
    terminal: io.StringIO

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text(encoding="ascii").splitlines()]

    def everything(self) -> str:
        return self.file.read_text(encoding="ascii") + self.terminal.getvalue()


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path / "carebell.log", io.StringIO())


@pytest.fixture
def make(written: Written) -> Iterator[Callable[..., Journal]]:
    made: list[Journal] = []

    def make(**options: Any) -> Journal:
        given: dict[str, Any] = {
            "now": lambda: NOW,
            "file": written.file,
            "terminal": written.terminal,
            "level": logging.DEBUG,
        }
        made.append(setup(**(given | options)))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def journal(make: Callable[..., Journal]) -> Journal:
    return make()
