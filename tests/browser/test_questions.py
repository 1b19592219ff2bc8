"""B7, B8, B9: why a patient got no text, the log as it grows, and the report as a file."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest

from tests.browser.clinic_week import NOW
from tests.browser.conftest import OpenWindow
from tests.browser.site import Site
from tests.story.ehr import unsigned


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


def test_b8_the_log_grows_stands_still_and_goes_on(own_site: Site, window_of: OpenWindow) -> None:
    def refuse(control_id: str) -> None:
        content = unsigned("S12", control_id, sent=NOW, start=NOW + timedelta(days=3))
        own_site.run(own_site.clinic.send(content))

    sam = window_of(own_site, "sam")
    sam.page.clock.install()
    sam.open("/logs")
    log = sam.page.get_by_role("log")
    assert (
        sam.page.evaluate(
            "() => document.querySelector('main').querySelector('a, button, input, select').textContent.trim()"
        )
        == "Pause"
    )
    refuse("LOGA1")
    sam.page.clock.run_for(2_500)
    log.get_by_text("LOGA1").wait_for()

    sam.press("Pause")
    sam.page.get_by_role("button", name="Go on").or_(sam.page.get_by_role("link", name="Go on")).first.wait_for()
    refuse("LOGB2")
    asked: list[str] = []
    sam.page.on("request", lambda request: asked.append(request.url))
    sam.page.clock.run_for(60_000)
    assert asked == [], "a page that stands still asks for nothing"
    assert log.get_by_text("LOGB2").count() == 0

    sam.press("Go on")
    log.get_by_text("LOGB2").wait_for()
    # It stops by itself after a quarter of an hour.
    sam.page.clock.run_for(16 * 60_000)
    sam.page.get_by_text("Following has ended").wait_for()
    assert sam.page.locator("[hx-trigger]").count() == 0


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


def test_b9_every_text_of_the_page_is_in_the_file(site: Site, window_of: OpenWindow) -> None:
    avery = window_of(site, "avery")
    avery.open("/reports/sms?from=2026-03-02&to=2026-03-10&status=Delivered")
    with avery.page.expect_download() as download:
        avery.press("Export CSV")
    rows = list(csv.DictReader(StringIO(download.value.path().read_text("utf-8-sig"))))
    assert {row["Status"] for row in rows} == {"Delivered"}
    shown = avery.table("Texts, the newest first")
    assert [row[0] for row in shown] == [row["Sent time (UTC)"] for row in reversed(rows)][: len(shown)]
