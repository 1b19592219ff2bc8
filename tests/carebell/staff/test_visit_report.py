"""The page Visit report over visits as they were really stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from carebell.commands.open_store import Opened
from carebell.commands.open_store import opened as opened_store
from carebell.inquiries.day_sums import DaySums
from carebell.staff.visit_report import VisitReports
from portal.pages import visit_report
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from store import audit, visit_pages
from store.audit import AuditFilter, Author
from tests.carebell.commands.visit_days import SPAN, lived
from tests.carebell.conftest import Carebell
from tests.carebell.patients.room import START
from tests.portal.pages.staff import Browser, browsing, words

DAY: Final = f"from={SPAN[1]}&to={SPAN[3]}"
OF_A_PATIENT: Final = ("5550143", "TESTPATIENT", "ALEX", "MRN00042", "19800101")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived(tmp_path_factory.mktemp("visits") / "clinic")


@pytest.fixture(scope="module")
def source(path: Path) -> Iterator[Opened]:
    with opened_store(path) as source:
        yield source


def _author(by: Session, browser: Peer) -> Author:
    return Author(who=f"portal:{by.person.login}", origin=f"address={browser.address}")


@pytest.fixture
def browser(source: Opened) -> Iterator[Browser]:
    sums = DaySums(store=source.store, now=source.now, count=visit_pages.sums)
    with browsing(visit_report.pages(VisitReports(source=source, sums=sums, author=_author)), now=START) as browser:
        yield browser.sign_in(Role.SUPPORT)
    assert browser.failures == []


def _references(text: str) -> set[str]:
    return {name for name in ("held", "alone", "missed", "=RUNS", "nobody") if name in text}


@pytest.mark.parametrize("tab", visit_report.TABS)
def test_no_page_holds_a_patient(browser: Browser, tab: str) -> None:
    answer = browser.get(f"/reports/visits?{DAY}&tab={tab}")
    assert answer.status_code == 200
    assert [secret for secret in OF_A_PATIENT if secret in answer.text] == []
    assert _references(words(answer)) == {"held", "alone", "missed", "=RUNS"}
    assert "in progress" in words(answer)
    assert "Primary" not in answer.text, "the configuration does not say so"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("status=Completed", {"held"}),
        ("status=No+show", {"missed"}),
        ("status=In+progress", {"=RUNS"}),
        ("joined=One+side", {"alone", "missed"}),
        ("joined=Both+sides", {"held"}),
        ("joined=Both+sides&status=No+show", set()),
        ("environment=test", set()),
    ],
)
def test_every_filter_shows_what_the_tiles_count(browser: Browser, query: str, shown: set[str]) -> None:
    answer = words(browser.get(f"/reports/visits?{DAY}&{query}"))
    rows = answer.partition("Visits, the newest first")[2]
    assert _references(rows) == shown
    counted = re.search(r"Visits ([0-9]+) Completed", answer)
    assert counted is not None
    assert int(counted[1]) == len(shown)


def test_the_file_is_that_of_the_command(carebell: Carebell, browser: Browser, source: Opened, path: Path) -> None:
    days = {"from": SPAN[1], "to": SPAN[3]}
    answer = browser.post("/reports/visits/csv", days)
    assert answer.content.decode() == carebell("-c", path, "report", "visits", *SPAN, "--csv").out
    assert browser.post("/reports/visits/csv", {**days, "joined": "One side"}).text.count("\n") == 3
    with source.store.read() as conn:
        entries = [
            (entry.actor, entry.subject, entry.after)
            for entry in audit.entries(conn, AuditFilter(action="report.export"))
            if entry.actor == "portal:sam"
        ]
    assert entries == [
        ("portal:sam", f"visits, {SPAN[1]} to {SPAN[3]}", "4 rows"),
        ("portal:sam", f"visits, {SPAN[1]} to {SPAN[3]}, One side", "2 rows"),
    ]


def test_an_analyst_of_the_test_environment_sees_nothing_of_production(browser: Browser) -> None:
    browser.sign_in(Role.ANALYST, ["test"])
    answer = words(browser.get(f"/reports/visits?{DAY}"))
    assert _references(answer.partition("Visits, the newest first")[2]) == set()
    assert browser.post("/reports/visits/csv", {"from": SPAN[1], "to": SPAN[3]}).text.count("\n") == 1


@pytest.mark.parametrize("cursor", ["x", "1-", "99999999999999999999-a", "-", "é"])
def test_a_cursor_that_is_none_begins_at_the_first_page(browser: Browser, cursor: str) -> None:
    assert browser.get(f"/reports/visits?after={cursor}").status_code == 200
