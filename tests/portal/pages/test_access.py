"""Signing in, setting up, people and one's own page, over people in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.pages import people_page, set_up, sign_in, you
from portal.pages.access import AccessDesk
from portal.pages.sign_in import SignInWays, wanted_page
from portal.people import NotDone, SetUpRefused, SignInRefused
from portal.roles import Role
from tests.portal.pages.fake_people import CODE, FakePeople
from tests.portal.pages.staff import NOW, PASSWORD, PUBLIC, Browser, browsing, words


@pytest.fixture
def people() -> FakePeople:
    return FakePeople()


@pytest.fixture
def browser(people: FakePeople) -> Iterator[Browser]:
    desk = AccessDesk(people=people, public_url=PUBLIC, environments=lambda: ["production", "test"])
    ways = SignInWays(local=True, elsewhere="Lamna sign-in")
    pages = (
        *sign_in.pages(desk, lambda: ways),
        *set_up.pages(desk),
        *people_page.pages(desk),
        *you.pages(desk),
    )
    with browsing(pages, sessions=people) as browser:
        yield browser


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("/people?done=role", "/people?done=role"),
        ("", "/"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\b", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("/sign-in", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_only_own_pages_are_gone_back_to(written: str, wanted: str) -> None:
    assert wanted_page(written) == wanted


def test_a_sign_in_sets_cookies_that_scripts_and_other_sites_cannot_read(browser: Browser) -> None:
    answer = browser.post("/sign-in", {"login": "sam", "password": PASSWORD, "next": "/you"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/you")
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-carebell", "__Host-carebell-known"]
    for cookie in cookies:
        assert {"httponly", "secure", "path=/", "samesite=lax"} <= set(cookie.lower().split("; "))
    assert "max-age" not in cookies[0].lower()


def test_what_is_wrong_is_not_said_and_the_password_is_not_shown_again(browser: Browser) -> None:
    for login in ("sam", "nobody"):
        answer = browser.post("/sign-in", {"login": login, "password": "a wrong guess"})
        assert answer.status_code == 422
        assert "User name or password is not right." in words(answer)
        assert f'value="{login}"' in answer.text
        assert "a wrong guess" not in answer.text
        assert "<title>Error: Sign in" in answer.text
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (SignInRefused(reason="wait", until=NOW + timedelta(seconds=61)), "Try again in 2 minutes."),
        (SignInRefused(reason="wait", until=NOW + timedelta(seconds=60)), "Try again in 1 minute."),
        (SignInRefused(reason="locked"), "An administrator can unlock you"),
        (SignInRefused(reason="busy"), "Try again in a few seconds."),
        (SignInRefused(reason="unavailable"), "switched off"),
    ],
)
def test_why_a_sign_in_waits(browser: Browser, people: FakePeople, refusal: SignInRefused, sentence: str) -> None:
    people.refusal = refusal
    assert sentence in words(browser.post("/sign-in", {"login": "sam", "password": PASSWORD}))


def test_an_empty_form_names_each_field_with_the_same_words_twice(browser: Browser) -> None:
    answer = browser.post("/sign-in", {"login": "", "password": ""})
    for field, sentence in (("login", "Type your user name."), ("password", "Type your password.")):
        assert f'<a href="#{field}">{sentence}</a>' in answer.text
        assert answer.text.count(sentence) == 2
        assert f'aria-describedby="{field}-error"' in answer.text


def test_the_second_step(browser: Browser, people: FakePeople) -> None:
    people.everybody["support"] = replace(people.everybody["support"], has_second_factor=True)
    first = browser.post("/sign-in", {"login": "sam", "password": PASSWORD, "next": "/you"})
    assert first.headers["location"] == "/sign-in/code?next=/you"
    assert browser.get("/you").status_code == 303
    wrong = browser.post("/sign-in/code", {"code": "000000", "next": "/you"})
    assert wrong.status_code == 422
    assert "000000" not in wrong.text
    right = browser.post("/sign-in/code", {"code": "123 456", "next": "/you"})
    assert (right.status_code, right.headers["location"]) == (303, "/you")
    assert browser.get("/you").status_code == 200


def test_a_code_without_the_first_step_begins_again(browser: Browser) -> None:
    answer = browser.post("/sign-in/code", {"code": CODE})
    assert answer.headers["location"].startswith("/sign-in?expired=1")


def test_who_is_signed_in_is_led_on(browser: Browser) -> None:
    assert browser.sign_in(Role.SUPPORT).get("/sign-in?next=/you").headers["location"] == "/you"


def test_the_first_page_of_an_empty_portal_says_how_to_begin(browser: Browser, people: FakePeople) -> None:
    people.everybody.clear()
    assert "carebell portal user add" in browser.get("/sign-in").text


def test_a_set_up_link_is_used_up_by_the_post_alone(browser: Browser, people: FakePeople) -> None:
    people.open_links["abc"] = "support"
    for _ in range(2):
        page = browser.get("/set-up/abc")
        assert page.status_code == 200
        assert "<svg" in page.text
        assert "ABCD EFGH" in page.text
        assert "style=" not in page.text
    different = browser.post("/set-up/abc", {"password": "12345678", "password_again": "87654321", "code": CODE})
    assert "The two passwords are not the same." in words(different)
    typed = {"password": "12345678", "password_again": "12345678"}
    assert "Type the code" in words(browser.post("/set-up/abc", {**typed, "code": ""}))
    assert "That code is not right." in words(browser.post("/set-up/abc", {**typed, "code": "1"}))
    people.refusal = SetUpRefused(password="common")
    assert "most common" in words(browser.post("/set-up/abc", {**typed, "code": CODE}))
    done = browser.post("/set-up/abc", {**typed, "code": CODE})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert browser.get("/set-up/abc").status_code == 410
    assert browser.post("/set-up/abc", {**typed, "code": CODE}).status_code == 410


def test_an_invitation_shows_its_link_once(browser: Browser, people: FakePeople) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    assert "Choose a role." in words(browser.post("/people/invite", {"name": "Lee", "login": "lee"}))
    people.refusal = NotDone(reason="login_taken")
    fields = {"name": "Lee", "login": "Sam", "role": "support"}
    taken = browser.post("/people/invite", fields)
    assert '<a href="#login">Somebody has this user name already.</a>' in taken.text
    assert 'value="Lee"' in taken.text
    made = browser.post("/people/invite", {**fields, "login": "Lee"})
    assert f"{PUBLIC}/set-up/link" in words(made)
    assert people.everybody["new"].login == "lee"
    assert "/set-up/link" not in browser.get("/people").text


def test_changes_of_people_ask_for_the_password(browser: Browser, people: FakePeople) -> None:
    browser.sign_in(Role.ADMINISTRATOR, confirmed=False)
    asked = browser.post("/people/support/switch-off")
    assert (asked.status_code, people.acts) == (403, [])
    assert "Confirm that it is you" in words(asked)
    done = browser.post("/people/support/switch-off", {"password_or_code": PASSWORD})
    assert (done.headers["location"], people.acts) == ("/people/support?done=off", [("off", "support")])


@pytest.mark.parametrize("act", ["sign-out", "unlock", "switch-off", "switch-on", "role", "invite"])
def test_each_act_upon_a_person_can_be_refused(browser: Browser, people: FakePeople, act: str) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    people.refusal = NotDone(reason="last_administrator")
    answer = browser.post(f"/people/support/{act}", {"role": "auditor"})
    assert answer.status_code == 422
    assert "This is the last administrator." in words(answer)
    assert browser.post(f"/people/nobody/{act}", {"role": "auditor"}).status_code == 404


def test_a_role_is_changed(browser: Browser, people: FakePeople) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    page = browser.get("/people/support")
    assert page.text.count("checked") == 1
    browser.post("/people/support/role", {"role": "analyst", "environments": ["production", "test"]})
    changed = people.everybody["support"]
    assert (changed.role, changed.environments) == ("analyst", ("production", "test"))


def test_a_password_is_changed_and_the_session_goes_on(browser: Browser) -> None:
    browser.sign_in(Role.SUPPORT)
    new = {"new_password": "a new long password", "new_password_again": "a new long password"}
    wrong = browser.post("/you/password", {"password": "a guess", **new})
    assert "Your present password is not right." in words(wrong)
    assert "a new long password" not in wrong.text
    done = browser.post("/you/password", {"password": PASSWORD, **new})
    assert done.headers["location"] == "/you?done=password"
    assert done.headers["set-cookie"].startswith("__Host-carebell=opened")


def test_a_new_second_factor(browser: Browser, people: FakePeople) -> None:
    browser.sign_in(Role.SUPPORT)
    assert browser.get("/you/second-factor").headers["location"] == "/you"
    browser.post("/you/second-factor/new")
    assert "<svg" in browser.get("/you/second-factor").text
    assert "That code is not right." in words(browser.post("/you/second-factor", {"code": "1"}))
    assert browser.post("/you/second-factor", {"code": CODE}).headers["location"] == "/you?done=code"


def test_own_sessions_are_listed_and_ended(browser: Browser, people: FakePeople) -> None:
    people.everybody["support"] = replace(people.everybody["support"], has_password=True)
    page = browser.sign_in(Role.SUPPORT).get("/you")
    assert "<script>alert" not in page.text
    browser.post("/you/sessions/end", {"key": "other"})
    browser.post("/you/sessions/end-others")
    assert people.acts == [("end", "other"), ("end others", "key of sam")]
