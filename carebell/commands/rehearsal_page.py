"""The page of a rehearsal: one HTML file with its charts, which needs no network, no script and no other file.

It names no patient: no visit's id and no text's content, and of a number the last four digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

from carebell.commands.rehearsal_calendar import KINDS, Calendar
from carebell.sms_words import TITLES, WHY
from portal import charts
from portal.charts import Series, Table
from scheduler.sms import Cap, SmsKind

_MOST_TEXTS: Final = 2000
"""Rows of the list of texts; a browser shows more only slowly, and `--json` has all."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root{color-scheme:light dark;--line:#767676;--back:#fff;--fore:#1b1b1b}
@media (prefers-color-scheme:dark){:root{--back:#141618;--fore:#e8e8e8;--line:#8c8c8c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:76rem;background:var(--back);color:var(--fore);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.3rem;margin:2rem 0 .5rem}
h3{font-size:1.05rem;margin:1.5rem 0 .3rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.5rem;margin-top:1.5rem}
figure{margin:0;min-width:0}figcaption{font-weight:600}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{border-bottom:1px solid var(--line);padding:.2rem .6rem;text-align:right;white-space:nowrap}
th:first-child,td.words,thead th.words{text-align:left}
summary{cursor:pointer;padding:.25rem 0}:focus-visible{outline:3px solid currentColor;outline-offset:2px}
@media print{details>*{display:block}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What stands above the calendars.

    Attributes:
        source: where the messages are from, in words.
        messages: how many were heard. rejected: code and text -> how many could not be used.
        made_at: by the machine's clock.
    """

    organization: str
    configuration: str
    source: str
    messages: int
    rejected: dict[str, int]
    made_at: datetime


def page(heading: Heading, calendars: Sequence[Calendar]) -> str:
    """The whole document."""
    title = f"Rehearsal for {heading.organization}"
    sections = "".join(_section(calendar, number) for number, calendar in enumerate(calendars, 1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{charts.STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{_summary(heading)}{sections}</main></body></html>\n"
    )


def _summary(heading: Heading) -> str:
    rejected = "".join(
        f"<li>{count} {'is' if count == 1 else 'are'} refused: {escape(why)}</li>"
        for why, count in heading.rejected.items()
    )
    return (
        f"<p>{heading.messages} messages of {escape(heading.source)} through configuration "
        f"{escape(heading.configuration)}, made on {heading.made_at:%Y-%m-%d at %H:%M} UTC. Nothing was stored or sent. "
        "Opt-outs, and what patients received before the first message, are not part of it.</p>"
        + (f"<ul>{rejected}</ul>" if rejected else "")
    )


def _section(calendar: Calendar, number: int) -> str:
    name = f"e{number}"
    late = calendar.late()
    words = [
        f"{len(calendar.sent)} texts ({calendar.segments()} segments) would be sent",
        f"{len(calendar.silences)} would not",
        f"{calendar.later} wait for a later day",
    ]
    if late:
        words.append(f"{len(late)} would leave late, the latest by {duration(max(late))}: the sender's rate is too low")
    return (
        f"<section aria-labelledby={name}><h2 id={name}>{escape(calendar.environment)}</h2>"
        f"<p>{escape('; '.join(words))}. Times are those of {escape(calendar.zone)}.</p>{_days(calendar)}"
        f'<div class="figures">{_by_hour(calendar, name)}{_by_day(calendar, name)}{_leads(calendar, name)}'
        f"{_reasons(calendar, name)}{_cap(calendar, Cap.PER_DAY, name)}{_cap(calendar, Cap.PER_WEEK, name)}</div>"
        f"{_texts(calendar)}</section>"
    )


def kind_words(kind: SmsKind) -> str:
    return {"booking": "bookings", "change": "changes", "cancellation": "cancellations"}.get(
        TITLES[kind], f"{TITLES[kind]}s"
    )


def duration(span: timedelta) -> str:
    """`1 h 05 min`, `12 min`."""
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def day_table(calendar: Calendar) -> Table:
    """A row for each day: texts by kind, and those that are not sent."""
    counts = [calendar.by_date(kind) for kind in (*KINDS, None)]
    return Table(
        caption=f"Texts by day, {calendar.environment}",
        headings=("Day", *(kind_words(kind).capitalize() for kind in KINDS), "Not sent"),
        rows=[(f"{day:%a %Y-%m-%d}", *(count[at] for count in counts)) for at, day in enumerate(calendar.dates)],
    )


def _days(calendar: Calendar) -> str:
    return day_table(calendar).html()


def _by_hour(calendar: Calendar, name: str) -> str:
    series = [Series(name=kind_words(kind), values=calendar.by_hour(kind)) for kind in KINDS]
    sums = [sum(values) for values in zip(*(stack.values for stack in series), strict=True)]
    busiest = max(range(24), key=lambda hour: sums[hour])
    labels = [f"{hour:02}" for hour in range(24)]
    table = Table(
        caption="texts by hour of the day",
        headings=("Hour", *(stack.name.capitalize() for stack in series)),
        rows=[(label, *(stack.values[hour] for stack in series)) for hour, label in enumerate(labels)],
    )
    chart = charts.columns(
        "Texts by hour of the day",
        f"Most texts, {sums[busiest]}, leave in the hour from {busiest:02}:00.",
        labels, series, name=f"{name}-hours",
    )  # fmt: skip
    return charts.figure("Texts by hour of the day and kind", charts.legend(series) + chart, table)


def _by_day(calendar: Calendar, name: str) -> str:
    series = [Series(name=kind_words(kind), values=calendar.by_date(kind)) for kind in KINDS]
    sums = [sum(values) for values in zip(*(stack.values for stack in series), strict=True)]
    chart = charts.columns(
        "Texts by day",
        f"From {calendar.dates[0]} to {calendar.dates[-1]}; at most {max(sums)} a day.",
        [f"{day:%m-%d}" if len(calendar.dates) > 9 else f"{day:%a %d}" for day in calendar.dates],
        series,
        name=f"{name}-days",
    )
    return charts.figure("Texts by day and kind", charts.legend(series) + chart, day_table(calendar))


def _leads(calendar: Calendar, name: str) -> str:
    leads = calendar.leads()
    table = Table(caption="lead times of reminders", headings=("Before the visit", "Reminders"), rows=leads)
    most = max(leads, key=lambda lead: lead[1])
    chart = charts.bars(
        "How long before the visit reminders arrive", f"Most often {most[0]}: {most[1]}.", leads, name=f"{name}-leads"
    )
    return charts.figure("How long before the visit reminders arrive", chart, table)


def _reasons(calendar: Calendar, name: str) -> str:
    reasons = calendar.reasons()
    if not reasons:
        return "<div><h3>Texts that are not sent</h3><p>None.</p></div>"
    table = Table(
        caption="texts that are not sent, by reason",
        headings=("Reason", "Texts", "Meaning"),
        rows=[(reason, count, WHY[reason]) for reason, count in reasons],
    )
    chart = charts.bars(
        "Texts that are not sent, by reason", f"Most often {reasons[0][0]}: {WHY[reasons[0][0]]}.", reasons,
        name=f"{name}-reasons",
    )  # fmt: skip
    return charts.figure("Texts that are not sent, by reason", chart, table)


def _cap(calendar: Calendar, cap: Cap, name: str) -> str:
    use, span = calendar.cap(cap), "24 hours" if cap is Cap.PER_DAY else "7 days"
    caption = f"The most texts of a number within {span}; caps.{cap.value} is {use.limit} and stops {use.stopped}"
    rows = [(f"{texts} text{'' if texts == 1 else 's'}", numbers) for texts, numbers in use.numbers.items()]
    if not rows:
        return f"<div><h3>{escape(caption)}</h3><p>No number receives any.</p></div>"
    table = Table(caption=f"numbers by their most texts within {span}", headings=("At most", "Numbers"), rows=rows)
    below = sum(texts <= use.limit for texts in use.numbers)
    chart = charts.bars(
        f"Numbers by their most texts within {span}",
        f"The cap is {use.limit}; it stops {use.stopped} texts.",
        rows,
        name=f"{name}-{cap.value}",
        limit_after=below if use.stopped else None,
    )
    return charts.figure(caption, chart, table)


def _texts(calendar: Calendar) -> str:
    shown = calendar.texts[:_MOST_TEXTS]
    rows = [
        (
            f"{calendar.local(text):%a %Y-%m-%d %H:%M}",
            TITLES[text.row.kind] + (f" {text.row.rule}" if text.row.kind is SmsKind.REMINDER else ""),
            text.to.masked if text.to is not None else "nobody",
            "sent" if text.left else f"not sent: {WHY[text.row.reason]}",
        )
        for text in shown
    ]
    more = f", the first {_MOST_TEXTS} of {len(calendar.texts)}" if len(calendar.texts) > _MOST_TEXTS else ""
    caption = f"Every text by its time{more}"
    table = Table(caption=caption, headings=("Time", "Text", "To", "Outcome"), rows=rows)
    return f"<details><summary>{escape(caption)}</summary>{table.html()}</details>"
