"""The page Replies, over a desk in memory: markup in what was stored, and where it leads back to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import pytest

from portal.pages import replies
from portal.pages.replies import ReplyRow
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from tests.portal.pages.staff import NOW, Browser, browsing

CANARY = "<script>alert(1)</script>"
ROW = ReplyRow(
    id=CANARY,
    environment=CANARY,
    appointment=CANARY,
    number=CANARY,
    asks="unknown",
    since=NOW,
    count=1,
    start=None,
    moved=True,
    zone=ZoneInfo("America/Los_Angeles"),
)


class Desk:
    """Each stored text is a canary."""

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return [name for name in ("production", "test") if scope is None or name in scope]

    def rows(self, environments: Sequence[str] | None) -> tuple[Sequence[ReplyRow], bool]:
        return [ROW], False

    def environment_of(self, reply_id: str) -> str | None:
        return "production"

    def done(self, by: Session, reply_id: str, browser: Peer) -> bool:
        return False


@pytest.fixture
def browser() -> Iterator[Browser]:
    with browsing(replies.pages(Desk())) as browser:
        yield browser.sign_in(Role.ADMINISTRATOR)
    assert browser.failures == []


@pytest.mark.parametrize("part", [None, "results"])
def test_markup_is_words(browser: Browser, part: str | None) -> None:
    text = browser.get("/replies").text if part is None else browser.get("/replies", part=part).text
    assert CANARY not in text
    assert "&lt;script&gt;" in text


def test_it_leads_back_to_the_page_alone(browser: Browser) -> None:
    answer = browser.post("/replies/done", {"id": "A", "environment": "//elsewhere.example"})
    assert answer.headers["location"] == "/replies?done=was"
