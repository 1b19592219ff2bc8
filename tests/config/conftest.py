"""A small right configuration in a folder of its own, and that folder as the working one, so that problems name short paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = Path(__file__).with_name("small.yaml").read_text(encoding="utf-8")

Write = Callable[..., Path]


@pytest.fixture
def small() -> str:
    return SMALL


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes `carebell.yaml`, from small.yaml with a change, and returns its relative path."""
    monkeypatch.chdir(tmp_path)

    def write(old: str | None = None, new: str = "") -> Path:
        assert old is None or old in SMALL
        path = Path("carebell.yaml")
        path.write_text(SMALL if old is None else SMALL.replace(old, new, 1), encoding="utf-8")
        return path

    return write
