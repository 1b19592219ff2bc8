"""A journal that writes to a file and to a terminal at a fixed time, and what came out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from journal.events import Event
from journal.events.base import FieldGroup
from journal.logs import Journal, setup

NOW = datetime(2026, 3, 9, 19, 0, 0, 123456, tzinfo=UTC)


def some(event: type[Event], **values: Any) -> Event:
    """An event with these values and no others, whatever the type checker would ask for."""
    return _filled(event, values)  # type: ignore[no-any-return]  # made of any class


def _filled(declared: Any, values: dict[str, Any]) -> Any:
    arguments = {}
    for field in fields(declared):
        is_group = isinstance(field.type, type) and issubclass(field.type, FieldGroup)
        arguments[field.name] = _filled(field.type, values) if is_group else values.get(field.name)
    return declared(**arguments)


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
