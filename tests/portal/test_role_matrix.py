"""The real table of pages against the one in `routes.txt`, which is written by hand. A page that is not in it fails here.

That the gate does what the table says is fault P8, and that no forged form passes it is fault P7 (`tests/faults`).
"""

from __future__ import annotations

import re

from tests.portal.written_routes import real_pages, written_table

TABLE = written_table()


def test_every_page_stands_in_the_written_table_and_nothing_else_does() -> None:
    assert {(page.method, page.path) for page in real_pages()} == set(TABLE)


def test_what_asks_again_and_what_polls_is_as_written() -> None:
    marks = {
        (page.method, page.path): ("+" if page.confirm else "") + ("~" if page.passive else "") for page in real_pages()
    }
    assert marks == {key: re.sub(r"[^+~]", "", who) for key, who in TABLE.items()}
