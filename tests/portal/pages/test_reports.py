"""SMS notifications, texts not sent, why, outbox and messages, over desks in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from html import unescape
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from portal.pages import messages, outbox, sms_report, why
from portal.pages.messages import ShownMessage, ShownMessages
from portal.pages.outbox import OutboxPage, OutboxState, OutboxText
from portal.pages.report_charts import ReportDay
from portal.pages.sms_report import ReportChoices, ReportQuestion, SilenceRow, SmsReport
from portal.pages.why import LikelyCause, WhyAnswer, WhyLife, WhyStep
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from tests.portal.pages.staff import NOW, Browser, browsing, words

CANARY = "<script>alert(1)</script>"
ZONE = ZoneInfo("America/Chicago")
COLUMNS = [
    ("sent_time", "Sent time (UTC)"), ("sent_from", "Sent from"), ("sms_notification_type", "SMS notification type"),
    ("product_type", "Product type"), ("status", "Status"), ("environment", "Environment"), ("rule", "Event or rule"),
    ("appointment", "Appointment reference"), ("reason", "Reason"), ("config_version", "Configuration version"),
]  # fmt: skip
NUMBER = "+12025550143"


class Desk:
    """Every desk of these pages; each stored text is a canary."""

    def __init__(self) -> None:
        self.questions: list[ReportQuestion] = []
        self.exported: list[tuple[str, ReportQuestion]] = []
        self.asked: list[tuple[str, str, str, Sequence[str] | None]] = []
        self.looks: list[tuple[object, ...]] = []
        self.rows_after = "17-abc"
        step = WhyStep(at=NOW, verdict=CANARY, title=CANARY, detail=CANARY, remedy=CANARY)
        life = WhyLife(
            reference=CANARY, environment="production", answer=f"The reminder did not go: {CANARY}.", remedy=CANARY,
            zone=ZONE, steps=[step],
        )  # fmt: skip
        self.answer = WhyAnswer(lives=[life], loose=[step], loose_answer=CANARY, notes=[CANARY])

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return [name for name in ("production", "test", CANARY) if scope is None or name in scope]

    def choices(self, scope: frozenset[str] | None) -> ReportChoices:
        return ReportChoices(
            columns=COLUMNS, environments=self.environments(scope), kinds=["Reminder"], statuses=["Delivered", "Not sent"],
            reasons=[("landline", f"only a landline {CANARY}")],
        )  # fmt: skip

    def report(self, question: ReportQuestion, after: str, limit: int) -> SmsReport:
        self.questions.append(question)
        self.looks.append(("report", after, limit))
        days = (question.last - question.first).days + 1
        return SmsReport(
            tiles=[("Delivered", "98.2 %"), ("Of unknown fate", "-")],
            days=[
                ReportDay(day=question.first + timedelta(days=number), delivered=5, failed=1, not_sent=2, open=0)
                for number in range(days)
            ],
            rows=[{key: f"{heading} {CANARY}" for key, heading in COLUMNS}],
            after=self.rows_after,
            counted_at=NOW,
        )  # fmt: skip

    def silences(self, question: ReportQuestion) -> tuple[Sequence[SilenceRow], datetime]:
        self.questions.append(question)
        return [SilenceRow(reason="landline", words=f"a landline {CANARY}", remedy=CANARY, texts=1234)], NOW

    def export(self, by: Session, question: ReportQuestion, browser: Peer) -> Iterable[bytes]:
        self.exported.append((by.person.login, question))
        yield b"Sent time (UTC),Sent from\n"
        yield b"2026-03-02T18:01:00Z,'+1\n"

    def by_name(self, by: Session, name: str, environments: Sequence[str] | None, browser: Peer) -> WhyAnswer:
        self.asked.append(("name", by.person.login, name, environments))
        return self.answer

    def by_number(self, by: Session, number: str, environments: Sequence[str] | None, browser: Peer) -> WhyAnswer:
        self.asked.append(("number", by.person.login, number, environments))
        return self.answer

    def numbers(self, written: str, environments: Sequence[str] | None) -> Sequence[str]:
        return [NUMBER] if written == "2025550143" else []

    def texts(self, state: OutboxState, environments: Sequence[str] | None, after: str, limit: int) -> OutboxPage:
        self.looks.append(("outbox", state, environments, after, limit))
        text = OutboxText(
            due=NOW, environment=CANARY, appointment=CANARY, title=CANARY, state=state, why=CANARY, will_not_go=True,
            attempts=2, to="***0143", zone=ZONE,
        )  # fmt: skip
        return OutboxPage(texts=[text, replace(text, due=None, to=None)], after=self.rows_after, held=["production"])

    def refused(self, environments: Sequence[str] | None) -> Sequence[ShownMessage]:
        self.looks.append(("refused", environments))
        return [
            ShownMessage(
                at=NOW, environment="", control_id=CANARY, event="", appointment="", answer="AR", code="SIG07",
                meaning=CANARY, advice=CANARY, peer="203.0.113.9",
            )
        ]  # fmt: skip

    def why_no_log(self) -> str | None:
        return None

    def processed(self, environments: Sequence[str], after: str, limit: int, *, with_code: bool) -> ShownMessages:
        self.looks.append(("processed", tuple(environments), after, with_code))
        row = ShownMessage(
            at=NOW, environment="production", control_id=CANARY, event="S12", appointment=CANARY, answer="AA", code="",
            meaning="", advice="", zone=ZONE,
        )  # fmt: skip
        return ShownMessages(rows=[row], after=self.rows_after)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def browser(desk: Desk) -> Iterator[Browser]:
    pages = (*sms_report.pages(desk), *why.pages(desk), *outbox.pages(desk), *messages.pages(desk))
    with browsing(pages) as browser:
        yield browser.sign_in(Role.SUPPORT)


ADDRESSES = [
    "/reports/sms", "/reports/sms?range=90", "/reports/sms?columns=status&columns=appointment", "/reports/sms?from=x&to=y",
    "/reports/silences", "/why", "/outbox", "/outbox?state=unknown", "/messages", "/messages?answer=refused",
    "/messages?answer=code",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_that_is_stored_becomes_markup(browser: Browser, address: str) -> None:
    answer = browser.get(address)
    assert answer.status_code in (200, 422)
    assert CANARY not in answer.text
    assert browser.failures == []
    assert not re.search(r"\son\w+=|style=", answer.text)


def test_nothing_of_a_life_becomes_markup(browser: Browser) -> None:
    answer = browser.post("/why", {"telephone": "4711"})
    assert (answer.status_code, browser.failures) == (200, [])
    assert CANARY not in answer.text
    assert words(answer).count(CANARY) >= 9


# SMS notifications


def test_the_first_page_shows_a_week_with_the_products_columns_first(browser: Browser, desk: Desk) -> None:
    answer = browser.get("/reports/sms")
    today = NOW.date()
    assert desk.questions == [ReportQuestion(first=today - timedelta(days=6), last=today)]
    headings = re.findall(
        r'<th scope="col">([^<]+)</th>', answer.text.partition("Texts, the newest first</caption>")[2]
    )
    assert [unescape(heading) for heading in headings[:5]] == [heading for _, heading in COLUMNS[:5]]
    assert "Configuration version" not in headings
    assert "Generated at Dec 1, 2026, 09:00:00 PST" in words(answer)
    assert "carebell report sms --from 2026-11-25 --to 2026-12-01" in words(answer)
    assert "Delivered 98.2 %" in words(answer)
    assert answer.text.count("<rect") == 7 * 3
    assert '<li aria-current="true"><a href="/reports/sms?range=7">7 days</a>' in answer.text


def test_each_row_leads_to_why_by_post(browser: Browser, desk: Desk) -> None:
    page = browser.get("/reports/sms?columns=status").text.partition("<caption>Texts, the newest first")[2]
    [form] = re.findall(r'<form method="post" action="/why">.*?</form>', page)
    fields = dict(re.findall(r'name="(telephone|environment)"[^>]* value="([^"]*)"', form))
    assert {name: unescape(value) for name, value in fields.items()} == {
        "telephone": f"Appointment reference {CANARY}", "environment": f"Environment {CANARY}",
    }  # fmt: skip


def test_filters_and_columns_are_kept_from_page_to_page(browser: Browser, desk: Desk) -> None:
    query = (
        "from=2026-11-01&to=2026-11-30&environment=production&kind=Reminder&status=Not+sent&reason=landline"
        "&columns=status&columns=config_version"
    )
    answer = browser.get(f"/reports/sms?{query}")
    assert desk.questions == [
        ReportQuestion(
            first=date(2026, 11, 1), last=date(2026, 11, 30), environment="production", kind="Reminder", status="Not sent",
            reason="landline",
        )
    ]  # fmt: skip
    older = re.search(r'<a href="([^"]+)" rel="next">', answer.text)
    assert older is not None
    assert parse_qsl(urlsplit(unescape(older[1])).query) == [*parse_qsl(query), ("after", "17-abc")]
    browser.get(unescape(older[1]))
    assert desk.questions[0] == desk.questions[1]
    assert desk.looks[-1] == ("report", "17-abc", 50)
    headings = re.findall(
        r'<th scope="col">([^<]+)</th>', answer.text.partition("Texts, the newest first</caption>")[2]
    )
    assert headings == ["Status", "Configuration version"]
    assert "carebell report sms" not in words(answer), "the command has no such filter"


def test_what_cannot_be_chosen_is_no_filter(browser: Browser, desk: Desk) -> None:
    browser.get("/reports/sms?environment=moon&status=Lost&kind=x&reason=y&range=1000&columns=nothing")
    assert desk.questions == [ReportQuestion(first=NOW.date() - timedelta(days=6), last=NOW.date())]


@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("from=soon&to=2026-11-30", "from", "From: choose a day, such as 2026-12-01."),
        ("from=2026-11-30", "to", "To: choose a day, such as 2026-12-01."),
        ("from=2026-11-30&to=2026-11-29", "to", "To: choose a day that is not before the first."),
        ("from=2020-01-01&to=2026-11-29", "from", "From: choose 366 days at most."),
    ],
)
@pytest.mark.parametrize("path", ["/reports/sms", "/reports/silences"])
def test_a_span_that_is_none_is_said_beside_its_field(
    browser: Browser, desk: Desk, path: str, query: str, field: str, sentence: str
) -> None:
    answer = browser.get(f"{path}?{query}")
    assert (answer.status_code, desk.questions) == (422, [])
    assert answer.text.count(sentence) == 2
    assert f'<a href="#{field}">' in answer.text
    assert "<title>Error: " in answer.text
    for value in dict(parse_qsl(query)).values():
        assert f'value="{value}"' in answer.text, "what was typed is lost"


def test_many_days_are_drawn_as_weeks(browser: Browser) -> None:
    answer = browser.get("/reports/sms?from=2025-12-01&to=2026-11-30")
    assert answer.text.count("<rect") == 53 * 3
    assert "Texts by week" in words(answer)


def test_the_file_is_posted_for_with_the_same_question(browser: Browser, desk: Desk) -> None:
    page = browser.get("/reports/sms?from=2026-11-01&to=2026-11-30&status=Delivered")
    form = page.text.partition('action="/reports/sms/csv"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
    answer = browser.post("/reports/sms/csv", {name: value for name, value in fields.items() if name != "csrf"})
    assert answer.text == "Sent time (UTC),Sent from\n2026-03-02T18:01:00Z,'+1\n"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert (
        answer.headers["content-disposition"] == 'attachment; filename="sms-notifications-2026-11-01-to-2026-11-30.csv"'
    )
    assert desk.exported == [("sam", desk.questions[0])]
    assert browser.post("/reports/sms/csv", {"from": "x", "to": "y"}).status_code == 422
    assert len(desk.exported) == 1


def test_each_reason_leads_to_its_rows(browser: Browser, desk: Desk) -> None:
    answer = browser.get("/reports/silences?range=30&environment=test")
    assert "1,234 texts were not sent" in words(answer)
    link = re.search(r'<th scope="row"><a href="([^"]+)"', answer.text)
    assert link is not None
    browser.get(unescape(link[1]))
    first, second = desk.questions
    assert second == replace(first, status="Not sent", reason="landline")
    assert (first.last - first.first, first.environment) == (timedelta(days=29), "test")


# Why


def test_an_appointment_is_looked_for_everywhere_and_not_shown_again(browser: Browser, desk: Desk) -> None:
    answer = browser.post("/why", {"telephone": " 4711 "})
    assert desk.asked == [("name", "sam", "4711", None)]
    assert "4711" not in answer.text
    assert "The reminder did not go" in words(answer)
    assert "CST" in words(answer), "at the clinic's clock"


@pytest.mark.parametrize("written", ["+12025550143", "+1 202 555-0143", "+1 (202) 555.0143"])
def test_a_number_is_looked_for_and_stands_in_no_page(browser: Browser, desk: Desk, written: str) -> None:
    answer = browser.post("/why", {"telephone": written, "environment": "test"})
    assert desk.asked == [("number", "sam", NUMBER, ["test"])]
    assert written not in answer.text
    assert "5550143" not in answer.text


def test_ten_digits_are_an_appointment_first_and_a_number_if_it_is_unknown(browser: Browser, desk: Desk) -> None:
    browser.post("/why", {"telephone": "2025550143"})
    assert desk.asked == [("name", "sam", "2025550143", None)], "a known appointment ends the search"
    desk.answer = WhyAnswer(number="***0143")
    answer = browser.post("/why", {"telephone": "2025550143", "environment": "test"})
    assert desk.asked[1:] == [("name", "sam", "2025550143", ["test"]), ("number", "sam", NUMBER, ["test"])]
    assert "Looked for as the telephone number ***0143." in words(answer)
    assert "5550143" not in answer.text


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "Type an appointment's number or a telephone number."),
        ("+1 303", "Type a telephone number with its country code"),
        ("+1202555014x", "Type a telephone number with its country code"),
        ("9" * 201, "That is too long to be either."),
    ],
)
def test_what_is_neither_is_said_and_not_repeated(browser: Browser, desk: Desk, written: str, sentence: str) -> None:
    answer = browser.post("/why", {"telephone": written})
    assert (answer.status_code, desk.asked) == (422, [])
    assert sentence in words(answer)
    assert not written or written not in answer.text


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR])
def test_who_may_not_search_by_number_is_told_so(browser: Browser, desk: Desk, role: Role) -> None:
    browser.sign_in(role, ["test"])
    assert "a telephone number" not in words(browser.get("/why"))
    answer = browser.post("/why", {"telephone": NUMBER})
    assert (answer.status_code, desk.asked) == (403, [])
    assert NUMBER not in answer.text
    assert browser.sessions.refused[-1][1] == "/why"


def test_a_number_survives_no_signed_out_page(browser: Browser) -> None:
    browser.sessions.by_token.clear()
    answer = browser.post("/why", {"telephone": NUMBER})
    assert answer.status_code == 401
    assert NUMBER not in answer.text


def test_an_analyst_looks_in_own_environments_alone(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.ANALYST, ["test"])
    browser.post("/why", {"telephone": "4711"})
    assert desk.asked == [("name", "dana", "4711", ["test"])]
    assert browser.post("/why", {"telephone": "4711", "environment": "production"}).status_code == 422
    for address in ("/reports/sms", "/reports/silences"):
        browser.get(address)
    assert {question.scope for question in desk.questions} == {frozenset({"test"})}
    for address in ("/outbox", "/messages", "/outbox?environment=production", "/messages?environment=production"):
        browser.get(address)
    environments = [look[2] if look[0] == "outbox" else look[1] for look in desk.looks if look[0] != "report"]
    assert {tuple(names or ()) for names in environments if isinstance(names, (list, tuple))} == {("test",)}
    assert len(environments) == 6


def test_where_nothing_is_known_the_likely_causes_are_answered(browser: Browser, desk: Desk) -> None:
    desk.answer = WhyAnswer(
        causes=[
            LikelyCause(
                question="Was its message refused?",
                answer=f"3 were {CANARY}.",
                path="/messages?answer=refused",
                link="See",
            ),
            LikelyCause(question="Is the feed silent?", answer="No."),
            LikelyCause(question="Was the number forgotten?", answer="Perhaps."),
        ]
    )
    answer = browser.post("/why", {"telephone": "4711"})
    assert "Nothing is known about that" in words(answer)
    assert "Is the feed silent? No." in words(answer)
    assert CANARY not in answer.text


def test_a_get_looks_for_nothing(browser: Browser, desk: Desk) -> None:
    assert browser.get("/why?telephone=4711").status_code == 200
    assert desk.asked == []


# Outbox and messages


def test_waiting_texts_come_first_and_each_leads_to_its_reason(browser: Browser, desk: Desk) -> None:
    answer = browser.get("/outbox?environment=production&after=1-a")
    assert desk.looks == [("outbox", "due", ["production"], "1-a", 50)]
    assert 'href="/outbox?environment=production&amp;state=due&amp;after=17-abc"' in answer.text
    assert 'href="/holds?environment=production"' in answer.text
    assert "The texts of production are held" in words(answer)
    assert "***0143" in answer.text
    assert "forgotten" in words(answer)
    assert 'name="telephone" value="&lt;script' in answer.text
    browser.sign_in(Role.AUDITOR)
    assert "/holds?environment=production" not in browser.get("/outbox?environment=production").text


def test_a_state_that_is_none_is_that_of_waiting_texts(browser: Browser, desk: Desk) -> None:
    browser.get("/outbox?state=suppressed")
    assert desk.looks == [("outbox", "due", None, "", 50)]


@pytest.mark.parametrize("path", ["/outbox", "/messages"])
def test_htmx_gets_the_results_alone(browser: Browser, path: str) -> None:
    whole, part = browser.get(path), browser.get(path, part="results")
    assert part.text.strip() in whole.text
    assert "<h1>" not in part.text
    assert "<table>" in part.text


def test_refusals_stand_above_what_was_stored_and_only_on_the_first_page(browser: Browser, desk: Desk) -> None:
    assert "Nothing of them was stored" in words(browser.get("/messages"))
    assert [look[0] for look in desk.looks] == ["refused", "processed"]
    assert desk.looks[0] == ("refused", None), "an administrator or supporter sees refusals of no environment too"
    desk.looks.clear()
    browser.get("/messages?after=1&environment=test")
    assert desk.looks == [("processed", ("test",), "1", False)]
    desk.looks.clear()
    browser.get("/messages?answer=refused")
    assert [look[0] for look in desk.looks] == ["refused"]
    desk.looks.clear()
    browser.get("/messages?answer=code")
    assert [look[3] for look in desk.looks if look[0] == "processed"] == [True]
    assert len(desk.looks) == 1
