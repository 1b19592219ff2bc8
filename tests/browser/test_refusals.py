"""Pages that nobody asked for: not allowed, not there, out of date, prove it again, signed out. Everybody can read what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.browser.conftest import OpenWindow, copied
from tests.browser.site import Site, serving
from tests.browser.window import Window


@pytest.fixture(scope="module")
def strict(week: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose clock these tests move on."""
    with serving(copied(week, tmp_path_factory.mktemp("strict"))) as site:
        yield site


def _require_no_flaws(window: Window) -> None:
    """Wide and light, narrow and dark."""
    for width, scheme in ((1280, "light"), (320, "dark")):
        window.page.set_viewport_size({"width": width, "height": 800})
        window.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        assert window.flaws() == [], scheme


@pytest.mark.parametrize(
    ("login", "path", "status", "said"),
    [
        ("sam", "/people", 403, "You may not"),
        ("dana", "/environments/new", 403, "You may not"),
        ("kim", "/environments/nowhere", 404, "Go to the overview"),
        ("kim", "/no/such/page", 404, "Go to the overview"),
        ("kim", "/configuration/preview/0000", 404, "Go to the overview"),
    ],
    ids=["not for support", "not for an analyst", "no such environment", "no such page", "no such proposal"],
)
def test_a_page_that_is_not_for_you_or_not_there(
    strict: Site, window_of: OpenWindow, login: str, path: str, status: int, said: str
) -> None:
    window = window_of(strict, login)
    assert window.open(path) == status
    assert said in window.words
    assert window.page.locator("h1").count() == 1
    _require_no_flaws(window)


def test_a_form_of_a_page_that_is_out_of_date_is_kept(strict: Site, window_of: OpenWindow) -> None:
    """As after signing out and in again in another tab."""
    kim = window_of(strict, "kim")
    kim.open("/holds")
    kim.field("What").select_option(index=1)
    kim.fill("Why", "the interface is tested")
    kim.page.locator("main form input[name=csrf]").evaluate_all(
        "fields => fields.forEach(field => { field.value = 'x'; })"
    )
    kim.press("Hold")
    kim.page.get_by_role("heading", level=1).wait_for()
    assert "the interface is tested" in kim.page.content()
    assert "On hold" not in kim.words
    _require_no_flaws(kim)


def test_an_act_that_is_hard_to_undo_is_proved_again(strict: Site, window_of: OpenWindow) -> None:
    kim = window_of(strict, "kim")
    strict.clinic.clock.move_to(strict.clinic.clock.now() + timedelta(minutes=11))
    kim.open("/holds")
    kim.press("Release environment test")
    kim.page.get_by_role("heading", level=1).wait_for()
    assert kim.heading != "Holds"
    _require_no_flaws(kim)


def test_a_session_that_has_ended_leads_to_the_sign_in_and_back(strict: Site, window_of: OpenWindow) -> None:
    kim = window_of(strict, "kim")
    kim.open("/outbox")
    strict.clinic.clock.move_to(strict.clinic.clock.now() + timedelta(minutes=31))
    kim.follow("Audit")
    assert kim.heading == "Sign in"
    _require_no_flaws(kim)
