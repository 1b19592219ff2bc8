"""The telephone's texts are those that would be sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.staff.sms_texts import SmsTexts
from config.load import load
from notifier.segments import count
from tests.story.folder import change

AT = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
ZONE = "America/Los_Angeles"


def test_each_language_in_the_words_of_the_templates_with_its_segments(configuration: Path) -> None:
    desk = SmsTexts(loaded=lambda: load(configuration, {}))
    english, spanish = desk.texts("production", [("reminder", "video")], ZONE, AT)
    assert english.text.startswith("Lamna Healthcare: a reminder of your video visit on Wed, Dec 9 at 2:05 PM.")
    assert (english.title, english.language, spanish.language) == ("Reminder, video visit", "English", "Spanish")
    for text in (english, spanish):
        assert (text.segments, text.characters) == (count(text.text).segments, len(text.text))


def test_an_environments_own_texts_are_shown_and_one_that_is_too_long_says_so(configuration: Path) -> None:
    own = configuration.parent / "texts.yaml"
    own.write_text('en: {booked: {default: "{organization} {contact} {opt_out} Hola ✓"}}\n', "utf-8")
    change(configuration, {"environments": {"production": {"sms": {"templates": "texts.yaml"}}}})
    desk = SmsTexts(loaded=lambda: load(configuration, {}))
    [text, _] = desk.texts("production", [("booked", None)], ZONE, AT)
    assert text.text.endswith("Hola ✓")
    assert not text.is_short_alphabet
    long = " ".join(["word"] * 200)
    own.write_text(f'en: {{booked: {{default: "{long} {{organization}}"}}}}\n', "utf-8")
    [text, _] = desk.texts("production", [("booked", None)], ZONE, AT)
    assert (text.text, text.problem is not None) == ("", True)


@pytest.mark.parametrize("zone", [ZONE, "Nowhere/At_All", "PST", "../../etc/passwd", ""])
def test_a_new_environment_has_the_built_in_texts_whatever_its_zone_is(configuration: Path, zone: str) -> None:
    desk = SmsTexts(loaded=lambda: load(configuration, {}))
    texts = desk.texts(None, [("booked", None), ("canceled", None)], zone, AT)
    assert [text.problem for text in texts] == [None] * 4


def test_senders_are_those_of_the_configuration_and_of_the_account(configuration: Path) -> None:
    desk = SmsTexts(loaded=lambda: load(configuration, {}), account_numbers=lambda: ["+14255550100", "+14255550177"])
    assert desk.senders() == ["+14255550100", "+14255550101", "+14255550177"]


def test_a_text_that_asks_shows_it_in_its_language(configuration: Path) -> None:
    desk = SmsTexts(loaded=lambda: load(configuration, {}))
    booked = desk.texts("production", [("booked", None)], ZONE, AT, {"booked"})
    reminder = desk.texts("production", [("reminder", None)], ZONE, AT, {"booked"})
    assert ["Reply C to confirm." in text.text or "Confirme con C." in text.text for text in booked] == [True] * 2
    assert ["Reply C" in text.text for text in reminder] == [False] * 2
