"""The shipped words: every language of the texts has them, and a file of another shape is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.problems import ConfigurationError
from notifier.intent import KEYS, Intent, intent
from notifier.reply_words import FOLDER, read_languages, read_reply_words


def test_every_language_of_the_texts_has_its_words_and_canada_its_french() -> None:
    texts = {path.stem for path in (FOLDER.parent / "templates").glob("*.yaml")}
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= texts | {"fr"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_holds_one_language_with_no_entry_twice_in_a_list(path: Path) -> None:
    (language,) = read_languages(path)
    assert set(language) <= set(KEYS)
    assert {"stop", "start", "help"} <= set(language)
    assert [entry for entries in language.values() for entry in entries if entries.count(entry) > 1] == []


WRONG = {
    "de:\n  halt: [halt]\n": "2:3: de.halt: unknown key; there are stop, ",
    "de:\n  stop: halt\n": "2:3: de.stop: must be a list of words",
    "de:\n  stop: [halt, true]\n": "2:16: de.stop[1]: must be text; put it in quotes",
    "de:\n  stop: ['!!']\n": "2:10: de.stop[0]: must hold a letter or a digit",
    "de: [halt]\n": "1:1: de: must be a section with lists of words",
}


@pytest.mark.parametrize("text", WRONG)
def test_another_shape_is_refused_at_its_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        read_reply_words(path)
    [problem] = raised.value.problems
    assert str(problem).startswith(f"{path}:{WRONG[text]}")


def test_words_of_ones_own_count_beside_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "vi:\n  stop: [dừng]\n  polite: [xin]\nde:\n  stop: [Schluß]\n  start: [Weiter]\n", encoding="utf-8"
    )
    own, shipped = read_reply_words(path), read_reply_words()
    for body, expected in (("Xin DỪNG!", Intent.STOP), ("SCHLUSS", Intent.STOP), ("weiter", Intent.START)):
        assert (intent(body, own), intent(body, shipped)) == (expected, Intent.OTHER)
    assert intent("please stop", own) is Intent.STOP
