"""A hospital's own words of the patients' pages: over the built-in ones, and nothing that no page could say."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from config.load import load
from config.page_words import languages_with, missing_page_words
from config.problems import ConfigurationError
from tests.config.conftest import Write

OWN_WORDS: Final = "join:\n  words: words.yaml\nenvironments:"


def test_own_words_of_the_patients_pages_lie_over_the_built_in_ones(write: Write, tmp_path: Path) -> None:
    before = load(write(), {}).version
    path = write("environments:", OWN_WORDS)
    own = "en: {page: {title: Your appointment}}\nes-MX: {lobby: {leave: Salirse}}\nfr: {page: {title: Votre visite}}\n"
    (tmp_path / "words.yaml").write_text(own, encoding="utf-8")

    loaded = load(path, {})

    languages = languages_with(loaded.page_words)
    assert languages.keys() == {"en", "es", "es-MX"}
    assert languages["en"]["page.title"] == "Your appointment"
    assert (languages["es-MX"]["lobby.leave"], languages["es-MX"]["page.title"]) == ("Salirse", "Su visita")
    missing = missing_page_words(loaded.page_words)
    assert missing.keys() == {"fr"}
    assert missing["fr"][0] == "page.questions"
    assert loaded.version != before
    assert tmp_path / "words.yaml" in loaded.files


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ("- en\n", "words.yaml:1:1"),
        ("English: {}\n", "English: is not a language tag such as en or es-MX"),
        ("en: 1\n", "en: holds sections, as config/page_words/en.yaml has them"),
        ("en: {pages: {}}\n", "en.pages: is not one of allow, "),
        ("en: {page: 1}\n", "en.page: holds texts"),
        ("en: {page: {tittle: x}}\n", "en.page.tittle: is no text of these pages"),
        ("en: {page: {title: 1}}\n", "en.page.title: is a text"),
        ("en: {page: {title: {other: x}}}\n", "en.page.title: is a text"),
        ("en: {page: {title: ' '}}\n", "en.page.title: is a text"),
        ("en: {lobby: {waited: {one: x}}}\n", "en.lobby.waited: has no `other`"),
        ("en: {lobby: {waited: {other: [x]}}}\n", "en.lobby.waited: is a text, or several"),
        ("en: {page: {title: 'x {'}}\n", "en.page.title: has a brace that holds no name"),
        ("en: {page: {title: '{{x}}'}}\n", "en.page.title: has a brace that holds no name"),
        ("en: {page: {title: '{contact}'}}\n", "filled in here; there is none"),
        ("en: {page: {questions: '{contact.__class__}'}}\n", "filled in here; there is {contact}"),
        ("en: {page: {questions: '{contact!r}'}}\n", "has a brace that holds no name"),
    ],
)
def test_own_words_that_no_page_could_say_are_told_at_their_place(
    write: Write, tmp_path: Path, own: str, problem: str
) -> None:
    path = write("environments:", OWN_WORDS)
    (tmp_path / "words.yaml").write_text(own, encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert problem in str(raised.value)
    assert f"{tmp_path}/words.yaml" in str(raised.value)
