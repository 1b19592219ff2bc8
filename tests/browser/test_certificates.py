"""B3: every form of a certificate, through the browser's own file input: decided as `carebell cert show` decides, in its words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from carebell.commands.cert import show
from tests.browser.clinic_week import NOW
from tests.browser.conftest import COOKIE, PORTAL, watched_page
from tests.browser.site import Site, serving
from tests.browser.watch import Watch
from tests.browser.window import Window
from tests.certs.forms import GOOD, good_forms, other_forms, private_key_forms
from tests.story.folder import VECTORS, make, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIELD: Final = "Certificate (.cer)"
PAGE: Final = "/environments/test/certificates"
IN_USE: Final = "09-test-rsa2048"
"""The vector that the environment has already."""


def _forms() -> dict[str, bytes]:
    files = {Path(row[1]).stem: VECTORS / row[1] for row in rows("certs.tsv")}
    vectors = {name: file.read_bytes() for name, file in files.items() if file.exists()}
    others = {name: content for name, (content, _) in other_forms().items()}
    return {**vectors, **good_forms(), **private_key_forms(), **others}


FORMS: Final = _forms()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(
        make(tmp_path_factory.mktemp("certificates") / "clinic", {**PORTAL, "environments": {"production": None}})
    ) as site:
        yield site


@pytest.fixture(scope="module")
def dana(portal: Site, browser: Browser) -> Iterator[Window]:
    """The analyst's window, which the uploads share: each leaves the form on the page, or a proposal that nobody saves."""
    watch = Watch(origins={portal.url})
    with watched_page(browser, watch) as page:
        page.context.add_cookies([{"name": COOKIE, "value": portal.session("dana"), "url": portal.url}])
        yield Window(page=page, url=portal.url, watch=watch)


@pytest.fixture
def upload(dana: Window, tmp_path: Path) -> Iterator[Path]:
    """A file to upload. Nothing went wrong beside it."""
    dana.watch.problems.clear()
    yield tmp_path / "The clinic's (1).cer"
    assert dana.watch.problems == []


def _send(dana: Window, upload: Path, content: bytes) -> None:
    upload.write_bytes(content)
    if dana.path != PAGE or dana.page.get_by_label(FIELD).count() == 0:
        dana.open(PAGE)
    dana.page.get_by_label(FIELD).set_input_files(upload)
    with dana.page.expect_navigation():
        dana.press("Upload certificate")


@pytest.mark.parametrize("form", [form for form in FORMS if form != IN_USE])
def test_b3_a_form_of_a_certificate(dana: Window, upload: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    _send(dana, upload, FORMS[form])
    show([upload], at=NOW, as_json=True)
    verdict = json.loads(capsys.readouterr().out)
    if verdict["verdict"] == "accept":
        assert dana.path.startswith("/configuration/preview/")
        assert dana.errors == []
        return
    assert dana.errors == [verdict["reason"]]
    assert dana.title.startswith("Error: ")
    assert dana.page.evaluate("() => document.activeElement.matches('[data-error-summary]')")
    described = dana.page.get_by_label(FIELD).get_attribute("aria-describedby") or ""
    beside = [dana.page.locator(f"#{name}").inner_text() for name in described.split()]
    assert any(verdict["reason"] in words for words in beside), "the same words stand beside the field"


def test_b3_a_file_beyond_every_certificate_leads_back(
    dana: Window, upload: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one of the index that is over 1 MB, which is described there and made here."""
    _send(dana, upload, GOOD + b"\n" * 2**20)
    show([upload], at=NOW, as_json=True)
    verdict = json.loads(capsys.readouterr().out)
    assert dana.heading == "That was too large"
    assert f"{verdict['reason']} Nothing was changed." in dana.words
    assert dana.flaws() == []
    dana.follow("Go back and choose another file")
    dana.page.get_by_label(FIELD).wait_for()


def test_b3_the_certificate_that_is_in_use_is_not_added_again(dana: Window, upload: Path) -> None:
    _send(dana, upload, FORMS[IN_USE])
    assert dana.errors == ["This certificate is in use here already. A second one is for a new key, while both sign."]


def test_b3_no_file_was_chosen(dana: Window) -> None:
    dana.open(PAGE)
    dana.press("Upload certificate")
    assert dana.errors == ["Choose a .cer file."]
