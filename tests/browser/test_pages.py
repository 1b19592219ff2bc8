"""Every page of the route table, in every state and for every setting of a browser: nothing keeps anybody from using it."""

from __future__ import annotations

import re
from typing import Final
from unittest.mock import MagicMock

import pytest

from portal.pages import all_pages
from tests.browser import accessibility
from tests.browser.addresses import NO_PAGES, WALKS
from tests.browser.conftest import NARROW, WIDE, Walker
from tests.browser.site import Site

CANARIES: Final = re.compile(r"TESTPATIENT|MRN00042|20255501\d\d|\(202\) ?555|<script>alert")
"""What the week's messages say of patients."""


def test_every_page_of_the_route_table_is_walked() -> None:
    paths = {page.path for page in all_pages(MagicMock()) if page.method == "GET"}
    assert paths == set(WALKS) | set(NO_PAGES)
    assert not set(WALKS) & set(NO_PAGES)


def test_the_log_that_is_walked_has_lines_of_each_kind(walker: Walker, site: Site) -> None:
    log = walker(site, "/logs", **WIDE).page.locator("[role=log]")
    assert log.locator(".log-info .log-value").count() > 0
    assert log.locator(".log-warning .log-value").count() > 0
    assert log.locator(".log-warning .quiet").count() > 0
    assert 1 < log.locator(".log-line").count() < 20


@pytest.mark.parametrize("path", WALKS)
def test_a_page_full_of_data(walker: Walker, site: Site, path: str) -> None:
    """Light, wide; its title, one heading, nothing of a patient."""
    window = walker(site, path, full=True, **WIDE, color_scheme="light")
    assert window.title == f"{window.heading} – Carebell"
    assert window.page.locator("h1").count() == 1
    assert CANARIES.findall(window.page.content()) == []
    assert window.flaws() == []
    assert window.watch.problems == []


@pytest.mark.parametrize("path", WALKS)
def test_a_page_without_anything_to_show(walker: Walker, empty_site: Site, path: str) -> None:
    window = walker(empty_site, path, full=True, **WIDE)
    assert window.flaws() == []
    assert window.watch.problems == []


@pytest.mark.parametrize("path", WALKS)
def test_a_page_with_long_names_on_a_small_telephone(walker: Walker, long_site: Site, path: str) -> None:
    window = walker(long_site, path, full=True, **NARROW)
    assert window.flaws() == []
    assert window.watch.problems == []


@pytest.mark.parametrize("path", WALKS)
def test_a_page_with_letters_of_twice_the_size(walker: Walker, site: Site, path: str) -> None:
    window = walker(site, path, **WIDE)
    window.page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
    assert accessibility.sideways(window.page) == []
    assert accessibility.cut_off(window.page) == []


@pytest.mark.parametrize("path", WALKS)
def test_a_page_in_a_contrast_theme_and_without_motion(walker: Walker, site: Site, path: str) -> None:
    window = walker(site, path, **WIDE, forced_colors="active", reduced_motion="reduce")
    assert accessibility.without_border(window.page) == []
    assert accessibility.moving(window.page) == []


@pytest.mark.parametrize("path", WALKS)
def test_a_page_without_a_script(walker: Walker, site: Site, path: str) -> None:
    """What it says is there, and whatever can be pressed is in a form or leads somewhere."""
    with_script = walker(site, path, **WIDE, color_scheme="light").heading
    window = walker(site, path, **WIDE, java_script_enabled=False)
    assert window.heading == with_script
    assert window.page.locator("main button:not(form button)").count() == 0
    assert window.page.locator("main a[href='#'], main a:not([href])").count() == 0
    assert window.watch.problems == []
