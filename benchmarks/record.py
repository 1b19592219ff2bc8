"""What runs have found so far, theme by theme: read from benchmarks/results/figures.json, put together with a new run, written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.figures import Figure, Intake
from benchmarks.intake import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which a theme was measured.

    Attributes:
        when: the date, UTC. load_before, load_after: the machine's load average. minutes: that it took.
        messages, bytes: how many were signed, and how long one is on average; rounds, seconds: of each server.
    """

    when: str
    machine: str
    python: str
    sqlite: str
    load_before: float
    load_after: float
    minutes: float
    messages: int
    bytes: int
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePart:
    """One theme's rows."""

    conditions: Conditions
    intakes: Sequence[Intake] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """Attributes: parts: theme -> its last run."""

    parts: Mapping[str, TablePart]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Empty where there is no file. ValueError: it is of another make."""
        if not file.exists():
            return cls({})
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if "themes" not in content:
            raise ValueError(f"{file.name} is not of this benchmark's make: remove it, or run everything")
        return cls({name: _part(content_part) for name, content_part in content["themes"].items()})

    def write(self, file: Path) -> None:
        """Everything, with every sample and verdict."""
        themes = {
            name: {
                "conditions": asdict(part.conditions),
                "intake": [asdict(row) for row in part.intakes],
                "figures": [asdict(row) | {"verdict": row.verdict} for row in part.figures],
            }
            for name, part in self.parts.items()
        }
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"themes": themes}, indent=1) + "\n", "utf-8")

    def with_parts(self, parts: Mapping[str, TablePart], order: Sequence[str]) -> ResultRecord:
        """The new ones in place of the old; themes that are no more are left out."""
        merged = {**self.parts, **parts}
        return ResultRecord({name: merged[name] for name in order if name in merged})

    @property
    def intakes(self) -> list[Intake]:
        return [row for part in self.parts.values() for row in part.intakes]

    @property
    def figures(self) -> list[Figure]:
        return [row for part in self.parts.values() for row in part.figures]

    def intake_rows(self) -> list[list[str]]:
        """Cells of the first table."""
        return [_dated(row.cells(), part.conditions.when) for part in self.parts.values() for row in part.intakes]

    def figure_rows(self) -> list[list[str]]:
        """Cells of the second table."""
        return [
            _dated(row.cells(), row.when or part.conditions.when)
            for part in self.parts.values()
            for row in part.figures
        ]

    def summary(self) -> str:
        """How many targets are met, missed and not run."""
        verdicts = [row.verdict for row in self.figures if row.target is not None]
        met, not_run = verdicts.count("met"), verdicts.count("not run")
        return f"{met} targets met, {len(verdicts) - met - not_run} missed, {not_run} not run"


def dated(head: Sequence[str]) -> list[str]:
    """A table's head with a column for the date, before the last one, which is long."""
    return [*head[:-1], "measured on", head[-1]]


def _dated(cells: Sequence[str], when: str) -> list[str]:
    return [*cells[:-1], when, cells[-1]]


def _part(part: dict[str, Any]) -> TablePart:
    intakes = [
        Intake(**{**row, "samples": tuple(Sample(**sample) for sample in row["samples"])}) for row in part["intake"]
    ]
    figures = [Figure(**{name: value for name, value in row.items() if name != "verdict"}) for row in part["figures"]]
    return TablePart(conditions=Conditions(**part["conditions"]), intakes=intakes, figures=figures)
