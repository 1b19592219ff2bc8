"""What holds every page can fail: pages that each do one thing wrong, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import accessibility, chromium
from tests.browser.conftest import watched_page
from tests.browser.hands import Keyboard
from tests.browser.watch import Watch
from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ORIGIN = "http://127.0.0.1:1"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'"
GOOD = '<main><h1>A page</h1><form><label for="name">Name</label> <input id="name" autocomplete="off"></form></main>'

Show = Callable[..., "Page"]


@pytest.fixture
def watch() -> Watch:
    return Watch(origins={ORIGIN})


@pytest.fixture
def show(browser: Browser, watch: Watch) -> Iterator[Show]:
    """Show a page with this body (and these further headers and files) under the portal's policy."""
    with watched_page(browser, watch, viewport={"width": 320, "height": 640}) as page:

        def open_page(body: str, *, head: str = "", files: dict[str, tuple[int, str, str]] | None = None) -> Page:
            html = f'<!doctype html><html lang="en"><head><title>A page</title>{head}</head><body>{body}</body></html>'
            answers = {"/": (200, "text/html", html), "/favicon.ico": (204, "image/x-icon", ""), **(files or {})}

            def answer(route: Route) -> None:
                status, kind, content = answers[route.request.url.removeprefix(ORIGIN)]
                route.fulfill(
                    status=status, content_type=kind, body=content, headers={"Content-Security-Policy": POLICY}
                )

            page.route(f"{ORIGIN}/**", answer)
            page.goto(f"{ORIGIN}/")
            page.evaluate(
                "() => new Promise(requestAnimationFrame)"
            )  # what the page said until it was drawn has arrived
            return page

        yield open_page


def test_a_good_page_has_no_problems(show: Show, watch: Watch) -> None:
    page = show(GOOD)
    assert watch.problems == []
    assert accessibility.violations(page) == []
    assert accessibility.sideways(page) == []
    assert accessibility.small_targets(page) == []


# What the watch sees


@pytest.mark.parametrize(
    "body",
    [
        "<script>document.title = 'Other'</script>",
        "<h1 style='color: red'>A page</h1>",
        "<button onclick='alert(1)'>Save</button>",
    ],
    ids=["inline script", "style attribute", "handler attribute"],
)
def test_what_the_policy_forbids_is_a_problem(show: Show, watch: Watch, body: str) -> None:
    page = show(body)
    if "button" in body:
        page.click("button")
    assert any("Content Security Policy" in problem for problem in watch.problems), watch.problems


def test_another_host_is_a_problem_and_is_not_reached(show: Show, watch: Watch) -> None:
    page = show(GOOD)
    watch.problems.clear()
    page.goto("about:blank")
    with pytest.raises(Exception, match="ERR_NAME_NOT_RESOLVED"):
        page.goto("http://elsewhere.example/logo.png")
    assert watch.problems[0] == "another host was asked: http://elsewhere.example/logo.png"


def test_a_script_error_is_a_problem(show: Show, watch: Watch) -> None:
    show(GOOD, head="<script src='/own.js'></script>", files={"/own.js": (200, "text/javascript", "nothing.here()")})
    assert watch.problems == ["script error: nothing is not defined"]


def test_a_part_that_is_missing_is_a_problem(show: Show, watch: Watch) -> None:
    show(GOOD, head="<link rel='stylesheet' href='/own.css'>", files={"/own.css": (404, "text/css", "")})
    assert watch.problems == ["/own.css, a part of a page, was answered 404"]


def test_a_page_that_fails_is_a_problem_and_one_that_refuses_is_not(show: Show, watch: Watch) -> None:
    page = show(GOOD, files={"/fails": (500, "text/html", GOOD), "/refuses": (403, "text/html", GOOD)})
    page.goto(f"{ORIGIN}/refuses")
    assert watch.problems == []
    page.goto(f"{ORIGIN}/fails")
    assert watch.problems == ["GET /fails was answered 500"]


