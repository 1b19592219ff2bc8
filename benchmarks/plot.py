"""The picture: messages a second by server and number of connections, as hand-written SVG on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from benchmarks.figures import Intake

_WIDTH: Final = 860
_LEFT: Final = 190
_RIGHT: Final = 90
_BAR: Final = 13
_GROUP_GAP: Final = 16
_TOP: Final = 56
_COLOURS: Final = ("#b8c9d9", "#7fa1c2", "#41719c", "#1d3f5e")


def draw(intakes: Sequence[Intake]) -> str:
    """An SVG document. Servers that were not run are left out."""
    ran = [intake for intake in intakes if intake.samples]
    servers = list(dict.fromkeys(intake.server for intake in ran))
    connections = sorted({intake.connections for intake in ran})
    colours = {number: _COLOURS[at % len(_COLOURS)] for at, number in enumerate(connections)}
    most = max((sample.rate for intake in ran for sample in intake.samples), default=10.0)
    decades = max(2, math.ceil(math.log10(max(most, 10))))
    scale = (_WIDTH - _LEFT - _RIGHT) / (decades - 1)

    def x(rate: float) -> float:
        return _LEFT + max(0.0, math.log10(max(rate, 10)) - 1) * scale

    parts, y = [], float(_TOP)
    for server in servers:
        rows = [intake for intake in ran if intake.server == server]
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + _BAR * len(rows) / 2 + 4:.0f}" text-anchor="end">{escape(server)}</text>'
        )
        for intake in rows:
            rates = [sample.rate for sample in intake.samples]
            middle = y + _BAR / 2
            width, colour = x(intake.rate) - _LEFT, colours[intake.connections]
            parts.append(
                f'<rect x="{_LEFT}" y="{y:.0f}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}">'
                f"<title>{escape(server)}, {intake.connections} connections: {intake.rate:,.0f}/s</title></rect>"
                f'<path d="M{x(min(rates)):.1f} {middle:.1f}H{x(max(rates)):.1f}" stroke="#000"/>'
                f'<text x="{x(max(rates)) + 5:.1f}" y="{y + _BAR - 3:.0f}" font-size="10">{intake.rate:,.0f}</text>'
            )
            y += _BAR
        y += _GROUP_GAP
    grid = "".join(
        f'<path d="M{x(10**power):.1f} {_TOP - 8}V{y:.0f}" stroke="#ddd"/>'
        f'<text x="{x(10**power):.1f}" y="{y + 14:.0f}" text-anchor="middle" font-size="10">{10**power:,}</text>'
        for power in range(1, decades + 1)
    )
    legend = "".join(
        f'<rect x="{_LEFT + at * 130}" y="30" width="12" height="10" fill="{colours[number]}"/>'
        f'<text x="{_LEFT + at * 130 + 17}" y="39" font-size="11">{number} connection{"s" if number > 1 else ""}</text>'
        for at, number in enumerate(connections)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 24:.0f}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{_LEFT}" y="18" font-size="14">'
        "Acknowledged messages a second (logarithmic; line: slowest to fastest round)</text>"
        f"{legend}{grid}{''.join(parts)}</svg>\n"
    )
