"""The written table of roles, `routes.txt`, and the portal's real table over handlers that only say that somebody came through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest.mock import MagicMock

from httpx2 import Response

from portal.page_request import Answer, PageRequest, Redirect
from portal.pages import all_pages
from portal.roles import Role
from portal.route_table import Page
from tests.portal.pages.staff import Browser, browsing

LETTERS: Final = {"A": Role.ADMINISTRATOR, "N": Role.ANALYST, "S": Role.SUPPORT, "U": Role.AUDITOR}
ENVIRONMENT: Final = "a-name"
_PASSED: Final = "/passed"


def written_table() -> dict[tuple[str, str], str]:
    """Method and path -> who may, in letters."""
    rows = Path(__file__).with_name("routes.txt").read_text("utf-8").splitlines()
    cells = [row.split() for row in rows if row and not row.startswith("#")]
    table = {(method, path): who for method, path, who in cells}
    assert len(table) == len(cells), "an address stands twice"
    return table


def may_pass(who: str, role: Role | None) -> bool:
    """Whether these letters let somebody with this role through; None: nobody is signed in."""
    return "*" in who or role in {LETTERS[letter] for letter in who if letter in LETTERS}


def is_through(answer: Response) -> bool:
    """Whether the page's handler was reached."""
    return answer.headers.get("location") == _PASSED


def address_of(path: str) -> str:
    """An address of that path; its environment is ENVIRONMENT."""
    return re.sub(r"\{[^}]*\}", "x", path.replace("{environment}", ENVIRONMENT))


def real_pages() -> tuple[Page, ...]:
    """The portal's table without its handlers."""
    return tuple(replace(page, handler=_passed) for page in all_pages(MagicMock()))


@contextmanager
def browsing_the_gate(pages: Sequence[Page] | None = None) -> Iterator[Browser]:
    with browsing(real_pages() if pages is None else pages) as browser:
        yield browser


def _passed(request: PageRequest) -> Answer:
    return Redirect(path=_PASSED)
