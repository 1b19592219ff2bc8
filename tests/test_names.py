"""Names keep to the field's terms: a class name stands for one thing, and a variable is called after what it holds."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
ROOMS = (
    "benchmarks", "carebell", "certs", "config", "ehr", "journal", "listener", "meetings", "notifier", "oauth", "parser", "portal",
    "scheduler", "simulator", "store",
)  # fmt: skip
SAYS_NOTHING = {"one", "each", "found", "ours", "mine", "told"}
"""Names of variables that do not say what is in them."""

pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "setup.cfg").exists(), reason="not in a checkout: the tests run from the built wheel"
)


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for file in sorted((CHECKOUT / room).rglob("*.py")):
            yield file.relative_to(CHECKOUT).as_posix(), ast.parse(file.read_text("utf-8"))


def test_a_class_name_stands_for_one_thing() -> None:
    modules = defaultdict(list)
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(module)
    assert {name: places for name, places in modules.items() if len(places) > 1} == {}


def test_variables_are_called_after_what_they_hold() -> None:
    named = [
        f"{module}:{getattr(node, 'lineno', 0)}: {name}"
        for module, tree in _modules()
        for node in ast.walk(tree)
        if (name := _variable(node)) is not None and name.strip("_") in SAYS_NOTHING
    ]
    assert named == []


def _variable(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    return node.arg if isinstance(node, ast.arg) else None
