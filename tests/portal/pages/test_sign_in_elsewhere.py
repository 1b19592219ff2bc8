"""Signing in at the organisation's own provider: the two pages, with a desk that answers as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from portal.pages.sign_in_elsewhere import Arrival, Departure, ProviderProblem, pages
from portal.people import Browser, SignedIn, SignInRefused
from portal.roles import Role
from tests.portal.pages.staff import browsing, person, session_of, words

AT_PROVIDER = "https://login.lamna.example/authorize?state=s"


@dataclass
class FakeProvider:
    """Lets everybody go, and lets in whom `answer` says."""

    answer: Arrival | SignInRefused | ProviderProblem
    left: list[tuple[str, bool]] = field(default_factory=list)
    came: list[tuple[str, Sequence[tuple[str, str]]]] = field(default_factory=list)

    def depart(self, wanted: str, browser: Browser, *, again: bool) -> Departure | ProviderProblem:
        self.left.append((wanted, again))
        return Departure(url=AT_PROVIDER, token="d" * 64)

    def arrive(
        self, token: str, parameters: Sequence[tuple[str, str]], browser: Browser
    ) -> Arrival | SignInRefused | ProviderProblem:
        self.came.append((token, sorted(parameters)))
        return self.answer


def _arrival(wanted: str = "/why?x=1") -> Arrival:
    session = session_of(person(Role.SUPPORT))
    return Arrival(signed_in=SignedIn(token="n" * 64, session=session, known_by="k" * 64), wanted=wanted)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("?next=/why%3Fx%3D1", ("/why?x=1", False)),
        ("?again=1&next=/help", ("/help", True)),
        ("?next=https://evil.example/", ("/", False)),
        ("?next=//evil.example", ("/", False)),
        ("", ("/", False)),
    ],
)
def test_the_way_there_sets_a_cookie_and_leaves(query: str, left: tuple[str, bool]) -> None:
    desk = FakeProvider(_arrival())
    with browsing(pages(desk)) as browser:
        answer = browser.get(f"/sign-in/oidc{query}")
        assert (answer.status_code, answer.headers["location"]) == (303, AT_PROVIDER)
        assert "__Host-carebell=" + "d" * 64 in answer.headers["set-cookie"]
    assert desk.left == [left]


def test_who_comes_back_has_a_new_cookie_and_is_where_they_wanted() -> None:
    desk = FakeProvider(_arrival())
    with browsing(pages(desk)) as browser:
        browser.get("/sign-in/oidc")
        answer = browser.get("/sign-in/oidc/callback?code=c&state=s&state=t")
        assert (answer.status_code, answer.headers["location"]) == (303, "/why?x=1")
        cookies = answer.headers.get_list("set-cookie")
        assert [cookie.partition(";")[0] for cookie in cookies] == [
            "__Host-carebell=" + "n" * 64,
            "__Host-carebell-known=" + "k" * 64,
        ]
        assert all("HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in cookies)
    assert desk.came == [("d" * 64, [("code", "c"), ("state", "s"), ("state", "t")])], "what is doubled is seen"


def test_nobody_is_sent_to_another_site() -> None:
    with browsing(pages(FakeProvider(_arrival("https://evil.example/")))) as browser:
        assert browser.get("/sign-in/oidc/callback?code=c&state=s").headers["location"] == "/"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (SignInRefused(reason="no_role"), "you have no role in the portal"),
        (SignInRefused(reason="switched_off"), "you are switched off here"),
        (
            ProviderProblem(sentence="The sign-in took longer than 10 minutes. <b>"),
            "The sign-in took longer than 10 minutes. <b>",
        ),
    ],
)
def test_who_is_not_let_in_reads_why(answer: SignInRefused | ProviderProblem, sentence: str) -> None:
    with browsing(pages(FakeProvider(answer))) as browser:
        shown = browser.get("/sign-in/oidc/callback?code=secretcode&state=s")
        assert shown.status_code == 403
        assert sentence in words(shown)
        assert "secretcode" not in shown.text
        assert "<b>" not in shown.text
        assert "n" * 64 not in shown.headers.get("set-cookie", "")


def test_the_button_leads_to_a_page_that_there_is() -> None:
    templates = Path(__file__).parents[3] / "portal" / "templates"
    paths = {page.path for page in pages(FakeProvider(_arrival()))}
    assert "/sign-in/oidc" in paths
    for name in ("sign_in.html", "confirm.html"):
        assert 'href="/sign-in/oidc?' in (templates / name).read_text("utf-8")
