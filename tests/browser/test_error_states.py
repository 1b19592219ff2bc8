"""Every form that was filled in wrong: what is wrong is said at the top and at its field, and everybody can read it and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.browser import begun
from tests.browser.addresses import Address
from tests.browser.conftest import COOKIE, copied, watched_page
from tests.browser.site import Site, serving
from tests.browser.watch import Watch
from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS: Final = "x" * 900
NEVER_SHOWN: Final = frozenset({"Password", "Telephone number"})
"""Fields whose content no page repeats. Whatever else was typed is there again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A form that is sent so that it is refused.

    Attributes:
        errors: how many sentences stand at the top.
        typed: label -> what is typed there.
        last: the button is the last one of its words; another stands before it for the Enter key.
        nowhere: how many of the errors are of no field.
    """

    address: Address
    button: str
    errors: int
    typed: Mapping[str, str] = field(default_factory=dict)
    login: str | None = "kim"
    last: bool = False
    nowhere: int = 0


def _step(name: str) -> Callable[[Site], str]:
    return lambda site: begun.draft_step(site).replace("/feed", f"/{name}")


FORMS: Final[Mapping[str, Wrong]] = {
    "sign in, nothing typed": Wrong(address="/sign-in", button="Sign in", errors=2, login=None),
    "sign in, nobody": Wrong(
        address="/sign-in", button="Sign in", errors=1, login=None,
        typed={"User name": "nobody", "Password": "four plain words here"},
    ),
    "why, nothing typed": Wrong(address="/why", button="Find out why", errors=1),
    "hold, no reason": Wrong(address="/holds", button="Hold", errors=2),
    "hold, a long reason": Wrong(address="/holds", button="Hold", errors=2, typed={"Why": WORDS}),
    "opt-out, no number": Wrong(address="/opt-outs", button="Add the opt-out", errors=1, typed={"Telephone number": "12"}),
    "invite, nothing typed": Wrong(address="/people/invite", button="Make the link", errors=3),
    "text, no YAML": Wrong(address="/configuration/edit", button="See what it does", errors=1, typed={"carebell.yaml": "a: [b"}),
    "text, unknown keys": Wrong(
        address="/configuration/edit", button="See what it does", errors=2, typed={"carebell.yaml": "environmens: {}\n"},
    ),
    "preview, no reason": Wrong(address=begun.proposal, button="Save", errors=1),
    "feed, no port": Wrong(
        address="/environments/production/feed", button="Preview the change", errors=2,
        typed={"Port": "many", "MSH-5 receiving application": ""},
    ),
    "feed, nothing changed": Wrong(
        address="/environments/production/feed", button="Preview the change", errors=1, nowhere=1,
    ),
    "texts, wrong times": Wrong(
        address="/environments/production/sms", button="Preview the change", last=True, errors=1,
        typed={"Another number": "12", "Texts in a day at most": "some"},
    ),
    "certificate, none chosen": Wrong(
        address="/environments/test/certificates", button="Upload certificate", errors=1,
    ),
    "new environment, no name": Wrong(address="/environments/new", button="Continue", errors=2),
    "new environment, no such zone": Wrong(
        address="/environments/new", button="Continue", errors=3,
        typed={"Name": "a name with spaces", "Time zone": "Nowhere/Special"},
    ),
    "new environment, no https": Wrong(
        address=_step("address"), button="Continue", errors=1, typed={"FHIR base URL": "http://ehr.example/FHIR/R4"},
    ),
    "new environment, nothing to check": Wrong(address=_step("address"), button="Check", errors=1),
    "new environment, no approver": Wrong(address=_step("approver"), button="Continue", errors=1),
    "new environment, an empty feed": Wrong(address=_step("feed"), button="Continue", errors=5, typed={"Port": ""}),
    "new environment, texts without a number": Wrong(
        address=_step("sms"), button="Continue", last=True, errors=2, typed={"Texts in a week at most": ""},
    ),
    "report, days the wrong way": Wrong(
        address="/reports/sms?from=2026-03-10&to=2026-03-02", button="Show", errors=1,
    ),
    "silences, too many days": Wrong(
        address="/reports/silences?from=2020-01-01&to=2026-03-02", button="Show", errors=1,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def refusing(week: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(copied(week, tmp_path_factory.mktemp("refusing"))) as site:
        yield site


@pytest.fixture(scope="module")
def window_at(browser: Browser, refusing: Site) -> Iterator[Callable[[str | None], Window]]:
    """One window for each person, which the forms share."""
    windows: dict[str | None, Window] = {}
    with ExitStack() as stack:

        def at(login: str | None) -> Window:
            if login not in windows:
                watch = Watch(origins={refusing.url})
                page = stack.enter_context(watched_page(browser, watch, reduced_motion="reduce"))
                if login is not None:
                    session = refusing.session(login)
                    page.context.add_cookies([{"name": COOKIE, "value": session, "url": refusing.url}])
                windows[login] = Window(page=page, url=refusing.url, watch=watch)
            windows[login].watch.problems.clear()
            return windows[login]

        yield at


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_refused(window_at: Callable[[str | None], Window], refusing: Site, name: str) -> None:
    wrong = FORMS[name]
    window = window_at(wrong.login)
    page = window.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    window.open(wrong.address if isinstance(wrong.address, str) else wrong.address(refusing))
    for label, typed in wrong.typed.items():
        window.fill(label, typed)
    buttons = page.get_by_role("button", name=wrong.button, exact=True)
    (buttons.last if wrong.last else buttons.first).click()
    page.locator("[data-error-summary]").wait_for()

    assert window.title.startswith("Error: ")
    assert len(window.errors) == wrong.errors, window.errors
    assert page.evaluate("() => document.activeElement.matches('[data-error-summary]')"), (
        "the focus is at what is wrong"
    )
    links = page.locator("[data-error-summary] a")
    assert links.count() == wrong.errors - wrong.nowhere
    for link in links.all():
        target = page.locator(str(link.get_attribute("href")).replace(".", "\\."))
        assert target.count() == 1, "each sentence leads to its field"
        assert (
            target.get_attribute("aria-invalid") == "true"
            or target.locator("xpath=ancestor::fieldset[@aria-invalid]").count()
        )
    for label, typed in wrong.typed.items():
        assert window.value(label).strip() == ("" if label in NEVER_SHOWN else typed.strip()), label
    assert window.flaws() == []

    page.set_viewport_size({"width": 320, "height": 640})
    page.emulate_media(color_scheme="dark")
    assert window.flaws() == []
    assert window.watch.problems == []
