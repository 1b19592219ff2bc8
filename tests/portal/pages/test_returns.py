"""The page Sent back, over a desk in memory: pages of it, and markup in what was stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import pytest

from portal.pages import returns
from portal.pages.returns import ReturnRow, ReturnsPage, ReturnState
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from tests.portal.pages.staff import NOW, Browser, browsing, words

CANARY = "<script>alert(1)</script>"
ROW = ReturnRow(
    id=CANARY,
    environment=CANARY,
    appointment=CANARY,
    event=CANARY,
    state="unknown",
    why=CANARY,
    remedy=CANARY,
    code=CANARY,
    attempts=1,
    recorded=NOW,
    tried=None,
    zone=ZoneInfo("America/Los_Angeles"),
    may_go_again=True,
)


class Desk:
    """Each stored text is a canary."""

    def __init__(self) -> None:
        self.questions: list[tuple[ReturnState, Sequence[str] | None, str]] = []

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return [name for name in ("production", "test") if scope is None or name in scope]

    def rows(self, state: ReturnState, environments: Sequence[str] | None, after: str, limit: int) -> ReturnsPage:
        self.questions.append((state, environments, after))
        return ReturnsPage(rows=[ROW], after="" if after else "NEXT")

    def environment_of(self, row_id: str) -> str | None:
        return "production"

    def send_again(self, by: Session, row_id: str, browser: Peer) -> bool:
        return False


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def browser(desk: Desk) -> Iterator[Browser]:
    with browsing(returns.pages(desk)) as browser:
        yield browser.sign_in(Role.ADMINISTRATOR)
    assert browser.failures == []


def test_markup_is_words(browser: Browser) -> None:
    text = browser.get("/returns").text
    assert CANARY not in text
    assert text.count("&lt;script&gt;alert(1)") >= 7


def test_the_next_page_keeps_the_filters(browser: Browser, desk: Desk) -> None:
    first = browser.get("/returns?environment=test&state=unknown").text
    assert 'href="/returns?environment=test&amp;state=unknown&amp;after=NEXT"' in first
    assert "First page" not in first
    second = browser.get("/returns?environment=test&state=unknown&after=NEXT").text
    assert 'href="/returns?environment=test&amp;state=unknown"' in second
    assert desk.questions == [("unknown", ["test"], ""), ("unknown", ["test"], "NEXT")]


def test_a_part_is_the_table_alone(browser: Browser) -> None:
    part = browser.get("/returns", part="results").text
    assert "<h1" not in part
    assert "<caption>What went back to the EHR, the newest first</caption>" in part


def test_an_analyst_asks_for_own_environments_alone(browser: Browser, desk: Desk) -> None:
    browser.sign_in(Role.ANALYST, ["test"])
    shown = words(browser.get("/returns?environment=production"))
    assert desk.questions == [("", ["test"], "")]
    assert "Send again" not in shown


def test_an_address_of_another_site_is_never_where_it_leads(browser: Browser) -> None:
    answer = browser.post("/returns/retry", {"id": "A", "environment": "//elsewhere.example", "state": "x&y"})
    assert answer.headers["location"] == "/returns?done=open"
