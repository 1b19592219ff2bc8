"""A YAML file as plain values, with the line and column of every key. It supports the necessary part of YAML 1.2.

ruamel.yaml scans and parses. The values are built here, because a configuration needs three things that no loader of ruamel.yaml
combines: positions of keys, refusal of duplicate keys, and hard limits. Not supported, each with a clear problem: tags, merge
keys (`<<`), several documents, keys that are not text. Aliases work, but their expansion counts against the limits, so a
document cannot grow beyond `MOST_NODES` values however it is nested ("billion laughs").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from config.digests import digest_of
from config.problems import ConfigurationError, Keys, Problem, SourceLocation
from config.regular_file import read_regular

MOST_BYTES: Final = 256 * 1024
"""Fifty environments with comments are about 150 KB; the scanner needs about 3 s for the whole of it."""
MOST_NODES: Final = 20_000
"""Values and keys, aliases expanded; the shipped file has about 200."""
DEEPEST: Final = 20
"""The model is seven deep."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's values.

    Attributes:
        values: dicts, lists, str, int, float, bool and None.
        places: the place of each key or list item.
        digest: of the content, `config.digests`.
    """

    file: str
    values: Any
    places: dict[Keys, SourceLocation]
    digest: bytes = b""

    def where(self, keys: Keys) -> SourceLocation:
        """The place of `keys`, or of its nearest parent that stands in the file."""
        return nearest(self.places, keys, SourceLocation(self.file, 1, 1))


def nearest(places: Mapping[Keys, SourceLocation], keys: Keys, otherwise: SourceLocation) -> SourceLocation:
    while keys:
        if (place := places.get(keys)) is not None:
            return place
        keys = keys[:-1]
    return otherwise


def read_document(path: Path, content: bytes | None = None, *, if_empty: str = "is empty") -> Document:
    """The file's one document, whose top must be a mapping.

    Args:
        content: taken instead of what the file holds.
        if_empty: the problem that is reported for an empty file.

    Raises:
        ConfigurationError: unreadable, too large, not UTF-8, not YAML, or beyond what is supported; one problem.
    """
    content = _content(path) if content is None else content
    return replace(parse_document(content, str(path), if_empty=if_empty), digest=digest_of(content))


def read_shipped(path: Path) -> Document:
    """As `read_document`, for a file that belongs to this program and is used again and again: the same content is parsed once.

    The document is shared: nobody may change its values.
    """
    return _shipped(_content(path), path)


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES + 1)
    except FileNotFoundError:
        raise _error(SourceLocation(str(path)), "there is no such file") from None
    except OSError as error:
        raise _error(
            SourceLocation(str(path)), f"cannot be read: {(error.strerror or 'input error').lower()}"
        ) from None


@lru_cache(maxsize=64)
def _shipped(content: bytes, path: Path) -> Document:
    return read_document(path, content)


def parse_document(content: bytes, file: str, *, if_empty: str = "is empty") -> Document:
    """As `read_document`, for a file's content."""
    if len(content) > MOST_BYTES:
        raise _error(SourceLocation(file), f"is larger than {MOST_BYTES // 1024} KiB; a configuration is not")
    text = _decode(content, file)
    document = _Builder(file).build(text)
    if document.values is None:
        raise _error(SourceLocation(file), if_empty)
    if not isinstance(document.values, dict):
        raise _error(SourceLocation(file, 1, 1), "must be a mapping of sections (`environments:` ...) at its top")
    return document


def parse_value(text: str) -> Any:
    """One YAML value, for lists and sections in environment variables. ConfigurationError without a useful place."""
    return _Builder("").build(text).values


