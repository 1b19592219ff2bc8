"""B7, B8, B9: why a patient got no text, the log as it grows, and the report as a file."""

from __future__ import annotations

import csv
import subprocess
import sys
from io import StringIO

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.site import Site


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("4711", "an administrator removes the opt-out"),
        ("4707", "cannot receive texts"),
        ("EPIC2U", "not signed"),
        ("999999", "Nothing is known about that"),
    ],
    ids=["opted out", "no such number", "refused message", "never heard of"],
)
def test_b7_why(site: Site, window_of: OpenWindow, asked: str, said: str) -> None:
    sam = window_of(site, "sam")
    sam.open("/why")
    sam.fill("Appointment number or telephone number", asked)
    sam.press("Find out why")
    sam.page.locator("main section").first.wait_for()
    assert said in sam.words
    assert sam.path == "/why", "what was asked for stands in no address"
    assert sam.flaws() == []


def test_b7_a_number_is_searched_and_never_shown(site: Site, window_of: OpenWindow) -> None:
    sam = window_of(site, "sam")
    sam.open("/why")
    sam.fill("Appointment number or telephone number", "+1 202 555 0190")
    sam.press("Find out why")
    sam.page.locator("main section").first.wait_for()
    assert "4790" in sam.words
    assert "5550190" not in sam.page.content()
    assert "555 0190" not in sam.page.content()


def test_b9_the_file_is_what_the_command_prints(site: Site, window_of: OpenWindow) -> None:
    avery = window_of(site, "avery")
    avery.open("/reports/sms?from=2026-03-02&to=2026-03-10")
    with avery.page.expect_download() as download:
        avery.press("Export CSV")
    exported = download.value.path().read_text("utf-8-sig")
    words = ["report", "sms", "--csv", "--from", "2026-03-02", "--to", "2026-03-10"]
    printed = subprocess.run(
        [sys.executable, "-m", "carebell", "-c", str(site.folder / "carebell.yaml"), *words],
        capture_output=True, text=True, check=True, timeout=240,
    ).stdout  # fmt: skip
    rows = list(csv.reader(StringIO(exported)))
    assert len(rows) > 60
    assert rows == list(csv.reader(StringIO(printed.lstrip("\ufeff"))))
