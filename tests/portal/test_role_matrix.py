"""Every address of the portal against every role, and against nobody: what `routes.txt` says is what the gate does (fault P8).

The table in `routes.txt` is written by hand. A page that is not in it fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest.mock import MagicMock

import pytest

from portal.page_request import Answer, PageRequest, Redirect
from portal.pages import all_pages
from portal.roles import Role
from portal.route_table import Page
from tests.portal.pages.staff import Browser, browsing

LETTERS: Final = {"A": Role.ADMINISTRATOR, "N": Role.ANALYST, "S": Role.SUPPORT, "U": Role.AUDITOR}
PASSED: Final = "/passed"


def written_table() -> dict[tuple[str, str], str]:
    rows = Path(__file__).with_name("routes.txt").read_text("utf-8").splitlines()
    cells = [row.split() for row in rows if row and not row.startswith("#")]
    table = {(method, path): who for method, path, who in cells}
    assert len(table) == len(cells), "an address stands twice"
    return table


def passed(request: PageRequest) -> Answer:
    return Redirect(path=PASSED)


def pages() -> tuple[Page, ...]:
    """The real table; its handlers only say that the gate let somebody through."""
    return tuple(replace(page, handler=passed) for page in all_pages(MagicMock()))


TABLE: Final = written_table()


def test_every_page_stands_in_the_written_table_and_nothing_else_does() -> None:
    assert {(page.method, page.path) for page in pages()} == set(TABLE)


def test_what_asks_again_and_what_polls_is_as_written() -> None:
    marks = {
        (page.method, page.path): ("+" if page.confirm else "") + ("~" if page.passive else "") for page in pages()
    }
    assert marks == {key: re.sub(r"[^+~]", "", who) for key, who in TABLE.items()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing(pages()) as browser:
        yield browser


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.value if role else "nobody")
def test_the_gate_does_what_the_table_says(browser: Browser, role: Role | None) -> None:
    browser.client.cookies.clear()
    if role is not None:
        browser.sign_in(role, ["a-name"])
    for (method, path), who in TABLE.items():
        address = re.sub(r"\{environment\}", "a-name", path)
        address = re.sub(r"\{[^}]*\}", "x", address)
        answer = browser.get(address) if method == "GET" else browser.post(address)
        is_through = answer.headers.get("location") == PASSED
        letters = {LETTERS[letter] for letter in who if letter in LETTERS}
        assert is_through == ("*" in who or role in letters), f"{method} {path} as {role}: {answer.status_code}"
        if not is_through:
            refused = 403 if role is not None else 401 if method == "POST" else 303
            assert answer.status_code == refused, f"{method} {path} as {role}"


def test_an_analyst_passes_in_no_other_environment(browser: Browser) -> None:
    browser.client.cookies.clear()
    browser.sign_in(Role.ANALYST, ["another"])
    for (method, path), _who in TABLE.items():
        if "{environment}" in path:
            address = re.sub(r"\{[^}]*\}", "x", path)
            answer = browser.get(address) if method == "GET" else browser.post(address)
            assert answer.status_code == 403, f"{method} {path}"


def test_no_form_passes_from_another_site_or_without_its_token(browser: Browser) -> None:
    """Fault P7, over every address that takes a form."""
    browser.client.cookies.clear()
    browser.sign_in(Role.ADMINISTRATOR)
    for (method, path), who in TABLE.items():
        if method != "POST":
            continue
        address = re.sub(r"\{[^}]*\}", "x", path)
        for headers in (
            {},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "null"},
            {"origin": "https://evil.example"},
        ):
            assert browser.post(address, headers=headers).status_code == 403, f"{path} {headers}"
        if "*" not in who:
            assert browser.post(address, csrf="another").status_code == 403, path
