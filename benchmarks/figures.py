"""What a run found, as values: rows of the two tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.intake import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One server at one number of connections, over all rounds; `missing` says why there is none.

    Attributes:
        ratio: how many times as fast Carebell was in the same run, by the medians; None without both.
    """

    server: str
    does: str
    connections: int
    samples: Sequence[Sample] = ()
    missing: str = ""
    ratio: float | None = None

    @property
    def rate(self) -> float:
        return statistics.median(sample.rate for sample in self.samples)

    @property
    def middle(self) -> Sample:
        """The round of the median rate: its p99, idle share and limit are shown."""
        ordered = sorted(self.samples, key=lambda sample: sample.rate)
        return ordered[len(ordered) // 2]

    def cells(self) -> list[str]:
        """A row of the table."""
        head = [self.server, str(self.connections)]
        if not self.samples:
            return [*head, *[""] * 6, self.missing]
        rates, middle = [sample.rate for sample in self.samples], self.middle
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}x"
        return [
            *head,
            f"{self.rate:,.0f}",
            f"{min(rates):,.0f}",
            f"{max(rates):,.0f}",
            ratio,
            f"{middle.p99:.1f}",
            f"{middle.client_idle:.0%}",
            middle.limit,
        ]


HEAD = ("server", "connections", "msg/s", "min", "max", "Carebell is", "p99 ms", "client idle", "what limited it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement beside its target.

    Attributes:
        value: in `unit`; None: not run, and `note` says why.
        target: the bound; `side` says on which side of it `value` should be.
        when: the date it was measured, where that was not in this run.
    """

    name: str
    value: float | None
    unit: str
    target: float | None = None
    side: Literal["at least", "at most"] = "at most"
    note: str = ""
    when: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not run"
        if self.target is None:
            return ""
        met = self.value >= self.target if self.side == "at least" else self.value <= self.target
        if met:
            return "met"
        factor = self.target / self.value if self.side == "at least" else self.value / self.target
        return f"missed by {factor:.1f}x"

    def short_cells(self) -> list[str]:
        """Without target and verdict."""
        return [*self.cells()[:2], self.note]

    def cells(self) -> list[str]:
        digits = 0 if self.value is not None and float(self.value).is_integer() else 2
        value = "" if self.value is None else f"{self.value:,.{digits}f} {self.unit}".rstrip()
        target = "" if self.target is None else f"{self.side} {self.target:,g} {self.unit}".rstrip()
        return [self.name, value, target, self.verdict, self.note]


FIGURE_HEAD = ("what", "measured", "target", "verdict", "note")
SHORT_HEAD = ("what", "measured", "note")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, columns aligned so that it reads well in a terminal too; the last, often long, as it is."""
    widths = [max(len(line[at]) for line in (head, *rows)) for at in range(len(head) - 1)] + [3]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *(line(row) for row in rows)])
