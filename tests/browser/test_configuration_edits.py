"""B4, B5, B6: a reminder is changed on the pages, while nobody or somebody else changes the file too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from scheduler.sms import SmsState
from store import simulated_clock
from tests.browser.clinic_week import NOW
from tests.browser.conftest import OpenWindow, copied
from tests.browser.site import Site, serving, until
from tests.browser.window import Window

HEAD: Final = "# Whoever changes a reminder tells the front desk.\n"
REMINDER: Final = "- before: {}  # cardiology asked for this one\n"


@pytest.fixture
def editing(week: Path, tmp_path: Path) -> Iterator[Site]:
    """A site whose file has comments, and whose commands see the clock of its pages."""
    path = copied(week, tmp_path)
    text = path.read_text("utf-8")
    assert text.count("- before: 24h\n") == 2
    path.write_text(HEAD + text.replace("- before: 24h\n", REMINDER.format("24h"), 1), "utf-8")
    with serving(path, reloads=True) as site:
        with site.clinic.service.store.write() as conn:
            simulated_clock.note(conn, shown=NOW, real=datetime.now(UTC), speed=0.0)
        yield site


def _text(site: Site) -> str:
    return (site.folder / "carebell.yaml").read_text("utf-8")


def _change_reminder(window: Window, hours: str) -> None:
    """The second reminder of production goes so long before; up to its preview."""
    window.open("/environments/production/sms")
    _type_reminder(window, hours)
    _preview(window)


def _type_reminder(window: Window, hours: str) -> None:
    window.page.get_by_role("group", name="Reminder 2").get_by_label("Before the visit").fill(hours)


def _preview(window: Window) -> int:
    """Press the button below the form; the answer's status. A button for the Enter key alone stands before it."""
    return _pressed(window, "Preview the change", last=True)


def _pressed(window: Window, button: str, *, last: bool = False) -> int:
    found = window.page.get_by_role("button", name=button, exact=True)
    with window.page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        (found.last if last else found.first).click()
    window.page.wait_for_load_state()
    return answer.value.status


def _save(window: Window, why: str) -> int:
    window.fill("Why", why)
    return _pressed(window, "Save")


def _foreseen(site: Site, text: str) -> list[list[str]]:
    """What `carebell config preview` counts for this file: environment, kind, day, more, fewer, moved."""
    trial = site.folder / "trial.yaml"
    trial.write_text(text, "utf-8")
    words = ["-c", str(site.folder / "carebell.yaml"), "config", "preview", str(trial), "--json"]
    command = [sys.executable, "-m", "carebell", *words]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout
    keys = ("environment", "kind", "date", "planned", "withdrawn", "moved")
    return [[str(row[key]) for key in keys] for row in map(json.loads, printed.splitlines()) if "date" in row]


def test_b4_what_the_preview_says_is_what_the_command_says_and_what_happens(
    editing: Site, window_of: OpenWindow
) -> None:
    before, kim = _text(editing), window_of(editing, "kim")
    after = before.replace(REMINDER.format("24h"), REMINDER.format("48h"))
    _change_reminder(kim, "48")
    assert kim.heading == "What this change does"
    shown = kim.table("Texts that change, by day")
    assert len(shown) > 5
    assert shown == _foreseen(editing, after)
    assert _text(editing) == before, "a preview writes nothing"
    assert kim.flaws() == []

    assert _save(kim, "two days suit our patients") == 303
    kim.until("in force since")
    assert kim.heading == "This change is saved"
    assert _text(editing) == after, "every other byte is kept, comments too"
    assert kim.flaws() == []
    more = sum(int(row[3]) for row in shown)
    until(lambda: _waiting(editing, "48h") == more)

    kim.open("/configuration/history")
    [newest, *_] = kim.table("Versions, the newest first")
    assert newest[-1] == "two days suit our patients"
    assert newest[3] == "portal"


def _waiting(site: Site, rule: str) -> int:
    rows = site.clinic.outbox()
    return sum(1 for _, named, state, _ in rows if named == rule and state == SmsState.DUE.value)


def test_b5_of_two_administrators_the_slower_one_sees_three_texts_and_loses_nothing(
    editing: Site, window_of: OpenWindow
) -> None:
    kim, lee = window_of(editing, "kim"), window_of(editing, "lee")
    _change_reminder(kim, "48")
    lee.open("/environments/production/sms")
    lee.fill("Texts in a week at most", "7")
    _preview(lee)
    assert _save(lee, "fewer texts") == 303
    lee.until("in force since")
    lees = _text(editing)

    assert _save(kim, "two days suit our patients") == 409
    assert kim.errors == ["Somebody else changed carebell.yaml meanwhile. Nothing was written."]
    lines = kim.table("Base, yours and theirs")
    marked = {mark: text for _, mark, text in (row for row in lines if len(row) == 3) if mark}
    assert marked["yours"].startswith("- before: 48h")
    assert marked["theirs"] == "per_week: 7"
    assert _text(editing) == lees
    assert kim.flaws() == []

    assert _pressed(kim, "Make the same change of the file as it is now") == 303
    assert kim.heading == "What this change does"
    assert _save(kim, "two days suit our patients") == 303
    kim.until("in force since")
    assert _text(editing) == lees.replace(REMINDER.format("24h"), REMINDER.format("48h"))


def test_b5_the_same_line_of_the_text_is_decided_by_a_person(editing: Site, window_of: OpenWindow) -> None:
    kim, lee = window_of(editing, "kim"), window_of(editing, "lee")
    kim.open("/configuration/edit")
    typed = kim.value("carebell.yaml").replace(REMINDER.format("24h"), REMINDER.format("48h"))
    kim.fill("carebell.yaml", typed)
    _change_reminder(lee, "30")
    assert _save(lee, "as the front desk asked") == 303
    lee.until("in force since")
    lees = _text(editing)

    assert _pressed(kim, "See what it does") == 409
    assert kim.heading == "Somebody else changed the file"
    kim.page.locator("summary", has_text="Your text").click()
    assert kim.value("Your text") == typed
    assert {row[1] for row in kim.table("Base, yours and theirs") if len(row) == 3} >= {"base", "yours", "theirs"}
    assert kim.flaws() == []
    assert _text(editing) == lees


def test_b6_a_file_that_was_changed_by_hand_meanwhile_is_not_written_over(editing: Site, window_of: OpenWindow) -> None:
    kim = window_of(editing, "kim")
    kim.open("/environments/production/sms")
    _type_reminder(kim, "48")
    by_hand = _text(editing).replace("min_gap: 2h", "min_gap: 3h")
    assert by_hand != _text(editing)
    (editing.folder / "carebell.yaml").write_text(by_hand, "utf-8")

    assert _preview(kim) == 409
    assert len(kim.errors) == 1
    reminder = kim.page.get_by_role("group", name="Reminder 2").get_by_label("Before the visit")
    assert reminder.input_value() == "48", "what was typed is there again"
    assert _text(editing) == by_hand
    assert kim.flaws() == []

    assert _preview(kim) == 303
    assert _save(kim, "two days suit our patients") == 303
    kim.until("in force since")
    assert _text(editing) == by_hand.replace(REMINDER.format("24h"), REMINDER.format("48h"))
    kim.open("/configuration/history")
    assert {row[3] for row in kim.table("Versions, the newest first")} >= {"portal", "file"}
