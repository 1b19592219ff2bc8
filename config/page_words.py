"""The words of the patients' pages: a file for each language (`config/page_words/*.yaml`).

A file holds `{language: {section: {key: text}}}`; a text may be several, by a number's plural form or by browser, with `other` for
all the rest. English says which keys there are, and which `{names}` a text may use.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Final

from config.document import read_shipped

PageText = str | Mapping[str, str]
PageTexts = Mapping[str, PageText]
"""One language's words: `section.key` -> text."""

ENGLISH: Final = "en"
OTHER: Final = "other"
"""Of a text that is several, the one for all the rest."""

_FOLDER: Final = Path(str(files("config"))) / "page_words"


@cache
def built_in_page_words() -> Mapping[str, PageTexts]:
    """Language -> its words, as they are shipped."""
    documents = [read_shipped(path) for path in sorted(_FOLDER.glob("*.yaml"))]
    return {language: _flat(sections) for document in documents for language, sections in document.values.items()}


def names_in(text: PageText) -> frozenset[str]:
    """The `{names}` of a text. ValueError: its braces hold no names."""
    written = [text] if isinstance(text, str) else list(text.values())
    names: set[str] = set()
    for words in written:
        for literal, name, spec, conversion in Formatter().parse(words):
            if spec or conversion or "{" in literal or "}" in literal:
                raise ValueError("a brace")
            if name is not None:
                names.add(name)
    return frozenset(names)


def _flat(sections: Mapping[str, Mapping[str, PageText]]) -> dict[str, PageText]:
    return {f"{section}.{key}": text for section, entries in sections.items() for key, text in entries.items()}
