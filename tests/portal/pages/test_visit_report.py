"""The page Visit report, over a desk in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest

from portal.pages import visit_report
from portal.pages.report_charts import VisitDay
from portal.pages.visit_report import TABS, VisitChoices, VisitQuestion, VisitReport
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from tests.portal.pages.staff import NOW, Browser, browsing, words

CANARY = "<script>alert(1)</script>"
COLUMNS = [
    ("start_time", "Start time (UTC)"), ("meeting_id", "Meeting ID"), ("lobby_wait_seconds", "Lobby wait time"),
    ("duration_seconds", "Duration"), ("status", "Status"), ("product_type", "Product type"), ("attendees", "Attendees"),
    ("department", "Department"), ("sms_sent", "SMS sent"), ("appointment", "Appointment ID"),
    ("within_limit", "Within limit"),
]  # fmt: skip
TODAY = NOW.date()


class Desk:
    """Each stored text is a canary."""

    def __init__(self) -> None:
        self.questions: list[VisitQuestion] = []
        self.exported: list[tuple[str, VisitQuestion]] = []
        self.looks: list[tuple[str, int]] = []

    def choices(self, scope: frozenset[str] | None) -> VisitChoices:
        names: Sequence[str] = [name for name in ("production", "test", CANARY) if scope is None or name in scope]
        return VisitChoices(
            columns=COLUMNS, environments=names, statuses=["Completed", "No show"], joined=["Both sides", "One side"]
        )

    def report(self, question: VisitQuestion, after: str, limit: int) -> VisitReport:
        self.questions.append(question)
        self.looks.append((after, limit))
        days = [question.first + timedelta(days=at) for at in range((question.last - question.first).days + 1)]
        return VisitReport(
            tiles=[("Completed", "12"), ("Average duration", "0:20:05")],
            days=[
                VisitDay(
                    day=day, by_status=[("Completed", 3), ("No show", 1), ("a", 0), ("b", 1), ("c", 1)],
                    by_environment=[("production", 4), (CANARY, 2)], lasted=3 * 1230, timed=3, waited=90, waits=2,
                )
                for day in days
            ],
            rows=[{key: f"{heading} {CANARY}" for key, heading in COLUMNS}],
            after="17-abc",
            counted_at=NOW,
        )  # fmt: skip

    def export(self, by: Session, question: VisitQuestion, browser: Peer) -> Iterable[bytes]:
        self.exported.append((by.person.login, question))
        yield b"Start time (UTC),Meeting ID\n"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def browser(desk: Desk) -> Iterator[Browser]:
    with browsing(visit_report.pages(desk)) as browser:
        yield browser.sign_in(Role.SUPPORT)
    assert browser.failures == []


def _headings(html: str) -> list[str]:
    table = html.partition("Visits, the newest first</caption>")[2]
    return [unescape(heading) for heading in re.findall(r'<th scope="col">([^<]+)</th>', table)]


def test_the_first_page_shows_a_week_with_the_products_columns_first(browser: Browser, desk: Desk) -> None:
    answer = browser.get("/reports/visits")
    assert desk.questions == [VisitQuestion(first=TODAY - timedelta(days=6), last=TODAY)]
    assert _headings(answer.text)[:9] == [heading for _, heading in COLUMNS[:9]]
    assert "Within limit" not in _headings(answer.text)
    assert "carebell report visits --from 2026-11-25 --to 2026-12-01" in words(answer)
    assert "Average duration 0:20:05" in words(answer)


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_draws_its_numbers_and_writes_them_beside(browser: Browser, tab: str) -> None:
    answer = browser.get(f"/reports/visits?range=30&tab={tab}")
    [shown] = re.findall(r'<a href="([^"]+)" aria-current="page">' + tab, answer.text)
    assert parse_qsl(urlsplit(unescape(shown)).query) == [("from", "2026-11-02"), ("to", "2026-12-01"), ("tab", tab)]
    assert answer.text.count("<h1") == 1
    figures = re.findall(r"<figure>.*?</figure>", answer.text, re.DOTALL)
    assert len(figures) == (2 if tab == "Duration" else 1)
    for figure in figures:
        assert figure.count('<tr><th scope="row">2026-') == 30
    if tab == "Duration":
        assert "20.5 minutes" in figures[0]
        assert "<td>20.5</td><td>3</td>" in figures[0]
        assert "<td>0.8</td><td>2</td>" in figures[1]
    if tab == "EHR":
        assert "Within limit" in _headings(answer.text)
        assert "<td>4</td><td>2</td>" in figures[0]
    if tab == "Virtual Appointments":
        assert "<td>3</td><td>1</td><td>1</td><td>1</td>" in figures[0], "the rarest are added up"


@pytest.mark.parametrize("address", ["", "?tab=EHR", "?tab=Duration", "?range=90", "?from=x&to=y", "?columns=status"])
def test_nothing_that_is_stored_becomes_markup(browser: Browser, address: str) -> None:
    answer = browser.get(f"/reports/visits{address}")
    assert answer.status_code in (200, 422)
    assert CANARY not in answer.text
    assert not re.search(r"\son\w+=|style=", answer.text)


def test_filters_tab_and_columns_are_kept_from_page_to_page(browser: Browser, desk: Desk) -> None:
    query = (
        "from=2026-11-01&to=2026-11-30&environment=production&status=No+show&joined=One+side&tab=EHR"
        "&columns=status&columns=within_limit"
    )
    answer = browser.get(f"/reports/visits?{query}")
    assert desk.questions == [
        VisitQuestion(
            first=date(2026, 11, 1), last=date(2026, 11, 30), environment="production", status="No show", joined="One side"
        )
    ]  # fmt: skip
    older = re.search(r'<a href="([^"]+)" rel="next">', answer.text)
    assert older is not None
    assert parse_qsl(urlsplit(unescape(older[1])).query) == [*parse_qsl(query), ("after", "17-abc")]
    browser.get(unescape(older[1]))
    assert desk.looks[-1] == ("17-abc", 50)
    assert _headings(answer.text) == ["Status", "Within limit"]
    assert "carebell report visits" not in words(answer), "the command has no such filter"


def test_what_cannot_be_chosen_is_no_filter(browser: Browser, desk: Desk) -> None:
    browser.get("/reports/visits?environment=moon&status=Lost&joined=x&range=1000&columns=nothing&tab=y")
    assert desk.questions == [VisitQuestion(first=TODAY - timedelta(days=6), last=TODAY)]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=soon&to=2026-11-30", "From: choose a day, such as 2026-12-01."),
        ("from=2026-11-30&to=2026-11-29", "To: choose a day that is not before the first."),
        ("from=2020-01-01&to=2026-11-29", "From: choose 366 days at most."),
    ],
)
def test_a_span_that_is_none_is_said_beside_its_field(browser: Browser, desk: Desk, query: str, sentence: str) -> None:
    answer = browser.get(f"/reports/visits?{query}")
    assert (answer.status_code, desk.questions) == (422, [])
    assert answer.text.count(sentence) == 2


def test_many_days_are_drawn_as_weeks(browser: Browser) -> None:
    answer = browser.get("/reports/visits?from=2025-12-01&to=2026-11-30&tab=EHR")
    assert answer.text.count("<rect") == 53 * 2
    assert "Visits by week" in words(answer)


def test_the_file_is_posted_for_with_the_same_question(browser: Browser, desk: Desk) -> None:
    page = browser.get("/reports/visits?from=2026-11-01&to=2026-11-30&joined=One+side")
    form = page.text.partition('action="/reports/visits/csv"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
    answer = browser.post("/reports/visits/csv", {name: value for name, value in fields.items() if name != "csrf"})
    assert answer.text == "Start time (UTC),Meeting ID\n"
    assert answer.headers["content-disposition"] == 'attachment; filename="visits-2026-11-01-to-2026-11-30.csv"'
    assert desk.exported == [("sam", desk.questions[0])]
    assert browser.post("/reports/visits/csv", {"from": "x", "to": "y"}).status_code == 422


def test_an_analyst_sees_own_environments(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.ANALYST, ["test"])
    browser.get("/reports/visits?environment=production")
    assert desk.questions == [VisitQuestion(first=TODAY - timedelta(days=6), last=TODAY, scope=frozenset({"test"}))]
