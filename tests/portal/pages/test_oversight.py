"""Overview, holds, opt-outs, log and audit, over desks in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from portal.pages import audit_page, holds, log_page, opt_outs, overview
from portal.pages.audit_page import AuditQuestion, AuditRow, AuditRows, ChainCheck
from portal.pages.holds import HoldRow
from portal.pages.log_page import LogPart, LogQuestion, LogRow
from portal.pages.opt_outs import OptOutDone, OptOutTotals
from portal.pages.overview import EnvironmentCard, GatewayState, NeedsSomebody, NodeRow, Overview
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from tests.portal.pages.staff import NOW, PASSWORD, Browser, browsing, words

CANARY = "<script>alert(1)</script>"
CARD = EnvironmentCard(
    name="production",
    kind="production",
    enabled=True,
    last_message=NOW - timedelta(minutes=2),
    refused_today=3,
    certificate_days=12,
    waiting=12,
    late=1,
    delivered=(982, 1000),
    held=None,
    approval="approved",
    approved_by="Dana",
    approved_at=NOW - timedelta(days=3),
)


class Desk:
    """Every desk of these pages."""

    def __init__(self) -> None:
        self.shown = Overview(
            cards=[CARD, replace(CARD, name=CANARY, certificate_days=None, last_message=None, delivered=(0, 0))],
            needs=[
                NeedsSomebody(
                    severity="critical",
                    sentence=f"Certificate {CANARY} expires",
                    advice="Roll it.",
                    since=NOW,
                    path="/x",
                    link="Go",
                )
            ],
            nodes=[
                NodeRow(
                    name="a",
                    roles="listener",
                    version="1",
                    configuration="abc",
                    since=NOW,
                    drifts=True,
                    restart_for="http.port",
                )
            ],
            gateway=GatewayState(kind="twilio", live=True, answered=None, failure="timeout"),
            everything_held=None,
        )
        self.scopes: list[frozenset[str] | None] = []
        self.acts: list[tuple[str, str | None, str]] = []
        self.questions: list[AuditQuestion] = []
        self.cursors: list[tuple[str, LogQuestion]] = []
        self.entries = [
            AuditRow(
                number=number, at=NOW, who="portal:kim", origin="203.0.113.7", what="optout.add", environment=None,
                subject=CANARY, before=None, after=CANARY,
            )
            for number in range(300, 0, -1)
        ]  # fmt: skip

    def overview(self, scope: frozenset[str] | None) -> Overview:
        self.scopes.append(scope)
        return self.shown

    def holds(self) -> Sequence[HoldRow]:
        return [
            HoldRow(kind="person", environment="test", subject="test", reason=CANARY, since=NOW, by="cli:ann"),
            HoldRow(
                kind="approval", environment="production", subject="production", reason="changed", since=NOW, by=None
            ),
        ]

    def environments(self) -> Sequence[str]:
        return ["production", "test"]

    def hold(self, by: Session, environment: str | None, reason: str, browser: Peer) -> bool:
        self.acts.append((by.person.login, environment, reason))
        return True

    def release(self, by: Session, environment: str | None, browser: Peer) -> Literal["released", "was-not", "still"]:
        self.acts.append((by.person.login, environment, "release"))
        return "released"

    def totals(self) -> Sequence[OptOutTotals]:
        return [OptOutTotals(sender=None, count=3)]

    def add(self, by: Session, number: str, browser: Peer) -> OptOutDone | str:
        if number == "1":
            return "This is no telephone number."
        return OptOutDone(masked="***0143", changed=True)

    def remove(self, by: Session, number: str, reason: str, browser: Peer) -> OptOutDone | str:
        return OptOutDone(masked="***0143", changed=False)

    def rows(self, question: AuditQuestion, limit: int) -> AuditRows:
        self.questions.append(question)
        rows = [row for row in self.entries if question.before is None or row.number < question.before]
        return AuditRows(rows=rows[:limit], older=rows[limit - 1].number if len(rows) > limit else None)

    def actions(self) -> Sequence[str]:
        return ["optout.add"]

    def check(self) -> ChainCheck:
        return ChainCheck(entries=1204, broken_at=None, why="", head="9f3c", compared=7)

    def export(self, by: Session, browser: Peer) -> Iterable[bytes]:
        return [b"seq,time\n"]

    def newest(self, question: LogQuestion, limit: int) -> LogPart:
        row = LogRow(at=NOW, level="warning", event=CANARY, fields=[("problem", CANARY)], advice=CANARY)
        return LogPart(rows=[row], cursor="1:2")

    def after(self, cursor: str, question: LogQuestion, limit: int) -> LogPart:
        self.cursors.append((cursor, question))
        return LogPart(rows=[], cursor="1:3")

    def why_none(self) -> str | None:
        return None

    def last_hour(self, by: Session, browser: Peer, scope: frozenset[str] | None) -> Iterable[bytes]:
        return [b"{}\n"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def browser(desk: Desk) -> Iterator[Browser]:
    pages = (
        *overview.pages(desk),
        *holds.pages(desk),
        *opt_outs.pages(desk),
        *log_page.pages(desk),
        *audit_page.pages(desk),
    )
    with browsing(pages) as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/holds", "/opt-outs", "/logs", "/audit"])
def test_what_is_stored_is_inert(browser: Browser, path: str) -> None:
    answer = browser.sign_in(Role.ADMINISTRATOR).get(path)
    assert answer.status_code == 200
    assert CANARY not in answer.text


def test_the_overview_says_what_needs_somebody_and_each_environment(browser: Browser, desk: Desk) -> None:
    page = words(browser.sign_in(Role.ANALYST, ["production"]).get("/"))
    for sentence in (
        "last message 2 minutes ago",
        "refused today: 3",
        "expires in 12 days",
        "12 waiting",
        "1 late",
        "98.2 % of 1000 delivered in 24 hours",
        "by Dana on Nov 28, 2026",
        "critical Certificate",
        "does not answer timeout",
        "waits for a restart http.port",
    ):
        assert sentence in page
    assert desk.scopes == [frozenset({"production"})]


def test_a_quiet_day_and_a_standstill_are_said(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.SUPPORT)
    desk.shown = replace(desk.shown, needs=[])
    assert "Nothing needs a person now." in words(browser.get("/"))
    desk.shown = replace(desk.shown, everything_held="maintenance")
    page = words(browser.get("/"))
    assert "No text leaves. Everything is held: maintenance." in page
    assert "Nothing needs a person now." not in page


def test_a_hold_needs_its_reason_and_keeps_what_was_typed(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.SUPPORT)
    answer = browser.post("/holds", {"environment": "test", "reason": ""})
    assert '<a href="#reason">Type why, for whoever finds no text leaving.</a>' in answer.text
    assert '<option value="test" selected>' in answer.text
    assert "Choose what to hold." in words(browser.post("/holds", {"environment": "gone", "reason": "x"}))
    assert browser.post("/holds", {"environment": "*", "reason": "flood"}).headers["location"] == "/holds?done=held"
    assert desk.acts == [("sam", None, "flood")]


def test_a_release_asks_for_the_password(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.ADMINISTRATOR, confirmed=False)
    assert browser.post("/holds/release", {"environment": "test"}).status_code == 403
    browser.post("/holds/release", {"environment": "test", "password_or_code": PASSWORD})
    assert desk.acts == [("kim", "test", "release")]


def test_an_analyst_sees_own_holds(browser: Browser) -> None:
    page = words(browser.sign_in(Role.ANALYST, ["production"]).get("/holds"))
    assert "waits for approval" in page
    assert "cli:ann" not in page
    assert "Hold texts" not in page


def test_a_number_is_typed_and_never_shown(browser: Browser) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    done = browser.post("/opt-outs/add", {"telephone": "+1 202 555 0143"})
    assert "***0143 will not be texted." in words(done)
    wrong = browser.post("/opt-outs/add", {"telephone": "1"})
    assert "This is no telephone number." in words(wrong)
    no_reason = browser.post("/opt-outs/remove", {"telephone": "+1 202 555 0143"})
    assert "Type why this patient is texted again." in words(no_reason)
    removed = browser.post("/opt-outs/remove", {"telephone": "+1 202 555 0143", "reason": "asked at the desk"})
    assert "***0143 had not opted out." in words(removed)
    for answer in (done, wrong, no_reason, removed):
        assert "555 0143" not in answer.text


def test_the_log_goes_on_from_its_cursor_and_ends_by_itself(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.SUPPORT)
    page = browser.get("/logs?event=sms_sent&level=error")
    until = int(NOW.timestamp()) + 15 * 60
    assert f"/logs/newer?level=error&amp;event=sms_sent&amp;cursor=1%3A2&amp;until={until}" in page.text
    part = browser.get(f"/logs/newer?event=sms_sent&cursor=1%3A2&until={until}", part="newer_lines")
    assert "<html" not in part.text
    assert f"cursor=1%3A3&amp;until={until}" in part.text
    assert desk.cursors[0][0] == "1:2"
    assert "Following has ended." in browser.get("/logs/newer?cursor=1%3A2&until=5", part="newer_lines").text
    far = browser.get("/logs/newer?cursor=1%3A2&until=99999999999999999999", part="newer_lines")
    assert "Following has ended." in far.text


def test_a_paused_log_moves_no_more(browser: Browser) -> None:
    page = browser.sign_in(Role.SUPPORT).get("/logs?paused=1")
    assert "hx-get" not in page.text
    assert 'href="/logs?"' in page.text


def test_an_analyst_reads_lines_of_own_environments(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.ANALYST, ["test"]).get("/logs/newer?cursor=x", part="newer_lines")
    assert desk.cursors[0][1].scope == frozenset({"test"})


def test_the_audit_log_is_paged_by_number(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.AUDITOR)
    page = browser.get("/audit?who=kim")
    assert 'href="/audit?who=kim&amp;before=201"' in page.text
    assert browser.get("/audit?who=kim&before=201").status_code == 200
    assert "Older entries" not in browser.get("/audit?before=50").text
    assert [question.before for question in desk.questions] == [None, 201, 50]
    wrong = browser.get("/audit?since=yesterday")
    assert wrong.status_code == 422
    assert "Type a date such as 2026-03-02." in words(wrong)


def test_the_chain_is_checked_and_exported(browser: Browser) -> None:
    browser.sign_in(Role.AUDITOR)
    assert "1,204 entries, unbroken. Head 9f3c" in words(browser.post("/audit/check"))
    export = browser.post("/audit/export")
    assert export.headers["content-disposition"] == 'attachment; filename="carebell-audit-2026-12-01.csv"'
