"""SMS notifications: every text of some days, sent or not, with the sums, a chart, and the rows as a file. Days are in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Final, Protocol

from portal.forms import Form
from portal.page_request import Answer, Download, PageRequest, Shown
from portal.pages.report_charts import ReportDay, bars_by_reason, chart_by_day
from portal.pages.report_days import address, asked_days, one_of, range_links
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

PAGE_ROWS: Final = 50
SHOWN_FIRST: Final = (
    "sent_time",
    "sent_from",
    "sms_notification_type",
    "product_type",
    "status",
    "environment",
    "rule",
    "appointment",
    "reason",
)
"""Columns that are shown until somebody chooses: the product's five, then the four that answer most questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuestion:
    """Which texts.

    Attributes:
        first, last: days of their planned time, both included.
        environment, kind, status, reason: "" for all; `kind` and `status` as the columns have them.
        scope: environments that may be seen; None: all.
    """

    first: date
    last: date
    environment: str = ""
    kind: str = ""
    status: str = ""
    reason: str = ""
    scope: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportChoices:
    """What can be chosen. `columns`: (key, heading), in their order. `reasons`: (reason, words)."""

    columns: Sequence[tuple[str, str]]
    environments: Sequence[str]
    kinds: Sequence[str]
    statuses: Sequence[str]
    reasons: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsReport:
    """Attributes:
    tiles: (name, value), in words.
    rows: column's key -> cell; the newest first.
    after: where the next page begins; "": this is the last one.
    counted_at: how old the sums are, at most.
    """

    tiles: Sequence[tuple[str, str]]
    days: Sequence[ReportDay]
    rows: Sequence[Mapping[str, str]]
    after: str
    counted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """Attributes: words: the reason in a phrase. remedy: what to do, if it should not be so."""

    reason: str
    words: str
    remedy: str
    texts: int


class SmsReportDesk(Protocol):
    """What these pages ask for."""

    def choices(self, scope: frozenset[str] | None) -> ReportChoices: ...

    def report(self, question: ReportQuestion, after: str, limit: int) -> SmsReport: ...

    def silences(self, question: ReportQuestion) -> tuple[Sequence[SilenceRow], datetime]:
        """By reason, the most frequent first; and how old the counts are, at most."""
        ...

    def export(self, by: Session, question: ReportQuestion, browser: Browser) -> Iterable[bytes]:
        """CSV with every column, as `carebell report sms --csv` writes it. An entry of the audit log, before the first byte."""
        ...


def pages(desk: SmsReportDesk) -> tuple[Page, ...]:
    see = Permission.SEE
    return (
        Page(name="SMS notifications", path="/reports/sms", permission=see, menu=True, handler=partial(show, desk)),
        Page(name="SMS notifications as CSV", path="/reports/sms/csv", method="POST", permission=see,
             handler=partial(export, desk)),
        Page(name="Texts not sent", path="/reports/silences", permission=see, menu=True,
             handler=partial(show_silences, desk)),
    )  # fmt: skip


def show(desk: SmsReportDesk, request: PageRequest) -> Answer:
    choices = desk.choices(request.scope)
    question, form = _asked(request.query, request, choices)
    if question is None:
        return _report_page(request, choices, form)
    report = desk.report(question, request.query.get("after", ""), PAGE_ROWS)
    return _report_page(request, choices, form, question, report)


def _report_page(
    request: PageRequest,
    choices: ReportChoices,
    form: Form,
    question: ReportQuestion | None = None,
    report: SmsReport | None = None,
) -> Shown:
    chosen = request.repeated.get("columns", ())
    shown = chosen or SHOWN_FIRST
    columns = [column for column in choices.columns if column[0] in shown] or list(choices.columns[:5])
    own = [("columns", key) for key in chosen]
    fields = [] if question is None else _fields(question)
    return Shown(
        template="sms_report.html",
        title="SMS notifications",
        view={
            "choices": choices,
            "options": _options(choices),
            "columns": columns,
            "ranges": []
            if question is None
            else range_links("/reports/sms", question.first, question.last, request.now, [*fields, *own]),
            "report": report,
            "chart": chart_by_day(report.days) if report is not None else "",
            "more": address("/reports/sms", [*fields, *own, ("after", report.after)])
            if report and report.after
            else "",
            "first_page": address("/reports/sms", [*fields, *own]) if request.query.get("after") else "",
            "silences": address("/reports/silences", fields[:3]),
            "command": "" if question is None else _command(question),
            "fields": fields,
        },
        form=form,
        status=422 if form.errors else 200,
    )


