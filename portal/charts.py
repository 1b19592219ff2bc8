"""Charts as SVG made on the server: no script, no style attribute, no other file, so that a strict content security policy holds.

Colours are classes (`c1` to `c4`), which `STYLE` defines for a light and a dark background. Every chart has a title and a
description for those who hear it, and `figure` puts the same numbers beside it as a table. The drawing is 360 units wide, so that
its letters can be read on a screen of 320 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from math import ceil
from typing import Final

_WIDTH: Final = 360
_HEIGHT: Final = 190
_LEFT: Final = 34
_TOP: Final = 14
_BOTTOM: Final = 24
_ROW: Final = 22
_MOST_LABELS: Final = 8

STYLE: Final = """
.chart{width:100%;height:auto;max-width:36rem;display:block}
.chart text{fill:currentColor;font:11px system-ui,sans-serif}
.chart .grid{stroke:currentColor;stroke-opacity:.25}
.chart .limit{stroke:currentColor;stroke-width:2;stroke-dasharray:4 3}
.c1{fill:#0b62b4;background:#0b62b4}.c2{fill:#8a5a00;background:#8a5a00}
.c3{fill:#b3261e;background:#b3261e}.c4{fill:#00734f;background:#00734f}
.key{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.3rem 0}
@media (prefers-color-scheme:dark){
.c1{fill:#6cb6ff;background:#6cb6ff}.c2{fill:#e3b341;background:#e3b341}
.c3{fill:#ff8a80;background:#ff8a80}.c4{fill:#56d39b;background:#56d39b}}
@media (max-width:30rem){.chart text{font-size:12px}}
@media (forced-colors:active){.key{forced-color-adjust:none}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One colour of a chart: a value for each label."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A chart's numbers. The first cell of each row is its heading."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]

    def html(self) -> str:
        head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in self.headings)
        body = "".join(
            f'<tr><th scope="row">{escape(str(first))}</th>'
            + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
            + "</tr>"
            for first, *cells in self.rows
        )
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(self.caption)}"><table>'
            f"<caption>{escape(self.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


def columns(title: str, description: str, labels: Sequence[str], series: Sequence[Series], *, name: str) -> str:
    """Stacked columns.

    Args:
        name: unique on the page; ids are made of it.
    """
    heights = [sum(values) for values in zip(*(stack.values for stack in series), strict=True)] or [0]
    step, top = _scale(ceil(max(heights)))
    plot = _HEIGHT - _TOP - _BOTTOM
    width = (_WIDTH - _LEFT - 4) / max(len(labels), 1)
    parts = [_grid(value, _HEIGHT - _BOTTOM - plot * value / top) for value in range(0, top + 1, step)]
    every = -(-len(labels) // _MOST_LABELS)
    for at, label in enumerate(labels):
        x, base = _LEFT + at * width, float(_HEIGHT - _BOTTOM)
        for colour, stack in zip(count(1), series):
            height = plot * stack.values[at] / top
            base -= height
            if height:
                parts.append(
                    f'<rect class="c{colour}" x="{x + width * 0.1:.1f}" y="{base:.1f}" width="{width * 0.8:.1f}" '
                    f'height="{height:.1f}"><title>{escape(label)}: {stack.values[at]} {escape(stack.name)}</title></rect>'
                )
        if at % every == 0:
            parts.append(f'<text x="{x + width / 2:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>')
    return _svg(title, description, "".join(parts), _HEIGHT, name)


def bars(
    title: str, description: str, rows: Sequence[tuple[str, int]], *, name: str, limit_after: int | None = None
) -> str:
    """Horizontal bars, each with its label above it and its value beside it.

    Args:
        limit_after: draw a dashed line below this many rows; None: none.
    """
    longest = max((value for _, value in rows), default=0) or 1
    parts = []
    for at, (label, value) in enumerate(rows):
        y = 4 + at * (_ROW + 8)
        length = (_WIDTH - 44) * value / longest
        parts.append(
            f'<text x="0" y="{y + 10}">{escape(label)}</text>'
            f'<rect class="c1" x="0" y="{y + 14}" width="{max(length, 1):.1f}" height="{_ROW - 12}"/>'
            f'<text x="{length + 5:.1f}" y="{y + 23}">{value}</text>'
        )
    if limit_after is not None:
        y = limit_after * (_ROW + 8) + 1
        parts.append(f'<path class="limit" d="M0 {y}H{_WIDTH}"/>')
    return _svg(title, description, "".join(parts), len(rows) * (_ROW + 8) + 6, name)


def legend(series: Sequence[Series]) -> str:
    """What the colours mean, in words."""
    items = "".join(
        f'<li><span class="key c{colour}"></span>{escape(stack.name)}</li>' for colour, stack in zip(count(1), series)
    )
    return f'<ul class="legend">{items}</ul>'


def figure(caption: str, chart: str, table: Table) -> str:
    """A chart with its caption, and its numbers folded away below it."""
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>{chart}"
        f"<details><summary>The numbers: {escape(table.caption)}</summary>{table.html()}</details></figure>"
    )


def _svg(title: str, description: str, content: str, height: int, name: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
        f"{content}</svg>"
    )


def _grid(value: int, y: float) -> str:
    return (
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
    )


def _scale(highest: int) -> tuple[int, int]:
    """The distance of the grid's lines, 1, 2 or 5 times a power of ten, and the value of the highest of at most six."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if highest <= 5 * step:
                return step, step * max(1, -(-highest // step))
        power *= 10
