"""The words of the patients' pages: a file for each language (`config/page_words/*.yaml`), and a hospital's own (`join.words`).

A file holds `{language: {section: {key: text}}}`; a text may be several, by a number's plural form or by browser, with `other` for
all the rest. English says which keys there are, and which `{names}` a text may use. A language that lacks a key is not used at all,
so that no page mixes languages; `es-MX` has from `es` what it does not say itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any, Final

from config.document import read_shipped
from config.fieldmap import is_language
from config.problems import Keys

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


def languages_with(own: Mapping[str, Any]) -> Mapping[str, PageTexts]:
    """Language -> its words, of every language that lacks none.

    Args:
        own: what the hospital's own file holds, without faults; empty: there is none.
    """
    needed = built_in_page_words()[ENGLISH].keys()
    return {language: texts for language, texts in _merged(own).items() if texts.keys() >= needed}


def missing_page_words(own: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Language -> the keys that it lacks, of each that lacks any."""
    needed = built_in_page_words()[ENGLISH]
    lacking = {language: tuple(key for key in needed if key not in texts) for language, texts in _merged(own).items()}
    return {language: keys for language, keys in lacking.items() if keys}


def page_word_faults(own: Any) -> Iterator[tuple[Keys, str]]:
    """What is wrong in a hospital's own file: (where, why)."""
    if not isinstance(own, Mapping):
        yield (), "must hold a section for each language"
        return
    english = built_in_page_words()[ENGLISH]
    sections = {key.partition(".")[0] for key in english}
    for language, said in own.items():
        if not is_language(language):
            yield (language,), "is not a language tag such as en or es-MX"
        elif not isinstance(said, Mapping):
            yield (language,), "holds sections, as config/page_words/en.yaml has them"
        else:
            for section, entries in said.items():
                if section not in sections:
                    yield (language, section), f"is not one of {', '.join(sorted(sections))}"
                elif not isinstance(entries, Mapping):
                    yield (language, section), "holds texts"
                else:
                    for name, text in entries.items():
                        yield from _text_faults((language, section, name), english.get(f"{section}.{name}"), text)


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


def _text_faults(keys: Keys, english: PageText | None, text: Any) -> Iterator[tuple[Keys, str]]:
    if english is None:
        yield keys, "is no text of these pages; config/page_words/en.yaml has them all"
        return
    several = isinstance(text, Mapping) and not isinstance(english, str)
    written = list(text.values()) if several else [text]
    if not all(isinstance(words, str) and words.strip() for words in written):
        yield keys, "is a text" if isinstance(english, str) else f"is a text, or several of which one is `{OTHER}`"
    elif several and OTHER not in text:
        yield keys, f"has no `{OTHER}`, for all the rest"
    else:
        try:
            unknown = names_in(text) - names_in(english)
        except ValueError:
            yield keys, "has a brace that holds no name"
            return
        if unknown:
            allowed = ", ".join(f"{{{name}}}" for name in sorted(names_in(english))) or "none"
            yield keys, f"has a name in braces that is not filled in here; there is {allowed}"


def _merged(own: Mapping[str, Any]) -> dict[str, dict[str, PageText]]:
    languages: dict[str, dict[str, PageText]] = {
        language: dict(texts) for language, texts in built_in_page_words().items()
    }
    for language in sorted(own, key=len):  # es before es-MX
        languages[language] = {**_nearest(languages, language), **_flat(own[language])}
    return languages


def _nearest(languages: Mapping[str, PageTexts], tag: str) -> PageTexts:
    """The words of the language, else of its parent."""
    while tag and tag not in languages:
        tag = tag.rpartition("-")[0]
    return languages.get(tag, {})


def _flat(sections: Mapping[str, Mapping[str, PageText]]) -> dict[str, PageText]:
    return {f"{section}.{key}": text for section, entries in sections.items() for key, text in entries.items()}
