"""`check-config` on what only the command sees: modes of files, one certificate under two names, values that do nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.carebell.conftest import Carebell
from tests.story.folder import change


def test_a_restored_database_with_a_wide_mode_is_warned_of(carebell: Carebell, configuration: Path) -> None:
    database = configuration.with_name("carebell.db")
    database.touch(mode=0o600)
    assert "mode" not in carebell("-c", configuration, "check-config").out
    database.chmod(0o644)
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 0
    assert f"storage.url: carebell.db has mode 0644: other accounts can open it; chmod 0600 {database}" in ended.out
    assert "warning: " in ended.out


def test_one_certificate_under_two_names_is_refused(carebell: Carebell, configuration: Path) -> None:
    folder = configuration.parent / "certs"
    shutil.copy(next(folder.glob("*.cer")), folder / "copy.cer")
    [first] = [path for path in folder.glob("*.cer") if path.name != "copy.cer"][:1]
    listed = [f"certs/{first.name}", "certs/copy.cer"]
    change(configuration, {"environments": {"production": {"certificates": listed}}})
    ended = carebell("-c", configuration, "check-config", "--json")
    assert ended.code == 78
    [row] = [row for row in ended.rows if row["key"] == "environments.production.certificates[1]"]
    assert row["why"].startswith("copy.cer holds a certificate that is listed already")
    assert not row["warning"]
    assert row["line"] > 0


def test_what_does_nothing_is_a_warning(carebell: Carebell, configuration: Path) -> None:
    reminders = {"reminders": [{"before": "24h"}, {"before": "1d"}]}
    change(configuration, {"environments": {"production": {"sms": reminders}}})
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 0
    assert "1d and 24h are the same moment" in ended.out


def test_words_of_replies_that_mean_something_else_are_refused(carebell: Carebell, configuration: Path) -> None:
    words = {"fr": {"confirm": ["C", "OUI"], "cannot_come": ["ANNULER", "C"], "call_me": ["R"]}}
    replies = {"replies": {"enabled": True, "words": words}}
    change(configuration, {"environments": {"production": {"sms": replies}}})
    ended = carebell("-c", configuration, "check-config", "--json")
    assert ended.code == 78
    below = "environments.production.sms.replies.words.fr.cannot_come"
    assert [(row["key"].removeprefix(below), row["why"]) for row in ended.rows if row["key"].startswith(below)] == [
        ("[0]", "ANNULER: patients who send it stop all texts"),
        ("[1]", "C: stands under confirm as well"),
    ]


def test_answers_that_go_nowhere_are_a_warning(carebell: Carebell, configuration: Path) -> None:
    change(configuration, {"environments": {"production": {"sms": {"replies": {"enabled": True}}}}})
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 0
    assert "sms.replies: what patients answer stands in Carebell alone" in ended.out


def test_no_text_asks_from_a_toll_free_number(carebell: Carebell, configuration: Path) -> None:
    sms = {"from": "+18335550100", "replies": {"enabled": True}}
    change(configuration, {"environments": {"production": {"sms": sms}}})
    ended = carebell("-c", configuration, "check-config", "--json")
    assert ended.code == 78
    [row] = ended.rows
    assert row["key"] == "environments.production.sms.replies.ask_in"
    assert row["why"].startswith("asks from a toll-free number")


def test_a_text_of_ones_own_that_does_not_ask_is_a_warning(carebell: Carebell, configuration: Path) -> None:
    own = configuration.with_name("texts.yaml")
    own.write_text('en: {booked: {default: "{organization} on {date}[ {time}] {contact} {opt_out}"}}\n')
    change(
        configuration,
        {"environments": {"production": {"sms": {"templates": "texts.yaml", "replies": {"enabled": True}}}}},
    )
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 0
    assert "en.booked.default: does not ask: sms.replies.ask_in names it" in ended.out
