"""Every page by the Tab key: it reaches every control, what has the focus is seen, and Tab leaves the page again."""

from __future__ import annotations

import pytest

from tests.browser import accessibility
from tests.browser.addresses import WALKS
from tests.browser.conftest import WIDE, OpenWindow, Walker
from tests.browser.site import Site


@pytest.mark.parametrize("path", WALKS)
def test_the_tab_key_reaches_every_control_and_the_focus_is_seen(walker: Walker, site: Site, path: str) -> None:
    window = walker(site, path, **WIDE)
    controls = accessibility.controls(window.page)
    stops = accessibility.walk_by_tab(window.page)
    assert stops[0]["name"] == "Skip to the content"
    flaws = [stop for stop in stops if not stop["marked"] or stop["covered"] or not stop["inside"]]
    assert flaws == []
    assert sorted({stop["element"] for stop in stops} ^ controls) == []
    assert window.watch.problems == []


def test_space_presses_a_link_that_is_announced_as_a_button(site: Site, window_of: OpenWindow) -> None:
    kim = window_of(site, "kim")
    kim.open("/environments")
    button = kim.page.get_by_role("button", name="Add an environment")
    button.focus()
    with kim.page.expect_navigation():
        kim.page.keyboard.press("Space")
    assert kim.path == "/environments/new"
