"""The drawings of the report's pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from markupsafe import Markup

from portal import charts

_MOST_BARS: Final = 62
_WEEK: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDay:
    """The texts planned for a day, by what became of them. `open`: they wait, are under way, or nothing is known yet."""

    day: date
    delivered: int
    failed: int
    not_sent: int
    open: int


def chart_by_day(days: Sequence[ReportDay]) -> Markup:
    """Columns by day; by week, if there are many."""
    size = 1 if len(days) <= _MOST_BARS else _WEEK
    groups = [days[at : at + size] for at in range(0, len(days), size)]
    labels = [f"{group[0].day:%b} {group[0].day.day}" for group in groups]
    series = [
        charts.Series(name="waiting or under way", values=[sum(day.open for day in group) for group in groups]),
        charts.Series(name="not sent", values=[sum(day.not_sent for day in group) for group in groups]),
        charts.Series(name="failed", values=[sum(day.failed for day in group) for group in groups]),
        charts.Series(name="delivered", values=[sum(day.delivered for day in group) for group in groups]),
    ]
    by = "day" if size == 1 else "week"
    total = sum(sum(stack.values) for stack in series)
    description = f"{total} texts planned from {days[0].day} to {days[-1].day}, stacked by what became of them."
    drawing = charts.columns(f"Texts by {by}", description, labels, series, name="by-day")
    rows = [
        (group[0].day, *(stack.values[at] for stack in series)) for at, group in enumerate(groups)
    ]  # fmt: skip
    table = charts.Table(
        caption=f"texts by {by}, in UTC",
        headings=[by.capitalize(), *(stack.name.capitalize() for stack in series)],
        rows=rows,
    )
    return Markup(charts.figure(f"Texts by {by}", drawing + charts.legend(series), table))  # noqa: S704  # charts escapes


def bars_by_reason(rows: Sequence[tuple[str, int]]) -> Markup:
    if not rows:
        return Markup()
    drawing = charts.bars("Texts not sent, by reason", "One bar for each reason.", rows, name="by-reason")
    return Markup(f"<figure><figcaption>Texts not sent, by reason</figcaption>{drawing}</figure>")  # noqa: S704  # charts escapes
