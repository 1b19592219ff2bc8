"""The growth curves of docs/explanation/scaling.md, from `benchmarks/results/growth-*.json`: `python -m benchmarks.curves`.

Writes the picture beside the page and the tables into it; run `benchmarks.growth -o` and `benchmarks.nodes -o` first.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import table
from benchmarks.national import Network, lines, report
from docs.generate import with_block

PAGE: Final = Path(__file__).parents[1] / "docs" / "explanation" / "scaling.md"
PICTURE: Final = PAGE.with_suffix(".svg")
_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 190, 40, 330
_SERIES: Final = (
    ("sqlite", "moved_cpu_us", "SQLite, moved", "#b4540a"),
    ("sqlite", "booked_cpu_us", "SQLite, booked", "#e8a15c"),
    ("postgresql", "moved_cpu_us", "PostgreSQL, moved", "#1d3f5e"),
    ("postgresql", "booked_cpu_us", "PostgreSQL, booked", "#7fa1c2"),
)


def draw(points: Sequence[dict[str, Any]]) -> str:
    """CPU a message over the number of appointments (logarithmic), as SVG."""
    sizes = [point["appointments"] for point in points]
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    most: float = max(point[name] for point in points for _, name, _, _ in _SERIES)
    top: int = math.ceil(most / 100) * 100

    def x(size: float) -> float:
        return _LEFT + float(math.log10(size) - low) / max(high - low, 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(cost: float) -> float:
        return _BOTTOM - float(cost) / top * (_BOTTOM - _TOP)

    parts = [
        f'<path d="M{_LEFT} {y(cost):.0f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 8}" y="{y(cost) + 4:.0f}" text-anchor="end" font-size="11">{cost}</text>'
        for cost in range(0, top + 1, 100)
    ]
    parts += [
        f'<text x="{x(size):.0f}" y="{_BOTTOM + 18}" text-anchor="middle" font-size="11">{size:,}</text>'
        for size in sorted(set(sizes))
    ]
    for backend, name, label, colour in _SERIES:
        own = [point for point in points if point["backend"] == backend]
        if not own:
            continue
        path = "L".join(f"{x(point['appointments']):.1f} {y(point[name]):.1f}" for point in own)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(point["appointments"]):.1f}" cy="{y(point[name]):.1f}" r="3.5" fill="{colour}">'
            f"<title>{label}, {point['appointments']:,}: {point[name]:.0f} us</title></circle>"
            for point in own
        ]
        parts.append(
            f'<text x="{x(own[-1]["appointments"]) + 9:.0f}" y="{y(own[-1][name]) + 4:.0f}" fill="{colour}">{label}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_LEFT}" y="22" font-size="14">The store\'s CPU a message, microseconds</text>{"".join(parts)}'
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">stored appointments</text></svg>\n'
    )


def growth_table(points: Sequence[dict[str, Any]]) -> str:
    head = (
        "database", "appointments", "texts waiting", "booked: CPU us (wall)", "KB written", "moved: CPU us (wall)",
        "KB written", "claim of a text: CPU us", "idle claim ms", "bytes an appointment",
    )  # fmt: skip
    rows = [
        (
            {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[point["backend"]],
            f"{point['appointments']:,}",
            f"{point['pending']:,}",
            f"{point['booked_cpu_us']:.0f} ({point['booked_us']:.0f})",
            f"{point['booked_bytes'] / 1000:.0f}",
            f"{point['moved_cpu_us']:.0f} ({point['moved_us']:.0f})",
            f"{point['moved_bytes'] / 1000:.0f}",
            f"{point['claim_cpu_us']:.0f}",
            f"{point['idle_ms']}",
            f"{point['bytes_each']:,}",
        )
        for point in points
    ]
    return table(head, rows)


def nodes_table(runs: Sequence[Sequence[dict[str, Any]]]) -> Iterator[str]:
    rows = []
    for turns in runs:
        medians = []
        for nodes in (1, 2):
            own = [turn for turn in turns if turn["nodes"] == nodes]
            rates = sorted(turn["rate"] for turn in own)
            medians.append(statistics.median(rates))
            share = own[0]["share"]
            rows.append((
                "the machine's, shared by all" if share is None else f"{share} of a core each", str(nodes),
                f"{medians[-1]:,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})",
                *(f"{statistics.median(turn[name] for turn in own):.{digits}f}"
                  for name, digits in (("p99", 0), ("nodes_cpu", 2), ("server_cpu", 2))),
                f"{medians[-1] / medians[0]:.2f}" if nodes == 2 else "",
            ))  # fmt: skip
    head = (
        "CPU of a node",
        "nodes",
        "messages/s, median (range)",
        "p99 ms",
        "cores in nodes",
        "in PostgreSQL",
        "ratio",
    )
    yield table(head, rows)


def main() -> None:
    points = [point for backend in ("sqlite", "postgresql") for point in lines(f"growth-{backend}.json")]
    PICTURE.write_text(draw(points), encoding="utf-8")
    page = PAGE.read_text("utf-8")
    page = with_block(page, "growth", growth_table(points))
    page = with_block(page, "nodes", "\n".join(nodes_table([lines("nodes.json"), lines("nodes-limited.json")])))
    page = with_block(page, "national", "\n".join(report(Network())))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
