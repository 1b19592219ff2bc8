"""The themes that a run is made of, in the order of their rows; each may be run alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks import (
    against_itself,
    beside,
    burst,
    databases,
    dispatching,
    hostile,
    hot_path,
    portal_pages,
    punctuality,
    replanning,
    scaling,
    soak,
    waiting,
)
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Intake

Measured = Iterator[Intake | Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Attributes: run: yields its rows. minutes, quick: about so many in full and in the quick form, for whoever waits."""

    name: str
    run: Callable[[Bench], Measured]
    minutes: float
    quick: float


def _intake(bench: Bench) -> Measured:
    rows = beside.intakes(bench)
    yield from rows
    yield from beside.figures(bench, rows)


def _dispatch(bench: Bench) -> Measured:
    yield from dispatching.against_itself(bench)
    yield from dispatching.slow_gateway(bench)


THEMES: Final = (
    Theme(name="intake", run=_intake, minutes=5.4, quick=1.7),
    Theme(name="itself", run=against_itself.against_itself, minutes=2.6, quick=1.4),
    Theme(name="grouping", run=hot_path.grouping, minutes=1.1, quick=0.4),
    Theme(name="open-loop", run=hot_path.open_loop, minutes=0.8, quick=0.5),
    Theme(name="burst", run=burst.burst, minutes=0.8, quick=0.8),
    Theme(name="hostile", run=hostile.beside_hostile, minutes=0.9, quick=0.4),
    Theme(name="memory", run=soak.memory, minutes=1.0, quick=0.6),
    Theme(name="pending", run=waiting.pending, minutes=0.4, quick=0.3),
    Theme(name="dispatch", run=_dispatch, minutes=1.2, quick=0.7),
    Theme(name="punctuality", run=punctuality.punctual, minutes=1.2, quick=0.8),
    Theme(name="replanning", run=replanning.beside_intake, minutes=0.7, quick=0.5),
    Theme(name="nodes", run=scaling.two_nodes, minutes=1.1, quick=0.4),
    Theme(name="databases", run=databases.databases, minutes=2.4, quick=0.8),
    Theme(name="growth", run=scaling.growth, minutes=0.0, quick=0.0),
    Theme(name="commands", run=waiting.commands, minutes=0.1, quick=0.1),
    Theme(name="portal", run=portal_pages.portal_pages, minutes=4.0, quick=1.0),
)


def chosen(names: str) -> tuple[Theme, ...]:
    """Those of a comma-separated list, in their own order. ValueError names one that is not there."""
    wanted = {name.strip() for name in names.split(",")}
    unknown = wanted - {theme.name for theme in THEMES}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not one of {', '.join(theme.name for theme in THEMES)}")
    return tuple(theme for theme in THEMES if theme.name in wanted)
