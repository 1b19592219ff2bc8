"""B1 and B10: from an invitation to a session, and to the session's end. Passwords are hashed and codes are counted for real."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

import pyotp

from tests.browser.conftest import OpenWindow
from tests.browser.site import Site
from tests.browser.window import Window

PASSWORD: Final = "four plain words together"


def _code(secret: str, site: Site) -> str:
    return pyotp.TOTP(secret.replace(" ", "")).at(site.clinic.clock.now())


def _invited(kim: Window, name: str, login: str) -> str:
    """Invite a support person; the set-up link's path."""
    kim.open("/people/invite")
    kim.fill("Name", name)
    kim.fill("User name", login)
    kim.page.get_by_role("radio", name="Support").check()
    kim.press("Make the link")
    return kim.page.locator("#link").inner_text().removeprefix(kim.url)


def test_b1_an_invitation_becomes_a_sign_in_with_a_code(own_site: Site, window_of: OpenWindow) -> None:
    link = _invited(window_of(own_site, "kim"), "Robin Hale", "robin")
    robin = window_of(own_site, None)
    assert robin.open(link) == 200
    secret = robin.page.get_by_text("Key:").locator("code").inner_text()

    # What is wrong is said, and nothing is lost but what is secret.
    robin.fill("Choose a password", PASSWORD)
    robin.fill("The same password again", PASSWORD)
    robin.fill("Code that the app shows now", "000000")
    robin.press("Save and sign in")
    assert robin.title.startswith("Error: ")
    assert len(robin.errors) == 1
    assert robin.page.evaluate("() => document.activeElement.matches('[data-error-summary]')")
    assert robin.value("Choose a password") == ""
    assert robin.flaws() == []

    robin.fill("Choose a password", PASSWORD)
    robin.fill("The same password again", PASSWORD)
    robin.fill("Code that the app shows now", _code(secret, own_site))
    robin.press("Save and sign in")
    robin.page.get_by_role("heading", name="Overview").wait_for()
    assert "Robin Hale" in robin.page.locator("header").inner_text()

    # The link worked once.
    another = window_of(own_site, None)
    another.open(link)
    assert another.page.get_by_label("Choose a password").count() == 0

    robin.press("Sign out")
    assert re.match("/sign-in", robin.path)
    own_site.clinic.clock.move_to(own_site.clinic.clock.now() + timedelta(minutes=5))
    robin.fill("User name", "robin")
    robin.fill("Password", "a wrong guess of it")
    robin.press("Sign in")
    assert robin.errors == ["User name or password is not right."]
    assert robin.value("User name") == "robin"
    robin.fill("Password", PASSWORD)
    robin.press("Sign in")
    robin.fill("Code", _code(secret, own_site))
    robin.press("Go on")
    robin.page.get_by_role("heading", name="Overview").wait_for()


def test_somebody_who_asks_for_a_page_gets_it_after_signing_in(own_site: Site, window_of: OpenWindow) -> None:
    link = _invited(window_of(own_site, "kim"), "Robin Hale", "robin")
    robin = window_of(own_site, None)
    robin.open(link)
    secret = robin.page.get_by_text("Key:").locator("code").inner_text()
    robin.fill("Choose a password", PASSWORD)
    robin.fill("The same password again", PASSWORD)
    robin.fill("Code that the app shows now", _code(secret, own_site))
    robin.press("Save and sign in")
    own_site.clinic.clock.move_to(own_site.clinic.clock.now() + timedelta(minutes=31))
    robin.open("/reports/silences")
    assert robin.heading == "Sign in"
    robin.fill("User name", "robin")
    robin.fill("Password", PASSWORD)
    robin.press("Sign in")
    robin.fill("Code", _code(secret, own_site))
    robin.press("Go on")
    robin.page.wait_for_url("**/reports/silences")
