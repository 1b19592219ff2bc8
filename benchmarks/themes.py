"""The themes that a run is made of, in the order of their rows; each may be run alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks import beside, burst, hostile, hot_path, punctuality, replanning, scaling, soak, waiting
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Intake

Measured = Iterator[Intake | Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Attributes: run: yields its rows. minutes: about so many in full, for whoever waits."""

    name: str
    run: Callable[[Bench], Measured]
    minutes: float


def _intake(bench: Bench) -> Measured:
    rows = beside.intakes(bench)
    yield from rows
    yield from beside.figures(bench, rows)


THEMES: Final = (
    Theme(name="intake", run=_intake, minutes=9.0),
    Theme(name="grouping", run=hot_path.grouping, minutes=1.3),
    Theme(name="open-loop", run=hot_path.open_loop, minutes=0.4),
    Theme(name="burst", run=burst.burst, minutes=1.4),
    Theme(name="hostile", run=hostile.beside_hostile, minutes=0.9),
    Theme(name="memory", run=soak.memory, minutes=3.0),
    Theme(name="pending", run=waiting.pending, minutes=1.7),
    Theme(name="punctuality", run=punctuality.punctual, minutes=1.4),
    Theme(name="replanning", run=replanning.beside_intake, minutes=2.4),
    Theme(name="nodes", run=scaling.two_nodes, minutes=1.5),
    Theme(name="databases", run=scaling.databases, minutes=0.8),
    Theme(name="growth", run=scaling.growth, minutes=0.0),
    Theme(name="commands", run=waiting.commands, minutes=0.1),
)


def chosen(names: str) -> tuple[Theme, ...]:
    """Those of a comma-separated list, in their own order. ValueError names one that is not there."""
    wanted = {name.strip() for name in names.split(",")}
    unknown = wanted - {theme.name for theme in THEMES}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not one of {', '.join(theme.name for theme in THEMES)}")
    return tuple(theme for theme in THEMES if theme.name in wanted)
