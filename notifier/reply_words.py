"""Reads the words of STOP, START and HELP that are shipped: `config/reply_words/*.yaml`, a file for each language."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from config.document import read_document
from notifier.intent import KEYS, ReplyWords

FOLDER: Final = Path(str(files("config"))) / "reply_words"


@cache
def reply_words() -> ReplyWords:
    """All languages' words, read once."""
    return ReplyWords.build(language for path in sorted(FOLDER.glob("*.yaml")) for language in read_languages(path))


def read_languages(path: Path) -> list[dict[str, list[str]]]:
    """One file's languages.

    Raises:
        ConfigurationError: the file is no YAML. ValueError: it has another shape.
    """
    values: Any = read_document(path).values
    for language, lists in values.items():
        for key, entries in lists.items():
            if key not in KEYS or not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
                raise ValueError(f"{path.name}: {language}.{key} is not one of {', '.join(KEYS)} with a list of words")
    return list(values.values())
