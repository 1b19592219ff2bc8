"""Every page in a browser that is set to dark: the same words can be read, and links in sentences are seen."""

from __future__ import annotations

from typing import Final

import pytest

from tests.browser import accessibility
from tests.browser.addresses import WALKS
from tests.browser.conftest import WIDE, Walker
from tests.browser.site import Site

GROUND: Final = "rgb(16, 22, 28)"
"""What the page's ground becomes; without it the dark would go untested."""


@pytest.mark.parametrize("path", WALKS)
def test_a_page_in_the_dark(walker: Walker, site: Site, path: str) -> None:
    window = walker(site, path, **WIDE, color_scheme="dark")
    assert window.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor") == GROUND
    assert accessibility.violations(window.page, rules=["color-contrast", "link-in-text-block"]) == []
    assert window.watch.problems == []
