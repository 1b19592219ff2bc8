"""The page Sent back over a write-back that an EHR really refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.commands.open_store import Opened
from carebell.commands.open_store import opened as opened_store
from carebell.staff.returns import StaffReturns
from portal.pages import returns
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from scheduler.writeback import WritebackEvent, WritebackState
from store import audit, writeback_rows
from store.audit import AuditFilter, Author
from tests.carebell.commands.refused_writeback import PATIENT, refused_writeback
from tests.portal.pages.staff import Browser, browsing, words

WHY = "The EHR says: unknown key identifier (204). Does SCH-2 hold their number? Put that right, then send it again."


@pytest.fixture
def row_id(configuration: Path) -> str:
    return refused_writeback(configuration)


@pytest.fixture
def source(configuration: Path, row_id: str) -> Iterator[Opened]:
    with opened_store(configuration) as source:
        yield source


def _author(by: Session, browser: Peer) -> Author:
    return Author(who=f"portal:{by.person.login}", origin=f"address={browser.address}")


@pytest.fixture
def browser(source: Opened) -> Iterator[Browser]:
    desk = StaffReturns(source=source, author=_author)
    with browsing(returns.pages(desk), now=datetime.now(UTC)) as browser:
        yield browser.sign_in(Role.ADMINISTRATOR)
    assert browser.failures == []


def _state(source: Opened, row_id: str) -> WritebackState:
    with source.store.read() as conn:
        row = writeback_rows.by_id(conn, row_id)
    assert row is not None
    return row.state


def _retries(source: Opened) -> list[tuple[str, str | None, str | None]]:
    with source.store.read() as conn:
        entries = audit.entries(conn, AuditFilter(action="writeback.retry"))
        return [(entry.actor, entry.subject, entry.before) for entry in entries]


def test_a_refused_one_stands_there_with_its_reason_its_code_and_what_to_do(browser: Browser, row_id: str) -> None:
    answer = browser.get("/returns?state=refused&environment=production")
    shown = words(answer)
    assert WHY in shown
    for cell in ("A1", "the visit was confirmed", "production", "AE 204", row_id, "Send again"):
        assert cell in shown, cell
    assert PATIENT[2:] not in answer.text
    assert PATIENT[-4:] not in answer.text


@pytest.mark.parametrize("query", ["state=due", "state=acknowledged", "environment=test", f"after={'0' * 20}"])
def test_a_filter_leaves_it_out(browser: Browser, row_id: str, query: str) -> None:
    assert row_id not in browser.get(f"/returns?{query}").text


@pytest.mark.parametrize("query", ["state=lost", "environment=nowhere", "after=%00", "after='", "done=lost"])
def test_what_is_no_filter_filters_nothing(browser: Browser, row_id: str, query: str) -> None:
    assert row_id in browser.get(f"/returns?{query}").text


def test_sent_again_once_however_often_it_is_pressed(browser: Browser, source: Opened, row_id: str) -> None:
    fields = {"id": row_id, "environment": "production", "state": "refused"}
    first = browser.post("/returns/retry", fields)
    assert (first.status_code, first.headers["location"]) == (
        303, "/returns?environment=production&state=refused&done=again",
    )  # fmt: skip
    assert _state(source, row_id) is WritebackState.DUE
    second = browser.post("/returns/retry", fields)
    assert second.headers["location"] == "/returns?environment=production&state=refused&done=open"
    assert _retries(source) == [("portal:kim", row_id, "refused")]
    shown = words(browser.get("/returns?done=open"))
    assert "Nothing was changed" in shown
    assert "Send again" not in shown, "it waits already"


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SUPPORT, Role.AUDITOR])
def test_others_see_it_and_cannot_send_it_again(browser: Browser, source: Opened, row_id: str, role: Role) -> None:
    browser.sign_in(role, ["production"])
    shown = words(browser.get("/returns"))
    assert WHY in shown
    assert "Send again" not in shown
    assert browser.post("/returns/retry", {"id": row_id}).status_code == 403
    assert _state(source, row_id) is WritebackState.REFUSED
    assert _retries(source) == []


def test_an_analyst_of_the_test_environment_sees_nothing_of_production(browser: Browser, row_id: str) -> None:
    browser.sign_in(Role.ANALYST, ["test"])
    for query in ("", "?environment=production", "?state=refused"):
        assert row_id not in browser.get(f"/returns{query}").text


@pytest.mark.parametrize("unknown", ["", "0" * 20, "\x00", "x" * 400])
def test_what_is_not_there_is_not_found(browser: Browser, unknown: str) -> None:
    assert browser.post("/returns/retry", {"id": unknown}).status_code == 404


def test_a_page_goes_on_where_the_one_before_ended(source: Opened, row_id: str) -> None:
    desk = StaffReturns(source=source, author=_author)
    [row], after = desk.rows("", None, "", 1).rows, desk.rows("", None, "", 1).after
    assert (row.id, after) == (row_id, ""), "it is the only one"
    assert desk.rows("", ["test"], "", 1).rows == []
    assert desk.rows("", None, row_id, 1).rows == []


def test_every_event_has_words(browser: Browser, source: Opened, row_id: str) -> None:
    for event in WritebackEvent:
        with source.store.write() as conn:
            conn.exec_driver_sql(f"UPDATE writebacks SET event = '{event.value}'")  # from our own list
        assert browser.get("/returns").status_code == 200
        assert "_" not in words(browser.get("/returns")), event
