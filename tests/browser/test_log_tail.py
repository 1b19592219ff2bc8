"""B8: the log grows by itself, stands still when it is told to, goes on where it was, and ends after a quarter of an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest

from tests.browser.conftest import PORTAL, OpenWindow
from tests.browser.site import Site, serving
from tests.browser.window import Window
from tests.story.ehr import unsigned
from tests.story.folder import make

POLL: Final = 2_500
"""Milliseconds: somewhat more than between two questions for newer lines."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(make(tmp_path_factory.mktemp("log") / "clinic", PORTAL)) as site:
        yield site


def _refuse(portal: Site, control_id: str) -> None:
    """A message that is refused is a line of the log."""
    now = portal.clinic.clock.now()
    portal.run(portal.clinic.send(unsigned("S12", control_id, sent=now, start=now + timedelta(days=3))))


@pytest.fixture
def sam(portal: Site, window_of: OpenWindow) -> Window:
    window = window_of(portal, "sam")
    window.page.clock.install()
    window.open("/logs")
    return window


def test_b8_pause_is_the_first_control_of_the_content(sam: Window) -> None:
    first = sam.page.locator("main").locator("a, button, input, select, textarea").first
    assert first.inner_text() == "Pause"


def test_b8_the_log_grows_stands_still_and_goes_on(sam: Window, portal: Site) -> None:
    log = sam.page.get_by_role("log")
    _refuse(portal, "LOGA1")
    assert log.get_by_text("LOGA1").count() == 0
    sam.page.clock.run_for(POLL)
    log.get_by_text("LOGA1").wait_for()

    with sam.page.expect_navigation():
        sam.press("Pause")
    asked: list[str] = []
    sam.page.on("request", lambda request: asked.append(request.url) if "/logs" in request.url else None)
    _refuse(portal, "LOGB2")
    sam.page.clock.run_for(60_000)
    assert sam.page.locator("[hx-trigger]").count() == 0
    assert asked == [], "a page that stands still asks for nothing"
    assert log.get_by_text("LOGB2").count() == 0
    assert sam.flaws() == []

    with sam.page.expect_navigation():
        sam.press("Go on")
    log.get_by_text("LOGB2").wait_for()
    _refuse(portal, "LOGC3")
    sam.page.clock.run_for(POLL)
    log.get_by_text("LOGC3").wait_for()
    lines = log.inner_text()
    assert [lines.count(control_id) for control_id in ("LOGA1", "LOGB2", "LOGC3")] == [1, 1, 1]


def test_b8_following_ends_by_itself(sam: Window, portal: Site) -> None:
    portal.clinic.clock.move_to(portal.clinic.clock.now() + timedelta(minutes=15, seconds=1))
    sam.page.clock.run_for(POLL)
    sam.until("Following has ended")
    assert sam.page.locator("[hx-trigger]").count() == 0
    assert sam.flaws() == []
    sam.follow("Go on")
    sam.page.get_by_role("button", name="Pause").wait_for()
    sam.page.locator("[hx-trigger]").wait_for(state="attached")
