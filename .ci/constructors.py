"""Give dataclasses a constructor that mypyc compiles. usage: constructors.py FOLDER   (a copy of the checkout, which is rewritten)

mypyc leaves a dataclass the `__init__` that `dataclasses` writes for it: interpreted, and in a frozen one a call of
`object.__setattr__` for each field, some 0.1 us. A message makes objects with three hundred fields. An `__init__` that stands in
the class becomes a C function that stores pointers (docs/decisions/0017).

Each one is a line of its own, in the place of the empty line behind the last field: no line gets another number.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class Unfit(Exception):
    """This class keeps the constructor that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A field. Attributes: default, factory: source text; None: it has none."""

    name: str
    annotation: str
    default: str | None = None
    factory: str | None = None

    @property
    def parameter(self) -> str:
        if self.factory is not None:
            return f"{self.name}: {self.annotation} | None = None"
        return f"{self.name}: {self.annotation}" + (f" = {self.default}" if self.default is not None else "")

    @property
    def assignment(self) -> str:
        if self.factory is not None:
            return f"self.{self.name} = ({self.factory})() if {self.name} is None else {self.name}"
        return f"self.{self.name} = {self.name}"


def rewritten(source: str) -> str:
    """The module with a constructor in each of its dataclasses that can have one."""
    lines = source.split("\n")
    members: dict[str, list[Member]] = {}
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.ClassDef):
            continue
        options = _options(statement)
        if options is None:
            continue
        try:
            fields = members[statement.name] = _members(statement, members)
        except Unfit:
            continue
        own = [line for line in statement.body if isinstance(line, ast.AnnAssign)]
        behind = own[-1].end_lineno if own else statement.body[-1].end_lineno
        if not fields or behind is None or lines[behind].strip():
            continue
        lines[behind] = "    " + _constructor(fields, options)
    return "\n".join(lines).rstrip("\n") + "\n"


def _options(statement: ast.ClassDef) -> Mapping[str, bool] | None:
    """What the decorator says; None: this is no dataclass, or it has its own constructor."""
    for decorator in statement.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ("dataclass", "dataclasses.dataclass"):
            own = {method.name for method in statement.body if isinstance(method, ast.FunctionDef)}
            options = {str(option.arg): bool(ast.literal_eval(option.value)) for option in decorator.keywords}
            return None if own & {"__init__", "__post_init__"} or not options.get("init", True) else options
    return None


def _members(statement: ast.ClassDef, known: Mapping[str, Sequence[Member]]) -> list[Member]:
    members: list[Member] = []
    for base in statement.bases:
        if not isinstance(base, ast.Name) or base.id not in known:
            raise Unfit
        members += known[base.id]
    return members + [_member(line) for line in statement.body if isinstance(line, ast.AnnAssign)]


def _member(line: ast.AnnAssign) -> Member:
    name, annotation = ast.unparse(line.target), ast.unparse(line.annotation)
    if annotation.startswith("ClassVar"):
        raise Unfit
    default, factory = line.value, None
    if isinstance(default, ast.Call) and ast.unparse(default.func) in ("field", "dataclasses.field"):
        said = {option.arg: option.value for option in default.keywords}
        default, factory = said.get("default"), said.get("default_factory")
        if "init" in said or (factory is not None and "None" in annotation):
            raise Unfit
    return Member(
        name=name,
        annotation=annotation,
        default=None if default is None else ast.unparse(default),
        factory=None if factory is None else ast.unparse(factory),
    )


def _constructor(members: Sequence[Member], options: Mapping[str, bool]) -> str:
    star = ["*"] if options.get("kw_only") else []
    parameters = ", ".join(["self", *star, *(member.parameter for member in members)])
    assignments = "; ".join(member.assignment for member in members)
    frozen = "  # type: ignore[misc]" if options.get("frozen") else ""
    return f"def __init__({parameters}) -> None: {assignments}{frozen}"


def main(folder: Path) -> None:
    """Rewrite the modules that the folder's `setup.py` compiles."""
    sys.path.insert(0, str(folder))
    setup = importlib.import_module("setup")
    for paths in setup.compiled_modules().values():
        for path in paths:
            file = folder / path
            file.write_text(rewritten(file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