def _decode(content: bytes, file: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _error(SourceLocation(file, 1, 1), "is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The bytes before it are valid, so their line ends can be counted.
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        place = SourceLocation(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        raise _error(place, "is not UTF-8 here; save the file as UTF-8") from None


def _error(place: SourceLocation, why: str, keys: Keys = ()) -> ConfigurationError:
    return ConfigurationError([Problem.at(place, keys, why)])


@dataclass(slots=True)
class _Builder:
    """Builds one document's values from the parser's events, counting as it goes."""

    file: str
    places: dict[Keys, SourceLocation] = field(default_factory=dict)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    nodes: int = 0

    def build(self, text: str) -> Document:
        try:
            events = YAML(typ="safe", pure=True).parse(text)
            return Document(self.file, self._document(events), self.places)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (
                SourceLocation(self.file) if mark is None else SourceLocation(self.file, mark.line + 1, mark.column + 1)
            )
            raise _error(place, _plain_words(error, text)) from None
        except ReaderError as error:
            before = text[: error.position] if isinstance(error.position, int) else ""
            place = SourceLocation(self.file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
            raise _error(place, "has a control character here that YAML does not allow") from None
        except ConfigurationError:
            raise
        except Exception as error:
            # For some hostile input the scanner raises Python's own exceptions (IndexError, ValueError, ...).
            raise _error(SourceLocation(self.file), f"is not valid YAML ({type(error).__name__})") from None

    def _document(self, events: Iterator[Event]) -> Any:
        values: Any = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _error(self._place(event), "a second document (`---`) begins here; one file holds one")
                values = self._node(next(events), events, ())
        return values

    def _node(self, event: Event, events: Iterator[Event], keys: Keys) -> Any:
        self.nodes += 1
        place = self._place(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, place, keys)
        if getattr(event, "tag", None) is not None and not _harmless(event):
            raise _error(place, "tags (`!...`) are not supported", keys)
        if self.nodes > MOST_NODES:
            raise _error(place, f"the file has more than {MOST_NODES} values", keys)
        if len(keys) > DEEPEST:
            raise _error(place, f"is nested more than {DEEPEST} deep")
        before = self.nodes
        value: Any
        if isinstance(event, ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence(events, keys)
        else:
            value = self._mapping(events, keys)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[str(anchor)] = (value, self.nodes - before + 1)
        return value

    def _alias(self, event: AliasEvent, place: SourceLocation, keys: Keys) -> Any:
        anchored = self.anchors.get(str(event.anchor))
        if anchored is None:
            raise _error(place, "this alias (`*name`) has no anchor (`&name`) before it", keys)
        value, size = anchored
        self.nodes += size
        if self.nodes > MOST_NODES:
            raise _error(place, f"aliases make more than {MOST_NODES} values", keys)
        return value

    def _sequence(self, events: Iterator[Event], keys: Keys) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            path = (*keys, len(items))
            self.places[path] = self._place(event)
            items.append(self._node(event, events, path))
        return items

    def _mapping(self, events: Iterator[Event], keys: Keys) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            place = self._place(event)
            if not isinstance(event, ScalarEvent):
                raise _error(place, "a key must be plain text", keys)
            key = str(event.value)
            path = (*keys, key)
            self.nodes += 1
            if key == "<<" and event.style is None:
                raise _error(place, "merge keys are not supported; write the keys out", path)
            if key in values:
                first = self.places[path].line
                raise _error(place, f"is given twice; it is already in line {first}", path)
            self.places[path] = place
            values[key] = self._node(next(events), events, path)
        return values

    def _place(self, event: Event) -> SourceLocation:
        mark = event.start_mark
        return SourceLocation(self.file, mark.line + 1, mark.column + 1)


def _harmless(event: Event) -> bool:
    """`!` alone marks a scalar as text; ruamel also gives containers of the core schema no tag of their own."""
    return isinstance(event, ScalarEvent) and str(event.tag) == "!"


def _scalar(event: ScalarEvent) -> Any:
    """YAML 1.2 core schema: only these words and numbers are not text; `yes`, `21:00` and `0123` keep their meaning."""
    text = str(event.value)
    if event.style is not None or event.tag is not None:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _plain_words(error: MarkedYAMLError, text: str) -> str:
    """The parser's error in an administrator's words, for the commonest mistakes; else its own."""
    mark = error.problem_mark
    problem = (error.problem or error.context or "").replace("\n", " ").strip()
    line = ""
    if mark is not None:
        lines = text.split("\n")
        line = lines[mark.line] if mark.line < len(lines) else ""
    if "\\t" in problem or "\t" in line[: len(line) - len(line.lstrip())] or "tab" in problem.lower():
        return "a tab character; YAML is indented with spaces only"
    if "mapping values are not allowed" in problem:
        return "a `:` where none can stand; put text with `: ` in quotes and check the indentation"
    if "expected <block end>" in problem or "<document start>" in problem:
        return "the indentation does not fit the lines above"
    if "could not find expected ':'" in problem:
        return "a `:` after the key is missing, or the indentation does not fit the lines above"
    if "sequence entries are not allowed" in problem:
        return "a list item (`- `) where none can stand; begin the list on a line of its own"
    if "cannot start any token" in problem:
        return "text that begins with this character needs quotes"
    if "end of stream" in problem or "unexpected end" in problem:
        return "the file ends in the middle of a quoted text"
    if "expected ',' or" in problem:
        return "a bracket is not closed, or a comma is missing before this"
    printable = problem if problem.isprintable() and problem.isascii() else "syntax error"
    return f"is not valid YAML: {printable or 'syntax error'}"
