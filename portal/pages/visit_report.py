"""Visit report: every video visit of some days in which something happened, with sums, charts, and the rows as a file. Days are in
UTC, by the visits' start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Final, Protocol

from markupsafe import Markup

from portal.forms import Form
from portal.page_request import Answer, Download, PageRequest, Shown
from portal.pages.report_charts import VisitDay, averages_by_day, visits_by_day
from portal.pages.report_days import address, asked_days, one_of, range_links
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

PATH: Final = "/reports/visits"
PAGE_ROWS: Final = 50
TABS: Final = ("Virtual Appointments", "Duration", "EHR")
_FIRST: Final = ("start_time", "meeting_id", "lobby_wait_seconds", "duration_seconds", "status", "product_type")
_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    TABS[0]: (*_FIRST, "attendees", "department", "sms_sent", "appointment", "confirmed", "device_test_result"),
    TABS[1]: ("start_time", "lobby_wait_seconds", "duration_seconds", "status", "attendees", "appointment",
              "patient_left_lobby", "source_of_times"),
    TABS[2]: ("start_time", "duration_seconds", "primary", "department", "attendees", "within_limit", "appointment",
              "environment"),
}  # fmt: skip
"""Tab -> the columns that are shown until somebody chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitQuestion:
    """Which visits.

    Attributes:
        first, last: days of their start, both included.
        environment, status, joined: "" for all; `status` as the column has it, `joined`: who joined.
        scope: environments that may be seen; None: all.
    """

    first: date
    last: date
    environment: str = ""
    status: str = ""
    joined: str = ""
    scope: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitChoices:
    """What can be chosen. `columns`: (key, heading), in their order."""

    columns: Sequence[tuple[str, str]]
    environments: Sequence[str]
    statuses: Sequence[str]
    joined: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitReport:
    """Attributes:
    tiles: (name, value), in words.
    rows: column's key -> cell; the newest first.
    after: where the next page begins; "": this is the last one.
    counted_at: how old the sums are, at most.
    """

    tiles: Sequence[tuple[str, str]]
    days: Sequence[VisitDay]
    rows: Sequence[Mapping[str, str]]
    after: str
    counted_at: datetime


class VisitReportDesk(Protocol):
    """What this page asks for."""

    def choices(self, scope: frozenset[str] | None) -> VisitChoices: ...

    def report(self, question: VisitQuestion, after: str, limit: int) -> VisitReport: ...

    def export(self, by: Session, question: VisitQuestion, browser: Browser) -> Iterable[bytes]:
        """CSV with every column, as `carebell report visits --csv` writes it. An entry of the audit log, before the first byte."""
        ...


def pages(desk: VisitReportDesk) -> tuple[Page, ...]:
    see = Permission.SEE
    return (
        Page(name="Visit report", path=PATH, permission=see, menu=True, handler=partial(show, desk)),
        Page(name="Visit report as CSV", path=f"{PATH}/csv", method="POST", permission=see,
             handler=partial(export, desk)),
    )  # fmt: skip


def show(desk: VisitReportDesk, request: PageRequest) -> Answer:
    choices = desk.choices(request.scope)
    question, form = _asked(request.query, request, choices)
    if question is None:
        return _page(request, choices, form)
    return _page(request, choices, form, question, desk.report(question, request.query.get("after", ""), PAGE_ROWS))


def export(desk: VisitReportDesk, request: PageRequest) -> Answer:
    choices = desk.choices(request.scope)
    values = {name: request.form.text(name) for name in ("from", "to", "environment", "status", "joined")}
    question, form = _asked(values, request, choices)
    if question is None:
        return _page(request, choices, form)
    return Download(
        name=f"visits-{question.first}-to-{question.last}.csv",
        media_type="text/csv; charset=utf-8",
        chunks=desk.export(request.own_session, question, request.browser),
    )


def _page(
    request: PageRequest,
    choices: VisitChoices,
    form: Form,
    question: VisitQuestion | None = None,
    report: VisitReport | None = None,
) -> Shown:
    tab = one_of(request.query.get("tab", ""), TABS) or TABS[0]
    chosen = request.repeated.get("columns", ())
    columns = [column for column in choices.columns if column[0] in (chosen or _SHOWN[tab])] or list(
        choices.columns[:5]
    )
    fields = [] if question is None else _fields(question)
    own = [("tab", tab), *(("columns", key) for key in chosen)]
    return Shown(
        template="visit_report.html",
        title="Visit report",
        view={
            "choices": choices,
            "options": _options(choices),
            "columns": columns,
            "tab": tab,
            "tabs": [(name, address(PATH, [*fields, ("tab", name)]), name == tab) for name in TABS],
            "ranges": []
            if question is None
            else range_links(PATH, question.first, question.last, request.now, [*fields, *own]),
            "report": report,
            "chart": Markup() if report is None else _chart(tab, report.days),
            "more": address(PATH, [*fields, *own, ("after", report.after)]) if report and report.after else "",
            "first_page": address(PATH, [*fields, *own]) if request.query.get("after") else "",
            "command": "" if question is None else _command(question),
            "fields": fields,
        },
        form=form,
        status=422 if form.errors else 200,
    )


def _chart(tab: str, days: Sequence[VisitDay]) -> Markup:
    return averages_by_day(days) if tab == TABS[1] else visits_by_day(days, by_environment=tab == TABS[2])


def _asked(values: Mapping[str, str], request: PageRequest, choices: VisitChoices) -> tuple[VisitQuestion | None, Form]:
    """The question, and the form with what was chosen; None with errors in the form."""
    form = Form().filled({name: value for name, value in values.items() if value})
    days, form = asked_days(values, request.now, form)
    if days is None:
        return None, form
    first, last = days
    question = VisitQuestion(
        first=first,
        last=last,
        environment=one_of(values.get("environment", ""), choices.environments),
        status=one_of(values.get("status", ""), choices.statuses),
        joined=one_of(values.get("joined", ""), choices.joined),
        scope=request.scope,
    )
    return question, form.filled({"from": str(first), "to": str(last)})


def _options(choices: VisitChoices) -> dict[str, list[tuple[str, str]]]:
    """Field -> (value, words)."""
    every = ("", "All")
    return {
        "environment": [every, *((name, name) for name in choices.environments)],
        "status": [every, *((status, status) for status in choices.statuses)],
        "joined": [every, *((side, side) for side in choices.joined)],
    }


def _fields(question: VisitQuestion) -> list[tuple[str, str]]:
    """The question as fields of a form or an address."""
    named = {
        "from": str(question.first),
        "to": str(question.last),
        "environment": question.environment,
        "status": question.status,
        "joined": question.joined,
    }
    return [(name, value) for name, value in named.items() if value]


def _command(question: VisitQuestion) -> str:
    """The same rows at the command line; "" where it has no such filter."""
    if question.status or question.joined or (question.scope is not None and not question.environment):
        return ""
    environment = f" --environment {question.environment}" if question.environment else ""
    return f"carebell report visits --from {question.first} --to {question.last}{environment}"
