"""The shipped words: every language of the texts has them, and a file of another shape is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.intent import KEYS
from notifier.reply_words import FOLDER, read_languages


def test_every_language_of_the_texts_has_its_words_and_canada_its_french() -> None:
    texts = {path.stem for path in (FOLDER.parent / "templates").glob("*.yaml")}
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= texts | {"fr"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_holds_one_language_with_no_entry_twice_in_a_list(path: Path) -> None:
    (language,) = read_languages(path)
    assert set(language) <= set(KEYS)
    assert {"stop", "start", "help"} <= set(language)
    assert [entry for entries in language.values() for entry in entries if entries.count(entry) > 1] == []


@pytest.mark.parametrize(
    "text",
    ["de:\n  halt: [halt]\n", "de:\n  stop: halt\n", "de:\n  stop: [true]\n"],
    ids=["unknown key", "no list", "no word"],
)
def test_another_shape_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "de.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"de\.yaml: de\.(halt|stop) is not one of"):
        read_languages(path)
