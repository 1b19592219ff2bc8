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
_COLOURS: Final = 4


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitDay:
    """The visits that started on a day.

    Attributes:
        by_status: (status, how many), the same statuses on each day.
        by_environment: the same for environments.
        lasted, timed: all known durations of visits that both sides joined, in seconds, and how many these are.
        waited, waits: the same for the wait in the lobby.
    """

    day: date
    by_status: Sequence[tuple[str, int]]
    by_environment: Sequence[tuple[str, int]]
    lasted: int
    timed: int
    waited: int
    waits: int


def visits_by_day(days: Sequence[VisitDay], *, by_environment: bool) -> Markup:
    """Columns of how many visits, stacked by status or by environment."""
    groups, labels, by = _groups(days)
    kinds = [day.by_environment if by_environment else day.by_status for day in days[:1]]
    names = [name for counts in kinds for name, _ in counts]

    def counted(day: VisitDay, name: str) -> int:
        return dict(day.by_environment if by_environment else day.by_status)[name]

    series = [
        charts.Series(name=name, values=[sum(counted(day, name) for day in group) for group in groups])
        for name in names
    ]
    series = _most(series)
    total = sum(int(sum(stack.values)) for stack in series)
    stacked = "environment" if by_environment else "status"
    description = f"{total} visits that started from {days[0].day} to {days[-1].day}, stacked by {stacked}."
    drawing = charts.columns(f"Visits by {by}", description, labels, series, name="by-day")
    table = charts.Table(
        caption=f"visits by {by}, in UTC",
        headings=[by.capitalize(), *(stack.name for stack in series)],
        rows=[(group[0].day, *(stack.values[at] for stack in series)) for at, group in enumerate(groups)],
    )
    return Markup(charts.figure(f"Visits by {by}", drawing + charts.legend(series), table))  # noqa: S704  # charts escapes


def averages_by_day(days: Sequence[VisitDay]) -> Markup:
    """Average duration, and average wait in the lobby, in minutes."""
    groups, labels, by = _groups(days)
    drawings = []
    for words, name, parts in (
        ("Average duration", "duration", [[(day.lasted, day.timed) for day in group] for group in groups]),
        ("Average lobby wait time", "lobby-wait", [[(day.waited, day.waits) for day in group] for group in groups]),
    ):
        averages = [
            _minutes(sum(total for total, _ in days_of), sum(number for _, number in days_of)) for days_of in parts
        ]
        series = [charts.Series(name="minutes", values=[average or 0 for average in averages])]
        title = f"{words} by {by}, in minutes"
        description = f"{words} of visits that started from {days[0].day} to {days[-1].day}."
        table = charts.Table(
            caption=f"{words.lower()} by {by}, in UTC",
            headings=[by.capitalize(), "Minutes", "Visits"],
            rows=[
                (group[0].day, "–" if average is None else average, sum(number for _, number in days_of))
                for group, average, days_of in zip(groups, averages, parts, strict=True)
            ],
        )
        drawings.append(charts.figure(title, charts.columns(title, description, labels, series, name=name), table))
    return Markup("".join(drawings))  # noqa: S704  # charts escapes


def _minutes(seconds: int, visits: int) -> float | None:
    """With one decimal; None: the average of nothing."""
    return round(seconds / visits / 60, 1) if visits else None


def _groups(days: Sequence[VisitDay]) -> tuple[list[Sequence[VisitDay]], list[str], str]:
    """By day, or by week if there are many; their labels; `day` or `week`."""
    size = 1 if len(days) <= _MOST_BARS else _WEEK
    groups = [days[at : at + size] for at in range(0, len(days), size)]
    return groups, [f"{group[0].day:%b} {group[0].day.day}" for group in groups], "day" if size == 1 else "week"


def _most(series: Sequence[charts.Series]) -> list[charts.Series]:
    """At most four colours: what is left is "others"."""
    if len(series) <= _COLOURS:
        return list(series)
    by_size = sorted(series, key=lambda stack: -sum(stack.values))
    shown = [stack for stack in series if stack in by_size[: _COLOURS - 1]]
    rest = [stack for stack in series if stack not in shown]
    others = charts.Series(
        name="others", values=[sum(values) for values in zip(*(stack.values for stack in rest), strict=True)]
    )
    return [*shown, others]
