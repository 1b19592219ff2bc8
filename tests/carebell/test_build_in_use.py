"""What runs is told by where its modules come from."""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec

import pytest

import parser.er7
from carebell import build_in_use


def test_it_is_told_by_the_module_that_runs() -> None:
    file = parser.er7.__file__
    assert file is not None
    build = "pure Python" if file.endswith(".py") else "compiled"
    assert build_in_use.build_in_use() == build
    assert build == os.environ.get("CAREBELL_BUILD", build)  # the gate says which it means to test


@pytest.mark.parametrize(
    ("origin", "build"),
    [("er7.py", "pure Python"), ("er7.pyc", "pure Python"), *((f"er7{suffix}", "compiled") for suffix in EXTENSION_SUFFIXES)],
)  # fmt: skip
def test_the_ends_of_files(origin: str, build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_in_use, "find_spec", lambda name: ModuleSpec(name, None, origin=origin))
    assert build_in_use.build_in_use() == build
    assert sys.modules["parser.er7"] is parser.er7