# What is measured of accessibility


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("label", "<main><h1>A page</h1><input></main>"),
        ("color-contrast", "<main><h1>A page</h1><p class='grey'>Too pale to read</p></main>"),
        ("region", "<main><h1>A page</h1></main><p>Outside of every landmark</p>"),
        ("page-has-heading-one", "<main><h2>A page</h2></main>"),
        ("table-duplicate-name", "<main><h1>A page</h1><table summary='a'><caption>a</caption><tr><td>1</td></tr></table></main>"),
    ],
)  # fmt: skip
def test_axe_finds(show: Show, rule: str, body: str) -> None:
    styles = {"/own.css": (200, "text/css", ".grey { color: #bbb; background: #fff }")}
    page = show(body, head="<link rel='stylesheet' href='/own.css'>", files=styles)
    assert [violation.split()[0] for violation in accessibility.violations(page)] == [rule]


def test_a_page_that_scrolls_sideways_is_seen_and_a_box_that_does_is_none(show: Show) -> None:
    styles = {"/own.css": (200, "text/css", "pre { margin: 0 } .box { overflow-x: auto }")}
    line = "<pre>" + "x" * 200 + "</pre>"
    link = "<link rel='stylesheet' href='/own.css'>"
    assert accessibility.sideways(show(f"<main><div class='box'>{line}</div></main>", head=link, files=styles)) == []
    [wide] = accessibility.sideways(show(f"<main>{line}</main>", head=link, files=styles))
    assert wide.startswith("<pre>")


def test_targets_that_are_small_and_near_are_seen(show: Show) -> None:
    styles = {
        "/own.css": (
            200,
            "text/css",
            "button { width: 12px; height: 12px; padding: 0; border: 0 } .far { margin: 40px }",
        )
    }
    link = "<link rel='stylesheet' href='/own.css'>"
    page = show(
        "<main><button>a</button><button>b</button><button class='far'>c</button></main>", head=link, files=styles
    )
    assert [target.split()[0] for target in accessibility.small_targets(page)] == ["12x12", "12x12"]


def test_focus_that_does_not_show_or_is_covered_is_seen(show: Show) -> None:
    styles = {
        "/own.css": (
            200,
            "text/css",
            "a { display: block } a:focus { outline: none } a.good:focus { outline: 3px solid }"
            " .bar { position: fixed; top: 100px; left: 0; right: 0; height: 60px; background: #fff }"
            " .under { position: absolute; top: 110px }",
        )
    }
    body = (
        "<a href='#1'>no mark</a><a href='#2' class='good'>good</a>"
        "<a href='#3' class='good under'>under</a><div class='bar'></div>"
    )
    stops = accessibility.walk_by_tab(show(body, head="<link rel='stylesheet' href='/own.css'>", files=styles))
    assert [(stop["name"], stop["marked"], stop["covered"]) for stop in stops] == [
        ("no mark", False, False),
        ("good", True, False),
        ("under", True, True),
    ]


# Who walks by keyboard


def test_keys_work_what_they_reach_and_come_to_nothing_else(show: Show, watch: Watch) -> None:
    body = (
        "<main><h1>A page</h1><form action='/done'><label>Name <input name='name' value='old'></label>"
        "<label for='size'>Size</label> <select id='size' name='size'><option>small</option><option>large</option></select>"
        "<label><input type='radio' name='kind' value='a'>First</label>"
        "<label><input type='radio' name='kind' value='b'>Second</label>"
        "<label><input type='checkbox' name='sure'>Sure</label>"
        "<button>Go</button><button tabindex='-1'>Not by keys</button></form></main>"
    )
    done = "/done?name=new&size=large&kind=b&sure=on"
    page = show(body, files={done: (200, "text/html", GOOD)})
    hands = Keyboard(Window(page=page, url=ORIGIN, watch=watch))
    with pytest.raises(AssertionError, match="Tab did not come to"):
        hands.press("Not by keys")
    hands.fill("Name", "new")
    hands.choose("Size", "large")
    hands.mark("Second")
    hands.mark("Sure")
    hands.press("Go")
    assert hands.window.path == done


# Where there is no browser


def test_a_program_that_is_not_there_is_the_reason() -> None:
    assert chromium.missing({"CAREBELL_CHROMIUM": "/nowhere/chromium"}) == (
        "no Chromium at /nowhere/chromium: apt install chromium, or set CAREBELL_CHROMIUM"
    )
