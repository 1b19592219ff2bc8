"""A browser for all tests of this folder, and for each test windows of its own that are watched."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.browser import chromium, clinic_week
from tests.browser.addresses import WALKS
from tests.browser.site import Site, serving
from tests.browser.watch import Watch
from tests.browser.window import Window
from tests.story.folder import Changes, make

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE: Final = Path(__file__).parent
PORTAL: Final[Changes] = {"portal": {"enabled": True, "port": 0}}
LONG: Final = "Allgemeines-Universitätskrankenhaus-Nordwestmecklenburg-Ost und Donaudampfschifffahrtsgesellschaft"
COOKIE: Final = "carebell"
"""Over plain http, which is for this machine alone."""
WIDE: Final = {"viewport": {"width": 1280, "height": 900}}
NARROW: Final = {"viewport": {"width": 320, "height": 640}}


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


# Portals


@pytest.fixture(scope="package")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of a clinic's nine days; to be copied."""
    folder = tmp_path_factory.mktemp("week") / "clinic"
    in_thread(clinic_week.tell(folder, PORTAL))
    return folder


@pytest.fixture(scope="package")
def site(week: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The portal after these nine days, for tests that change nothing."""
    with serving(copied(week, tmp_path_factory.mktemp("site"))) as portal:
        yield portal


@pytest.fixture
def own_site(week: Path, tmp_path: Path) -> Iterator[Site]:
    """The same for one test, which may change what it likes; a changed configuration is put in force."""
    with serving(copied(week, tmp_path), reloads=True) as portal:
        yield portal


@pytest.fixture(scope="package")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A portal on its first day: nothing was received, nothing sent."""
    with serving(make(tmp_path_factory.mktemp("empty") / "clinic", PORTAL)) as portal:
        yield portal


@pytest.fixture(scope="package")
def long_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A portal whose environments, people, reasons and organisation have names as long as they may be."""
    folder = tmp_path_factory.mktemp("long") / "clinic"
    path = in_thread(clinic_week.tell_long_names(folder, PORTAL, LONG))
    with serving(path, surname=LONG) as portal:
        yield portal


def in_thread(work: Coroutine[Any, Any, Path]) -> Path:
    """Run it on a loop of its own: playwright's runs in this thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


def copied(week: Path, folder: Path) -> Path:
    """A copy of the week in this folder; its configuration's path."""
    shutil.copytree(week, folder / "clinic")
    return folder / "clinic" / "carebell.yaml"


# Windows


OpenWindow = Callable[..., Window]


@pytest.fixture
def window_of(browser: Browser) -> Iterator[OpenWindow]:
    """`window_of(site, "kim")`: a window of Kim, who is signed in; with None of nobody. What its pages do wrong fails the test."""
    windows: list[Window] = []
    with ExitStack() as stack:

        def open_window(site: Site, login: str | None, **settings: Any) -> Window:
            watch = Watch(origins={site.url})
            page = stack.enter_context(watched_page(browser, watch, **settings))
            if login is not None:
                page.context.add_cookies([{"name": COOKIE, "value": site.session(login), "url": site.url}])
            windows.append(Window(page=page, url=site.url, watch=watch))
            return windows[-1]

        yield open_window
        assert [problem for window in windows for problem in window.watch.problems] == []


Walker = Callable[..., Window]


@pytest.fixture(scope="module")
def walker(browser: Browser) -> Iterator[Walker]:
    """`walker(site, path, **settings)`: the page of a path, in a window that walks share.

    With `full=True` it shows all that the site has: hundreds of lines where some of each kind show how one is made.
    """
    windows: dict[str, Window] = {}
    with ExitStack() as stack:

        def walk(site: Site, path: str, *, full: bool = False, **settings: Any) -> Window:
            login = WALKS[path].login
            key = repr((site.url, login, settings))
            if key not in windows:
                watch = Watch(origins={site.url})
                page = stack.enter_context(watched_page(browser, watch, **settings))
                if login is not None:
                    page.context.add_cookies([{"name": COOKIE, "value": site.session(login), "url": site.url}])
                windows[key] = Window(page=page, url=site.url, watch=watch)
            window = windows[key]
            window.watch.problems.clear()
            assert window.open(WALKS[path].on(site, full=full)) == WALKS[path].status
            return window

        yield walk
