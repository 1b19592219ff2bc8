"""B13: what an analyst enters in the EHR is compared letter by letter with what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import OpenWindow, copied
from tests.browser.scenes import APPROVING, prove_access
from tests.browser.site import Site, serving
from tests.browser.window import Window
from tests.story.folder import change


@pytest.fixture(scope="module")
def approving(week: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Production needs an approver's word."""
    path = copied(week, tmp_path_factory.mktemp("approving"))
    change(path, APPROVING)
    with serving(path) as site:
        yield site


def test_records_stand_there_once_the_environment_is_approved(approving: Site, window_of: OpenWindow) -> None:
    dana = window_of(approving, "dana")
    dana.open("/environments/production/records")
    assert "The records are here once the environment is approved" in dana.words
    prove_access(approving, dana)
    dana.press("Send back")
    assert len(dana.errors) == 1, "whoever changes the configuration must read why"
    assert dana.flaws() == []
    _approve(approving, dana)
    dana.follow("Integration records")
    assert dana.page.locator("main section").count() >= 5
    assert dana.flaws() == []


def test_comparing_with_nothing_says_so(approving: Site, window_of: OpenWindow) -> None:
    dana = _at_records(approving, window_of)
    dana.press("Compare")
    assert dana.errors == ["Paste what stands in the EHR."]
    assert dana.page.evaluate("() => document.activeElement.matches('[data-error-summary]')")
    assert dana.flaws() == []


def test_b13_one_changed_letter_of_a_whole_record_is_found(approving: Site, window_of: OpenWindow) -> None:
    dana = _at_records(approving, window_of)
    whole = _downloaded(dana, "Direct SMS record")
    assert _compared(dana, "Direct SMS record", whole) == ["same"]
    assert "2 characters differ" not in dana.words

    wrong = whole.replace("STOP", "ST0P", 1)
    assert wrong != whole
    assert _compared(dana, "Direct SMS record", wrong) == ["missing: O", "extra: 0"]
    assert dana.value("What stands in the EHR") == wrong, "what was pasted is there again"
    assert dana.flaws() == []


def test_b13_one_value_is_compared_with_the_value_that_it_is_most_like(approving: Site, window_of: OpenWindow) -> None:
    dana = _at_records(approving, window_of)
    thumbprint = dana.page.locator("#sms_configuration-thumbprint_1").inner_text()
    assert _compared(dana, "SMS configuration record", thumbprint) == ["same"]
    assert _compared(dana, "SMS configuration record", thumbprint[:-1]) == [f"missing: {thumbprint[-1]}"]


def _at_records(site: Site, window_of: OpenWindow) -> Window:
    dana = window_of(site, "dana")
    dana.open("/environments/production/records")
    if "Compare with" not in dana.words:
        _approve(site, dana)
        dana.open("/environments/production/records")
    return dana


def _approve(site: Site, window: Window) -> None:
    prove_access(site, window)
    window.press("Approve this configuration")


def _downloaded(window: Window, title: str) -> str:
    """One record of the text that can be downloaded, its title first."""
    with window.page.expect_download() as download:
        window.press("Download as text")
    text = download.value.path().read_text("utf-8")
    return next(part for part in re.split(r"\n(?=[A-Z][^\n]* record\b)", text) if title in part)


def _compared(window: Window, record: str, pasted: str) -> list[str]:
    """What comparing marks: "same", or each stretch that differs."""
    window.choose("Record", record)
    window.fill("What stands in the EHR", pasted)
    window.press("Compare")
    notice = window.page.locator("main .notice")
    notice.wait_for()
    marked = [" ".join(text.split()) for text in notice.locator("li").all_inner_texts()]
    return marked or ["same"]
