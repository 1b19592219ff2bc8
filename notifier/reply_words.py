"""Read the words of STOP, START and HELP: the shipped `config/reply_words/*.yaml`, and the installation's own file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from config.document import Document, read_document, read_shipped
from config.problems import ConfigurationError, Keys, Problem
from notifier.intent import KEYS, ReplyWords, plain

FOLDER: Final = Path(str(files("config"))) / "reply_words"

Language = Mapping[str, list[str]]
"""One language's lists, by the keys of `notifier.intent.KEYS`."""


def read_reply_words(own: Path | None = None) -> ReplyWords:
    """The words of all shipped languages, and those of the installation's own file (`gateway.reply_words`).

    Raises:
        ConfigurationError: that file cannot be read, or has another structure.
    """
    documents = [read_shipped(path) for path in sorted(FOLDER.glob("*.yaml"))]
    if own is not None:
        documents.append(read_document(own))
    return ReplyWords.build(language for document in documents for language in _languages(document))


def read_languages(path: Path) -> list[Language]:
    """One file's languages.

    Raises:
        ConfigurationError: it cannot be read, or has another structure.
    """
    return _languages(read_document(path))


def _languages(document: Document) -> list[Language]:
    problems = list(_problems(document))
    if problems:
        raise ConfigurationError(problems)
    return list(document.values.values())


def _problems(document: Document) -> Iterator[Problem]:
    if not isinstance(document.values, dict):
        yield Problem.at(document.where(()), (), "must hold a section for each language")
        return
    for language, lists in document.values.items():
        if not isinstance(lists, dict):
            yield _problem(document, (language,), "must be a section with lists of words")
            continue
        for key, entries in lists.items():
            yield from _list_problems(document, (language, key), entries)


def _list_problems(document: Document, keys: Keys, entries: Any) -> Iterator[Problem]:
    if keys[-1] not in KEYS:
        yield _problem(document, keys, f"unknown key; there are {', '.join(KEYS)}")
    elif not isinstance(entries, list):
        yield _problem(document, keys, "must be a list of words: [stop, no more]")
    else:
        for index, entry in enumerate(entries):
            if not isinstance(entry, str):
                yield _problem(document, (*keys, index), "must be text; put it in quotes")
            elif not plain(entry):
                yield _problem(document, (*keys, index), "must hold a letter or a digit")


def _problem(document: Document, keys: Keys, why: str) -> Problem:
    return Problem.at(document.where(keys), keys, why)