def show_silences(desk: SmsReportDesk, request: PageRequest) -> Answer:
    choices = desk.choices(request.scope)
    question, form = _asked(request.query, request, choices)
    rows: Sequence[SilenceRow] = ()
    counted_at, fields = None, []
    if question is not None:
        rows, counted_at = desk.silences(question)
        fields = _fields(question)
    links = {
        row.reason: address("/reports/sms", [*fields, ("status", "Not sent"), ("reason", row.reason)]) for row in rows
    }
    return Shown(
        template="silences.html",
        title="Texts not sent",
        view={
            "options": _options(choices),
            "ranges": []
            if question is None
            else range_links("/reports/silences", question.first, question.last, request.now, fields),
            "rows": rows,
            "total": sum(row.texts for row in rows),
            "counted_at": counted_at,
            "chart": bars_by_reason([(row.words, row.texts) for row in rows]),
            "links": links,
        },
        form=form,
        status=422 if form.errors else 200,
    )


def export(desk: SmsReportDesk, request: PageRequest) -> Answer:
    choices = desk.choices(request.scope)
    values = {name: request.form.text(name) for name in ("from", "to", "environment", "kind", "status", "reason")}
    question, form = _asked(values, request, choices)
    if question is None:
        return _report_page(request, choices, form)
    name = f"sms-notifications-{question.first}-to-{question.last}.csv"
    chunks = desk.export(request.own_session, question, request.browser)
    return Download(name=name, media_type="text/csv; charset=utf-8", chunks=chunks)


def _asked(
    values: Mapping[str, str], request: PageRequest, choices: ReportChoices
) -> tuple[ReportQuestion | None, Form]:
    """The question, and the form with what was chosen; None with errors in the form."""
    form = Form().filled({name: value for name, value in values.items() if value})
    days, form = asked_days(values, request.now, form)
    if days is None:
        return None, form
    first, last = days
    question = ReportQuestion(
        first=first,
        last=last,
        environment=one_of(values.get("environment", ""), choices.environments),
        kind=one_of(values.get("kind", ""), choices.kinds),
        status=one_of(values.get("status", ""), choices.statuses),
        reason=one_of(values.get("reason", ""), [reason for reason, _ in choices.reasons]),
        scope=request.scope,
    )
    return question, form.filled({"from": str(first), "to": str(last)})


def _options(choices: ReportChoices) -> dict[str, list[tuple[str, str]]]:
    """Field -> (value, words)."""
    every = ("", "All")
    return {
        "environment": [every, *((name, name) for name in choices.environments)],
        "kind": [every, *((kind, kind) for kind in choices.kinds)],
        "status": [every, *((status, status) for status in choices.statuses)],
        "reason": [every, *choices.reasons],
    }


def _fields(question: ReportQuestion) -> list[tuple[str, str]]:
    """The question as fields of a form or an address."""
    named = {
        "from": str(question.first),
        "to": str(question.last),
        "environment": question.environment,
        "kind": question.kind,
        "status": question.status,
        "reason": question.reason,
    }
    return [(name, value) for name, value in named.items() if value]


def _command(question: ReportQuestion) -> str:
    """The same rows at the command line; "" where it has no such filter."""
    if question.kind or question.status or question.reason or (question.scope is not None and not question.environment):
        return ""
    environment = f" --environment {question.environment}" if question.environment else ""
    return f"carebell report sms --from {question.first} --to {question.last}{environment}"
