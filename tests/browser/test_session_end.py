"""B10: the end of a session is announced two minutes before, one button puts it off, and nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pytest

from tests.browser.conftest import COOKIE, PORTAL, OpenWindow
from tests.browser.site import Site, serving
from tests.browser.window import Window
from tests.story.folder import make

MINUTE: Final = 60_000
REASON: Final = "the reason that I am typing"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    changes = {"portal": {**PORTAL["portal"], "session": {"idle": "30m", "absolute": "1h"}}}
    with serving(make(tmp_path_factory.mktemp("session") / "clinic", changes)) as site:
        yield site


@pytest.fixture
def sam(portal: Site, window_of: OpenWindow) -> Window:
    """Somebody who types a reason; the window's clock is the test's, and the service's moves with it."""
    window = window_of(portal, "sam")
    now = portal.clinic.clock.now()
    window.page.clock.install(time=now)
    window.page.clock.pause_at(now + timedelta(seconds=1))
    window.open("/holds")
    window.fill("Why", REASON)
    return window


def _pass(portal: Site, window: Window, minutes: float) -> None:
    portal.clinic.clock.move_to(portal.clinic.clock.now() + timedelta(minutes=minutes))
    window.page.clock.run_for(round(minutes * MINUTE))


def _has_focus(window: Window, selector: str) -> bool:
    return window.page.locator(selector).and_(window.page.locator(":focus")).count() == 1


def test_b10_two_minutes_before_the_end_one_button_puts_it_off(portal: Site, sam: Window) -> None:
    dialog = sam.page.get_by_role("dialog", name="You will be signed out soon")
    _pass(portal, sam, 27.9)
    assert not dialog.is_visible()
    _pass(portal, sam, 0.2)
    dialog.wait_for()
    assert "You will be signed out in 2 minutes" in dialog.inner_text()
    assert _has_focus(sam, "dialog button")
    for _ in range(4):  # Tab stays among what can be answered; the browser's own controls are not the page's
        sam.page.keyboard.press("Tab")
        assert sam.page.evaluate(
            "() => document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )

    _pass(portal, sam, 1.5)
    assert "You will be signed out in 24 seconds" in dialog.inner_text()
    dialog.get_by_role("button", name="Stay signed in").click()
    dialog.wait_for(state="hidden")
    assert sam.value("Why") == REASON
    assert _has_focus(sam, "#reason"), "the focus is where it was"

    # The whole time begins anew, at the service and on the page.
    _pass(portal, sam, 27.9)
    assert not dialog.is_visible()
    _pass(portal, sam, 0.2)
    dialog.wait_for()
    sam.page.clock.resume()  # axe waits for a timer
    assert sam.flaws() == []


def test_b10_escape_loses_nothing_and_keeps_the_session(portal: Site, sam: Window) -> None:
    """Whoever presses it is there."""
    dialog = sam.page.get_by_role("dialog")
    _pass(portal, sam, 28.1)
    dialog.wait_for()
    sam.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert sam.value("Why") == REASON
    assert _has_focus(sam, "#reason")
    _pass(portal, sam, 27.9)
    assert not dialog.is_visible()
    assert sam.value("Why") == REASON


def test_b10_nobody_answers_and_the_page_goes(portal: Site, sam: Window) -> None:
    _pass(portal, sam, 28.1)
    sam.page.get_by_role("dialog").wait_for()
    _pass(portal, sam, 2)
    sam.page.get_by_role("heading", name="Sign in", exact=True).wait_for()
    assert "next=/holds" in sam.path
    assert REASON not in sam.page.content()


def test_b10_another_tab_that_works_keeps_this_one_signed_in(portal: Site, sam: Window) -> None:
    """Otherwise it would go, and with it what was typed, although the session lives."""
    dialog = sam.page.get_by_role("dialog")
    other = sam.page.context.new_page()
    _pass(portal, sam, 20)
    other.goto(f"{portal.url}/outbox")
    _pass(portal, sam, 12)
    assert not dialog.is_visible()
    assert sam.value("Why") == REASON
    _pass(portal, sam, 16.1)
    dialog.wait_for()
    other.goto(f"{portal.url}/outbox")
    dialog.wait_for(state="hidden")
    assert sam.value("Why") == REASON


def test_b10_the_end_of_the_longest_session_is_announced_once(portal: Site, sam: Window) -> None:
    """No button helps then: who has answered can use the last two minutes, instead of answering every second."""
    dialog = sam.page.get_by_role("dialog")
    other = sam.page.context.new_page()
    for _ in range(2):
        _pass(portal, sam, 20)
        other.goto(f"{portal.url}/you")
    _pass(portal, sam, 17.9)
    assert not dialog.is_visible()
    _pass(portal, sam, 0.6)
    dialog.wait_for()
    dialog.get_by_role("button", name="Stay signed in").click()
    dialog.wait_for(state="hidden")
    _pass(portal, sam, 0.5)
    assert not dialog.is_visible()
    assert sam.value("Why") == REASON


def test_a_form_that_is_sent_too_late_goes_through_after_signing_in(portal: Site, window_of: OpenWindow) -> None:
    """Without a script nothing warns. Nothing is changed, everything is still there, and it can be sent again."""
    sam = window_of(portal, "sam", java_script_enabled=False)
    sam.open("/holds")
    sam.choose("What", "production")
    sam.fill("Why", "the printer burns")
    portal.clinic.clock.move_to(portal.clinic.clock.now() + timedelta(minutes=31))
    sam.press("Hold")
    assert sam.heading == "You were signed out"
    sam.page.context.add_cookies([{"name": COOKIE, "value": portal.session("sam"), "url": portal.url}])
    sam.press("Send it again")
    sam.press("Send it again")  # the page is older than the new session, and says so
    sam.open("/holds")
    assert "the printer burns" in sam.words
