"""Charts: what is drawn is what was counted, in a drawing that needs nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from portal.charts import STYLE, Series, Table, bars, columns, figure, legend

SERIES = [Series(name="a <b>", values=[1, 0, 4]), Series(name="c", values=[2, 0, 1])]


def heights(svg: str, colour: str) -> list[float]:
    return [
        float(rect.get("height", "0")) for rect in ET.fromstring(svg).findall("rect") if rect.get("class") == colour
    ]


def test_columns_are_as_high_as_their_numbers() -> None:
    svg = columns("Title & more", "Says", ["x", "y", "z"], SERIES, name="n")
    first, second = heights(svg, "c1")
    assert second == pytest.approx(4 * first, rel=0.01)
    assert heights(svg, "c2")[0] == pytest.approx(2 * first, rel=0.01)
    assert "a &lt;b&gt;" in svg
    title = ET.fromstring(svg).find("title")
    assert title is not None
    assert title.text == "Title & more"


@pytest.mark.parametrize("highest", [0, 1, 7, 99, 12_345])
def test_the_grid_covers_the_highest_column(highest: int) -> None:
    svg = columns("T", "D", ["x"], [Series(name="a", values=[highest])], name="n")
    lines = [int(text) for text in re.findall(r'text-anchor="end">(\d+)<', svg)]
    assert lines[0] == 0
    assert lines[-1] >= highest
    assert 2 <= len(lines) <= 6
    assert len({high - low for low, high in pairwise(lines)}) == 1


def test_many_labels_do_not_run_into_each_other() -> None:
    svg = columns("T", "D", [str(day) for day in range(92)], [Series(name="a", values=[1] * 92)], name="n")
    assert svg.count('text-anchor="middle"') <= 8


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = bars("T", "D", [("six", 6), ("three", 3), ("none", 0)], name="n", limit_after=1)
    widths = [float(rect.get("width", "0")) for rect in ET.fromstring(svg).findall("rect")]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)
    assert 'class="limit"' in svg


def test_a_figure_has_its_numbers_as_a_table() -> None:
    table = Table(caption="counts", headings=("Day", "Texts"), rows=[("<Mon>", 3)])
    html = figure("Caption", bars("T", "D", [("Mon", 3)], name="n"), table)
    assert '<th scope="row">&lt;Mon&gt;</th><td>3</td>' in html
    assert html.startswith("<figure><figcaption>Caption</figcaption><svg")
    assert "<caption>counts</caption>" in html


def test_every_colour_is_defined_for_light_and_dark() -> None:
    used = set(re.findall(r'class="(?:key )?(c\d)"', legend([*SERIES, *SERIES])))
    light, dark = STYLE.split("prefers-color-scheme:dark")
    assert used == {"c1", "c2", "c3", "c4"}
    assert all(f".{colour}{{" in light and f".{colour}{{" in dark for colour in used)


def test_no_chart_carries_a_style_or_a_script() -> None:
    drawn = columns("T", "D", ["x"], [Series(name="a", values=[1])], name="n") + legend(SERIES)
    assert "style=" not in drawn
    assert "<script" not in drawn
    assert "://" not in drawn
