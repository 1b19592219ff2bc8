"""A browser for all tests of this folder, and for each test windows of its own that are watched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import chromium
from tests.browser.watch import Watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a browser, and says so where there is none."""
    reason = chromium.missing()
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One chromium for this folder: its loop runs in this thread, so it ends before a test elsewhere wants one of its own."""
    from playwright.sync_api import sync_playwright  # only where it is installed

    environment: dict[str, str | float | bool] = {
        name: value for name, value in os.environ.items() if not name.startswith("CAREBELL_")
    }
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(
            executable_path=chromium.path(), args=list(chromium.ARGUMENTS), env=environment, timeout=60_000
        )
        yield program
        program.close()


@contextmanager
def watched_page(browser: Browser, watch: Watch, **settings: Any) -> Iterator[Page]:
    """A window of its own, with its own cookies.

    Args:
        settings: as playwright's `new_context` takes them, such as viewport, color_scheme, java_script_enabled.
    """
    context = browser.new_context(**{"locale": "en-US", "timezone_id": "UTC", **settings})
    context.set_default_timeout(20_000)
    watch.over(context)
    try:
        yield context.new_page()
    finally:
        context.close()
