"""Edit the text of `carebell.yaml` and keep every other byte: comments, order, quotes, line ends.

An edit is a new value for a key, or its removal. The values that the file holds and the values that are wanted are compared,
and only the characters of what differs are replaced. Afterwards the new text is parsed: unless it holds exactly the wanted
values, the edit is refused and the text is left to its author. Pure: no file is read or written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Any, Final

from config.document import parse_document
from config.problems import ConfigurationError, Keys, Problem, SourceLocation
from config.yaml_spans import Span, SpanEntry, spans
from config.yaml_spelling import block_entry, block_item, flow, scalar

_BOM: Final = "\ufeff"


class Removed(Enum):
    """The value of an edit that removes a key or an item."""

    REMOVED = "removed"


REMOVED: Final = Removed.REMOVED


@dataclass(frozen=True, slots=True)
class Edit:
    """A key's new value. Sections on the way to it that the file does not have are added.

    Attributes:
        keys: the path; an item's number in a list, or the list's length for a new item at its end.
        value: dict, list, str, int, float, bool, None, or `REMOVED`.
    """

    keys: Keys
    value: Any


class EditRefused(Exception):
    """The file cannot be edited so by its keys; its text can. The message is one sentence without values.

    Attributes:
        problem: the place and the reason.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def edited(content: bytes, edits: Iterable[Edit], file: str) -> bytes:
    """The file's content with the edits, in their order.

    Args:
        content: of a file that `config.document` accepts.
        file: its name, for places.

    Raises:
        ConfigurationError: the content is no document.
        EditRefused: a key leads to nothing; or the text is written in a way that an edit by key would damage (an anchor, a
            section in brackets over several lines).
    """
    document = parse_document(content, file)
    wanted = document.values
    for edit in edits:
        wanted = _with(wanted, edit.keys, edit.value, edit.keys, document.where)
    text = content.decode("utf-8")
    body = text.removeprefix(_BOM)
    editor = _Editor(body, file)
    changes = sorted(editor.changes(spans(body), document.values, wanted, ()), key=lambda change: change.start)
    result = _BOM * (len(text) - len(body)) + _spliced(body, changes)
    new_content = result.encode("utf-8")
    try:
        values = parse_document(new_content, file).values
    except ConfigurationError:
        values = None
    if not _same(values, wanted):
        raise EditRefused(_problem(SourceLocation(file, 1, 1), (), "is written in a way that this edit would damage"))
    return new_content


@dataclass(frozen=True, slots=True)
class _Splice:
    """`text[start:end]` becomes `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class _Editor:
    """Finds the changes that give a text the wanted values."""

    text: str
    file: str

    def changes(self, span: Span, old: Any, new: Any, keys: Keys) -> Iterator[_Splice]:
        """What makes the value at `keys` new."""
        if _same(old, new):
            return
        if span.kind == "alias" or span.anchor is not None:
            raise self._refused(span.start, keys, "shares its value with other keys (`&` and `*`)")
        if span.kind == "mapping" and isinstance(new, dict) and new:
            yield from self._flow_mapping(span, old, new, keys) if span.flow else self._mapping(span, old, new, keys)
        elif span.kind == "sequence" and isinstance(new, list) and new:
            yield from self._flow_sequence(span, old, new, keys) if span.flow else self._sequence(span, old, new, keys)
        elif not keys:
            raise self._refused(span.start, keys, "would become empty")
        elif span.entries and not span.flow:
            behind_key = self._behind_key(span)
            yield _Splice(behind_key, behind_key, f" {flow(new)}")
            yield _Splice(self._line_end(behind_key), self._line_end(self._content_end(span)), "")
        else:
            spelt = flow(new) if isinstance(new, dict | list) else scalar(new, span.style)
            yield _Splice(span.start, self._content_end(span), spelt if span.end > span.start else f" {spelt}")

    def _mapping(self, span: Span, old: Mapping[str, Any], new: Mapping[str, Any], keys: Keys) -> Iterator[_Splice]:
        for position, entry in enumerate(span.entries):
            if entry.key in new:
                key = str(entry.key)
                yield from self.changes(entry.value, old[key], new[key], (*keys, key))
            else:
                yield self._removal(span, position, keys)
        indent = self._column(span.entries[0].start)
        for key in new:
            if key not in old:
                yield self._insertion(self._place_for(span, key, indent), block_entry(key, new[key], indent))

    def _sequence(self, span: Span, old: Sequence[Any], new: Sequence[Any], keys: Keys) -> Iterator[_Splice]:
        for _, begin, end, new_begin, new_end in _differences(old, new):
            paired = min(end - begin, new_end - new_begin)
            for offset in range(paired):
                position = begin + offset
                item = span.entries[position].value
                yield from self.changes(item, old[position], new[new_begin + offset], (*keys, position))
            for position in range(begin + paired, end):
                yield self._removal(span, position, keys)
            added = new[new_begin + paired : new_end]
            if added:
                last = begin + paired - 1
                before_first = self._line_start(span.start)
                place = before_first if last < 0 else self._next_line(self._content_end(span.entries[last].value))
                yield self._insertion(place, [block_item(item, self._column(span.start)) for item in added])

    def _flow_mapping(
        self, span: Span, old: Mapping[str, Any], new: Mapping[str, Any], keys: Keys
    ) -> Iterator[_Splice]:
        if old.keys() == new.keys():
            yield from self._mapping(span, old, new, keys)
            return
        written = {str(entry.key): entry for entry in span.entries}
        kept = [key for key in old if key in new]
        parts = [
            self.text[written[key].start : written[key].value.end]
            if _same(old[key], new[key])
            else f"{self.text[written[key].start : written[key].key_end]}: {flow(new[key])}"
            for key in kept
        ]
        parts += [f"{scalar(key)}: {flow(new[key])}" for key in new if key not in old]
        yield self._in_brackets(span, parts, keys)

    def _flow_sequence(self, span: Span, old: Sequence[Any], new: Sequence[Any], keys: Keys) -> Iterator[_Splice]:
        if len(old) == len(new):
            for entry, before, after in zip(span.entries, old, new, strict=True):
                yield from self.changes(entry.value, before, after, (*keys, entry.key))
            return
        parts: list[str] = []
        for operation, begin, end, new_begin, new_end in _opcodes(old, new):
            if operation == "equal":
                parts += [self.text[entry.start : entry.value.end] for entry in span.entries[begin:end]]
            else:
                parts += [flow(item) for item in new[new_begin:new_end]]
        yield self._in_brackets(span, parts, keys)

    def _in_brackets(self, span: Span, parts: Sequence[str], keys: Keys) -> _Splice:
        """The inside of a section in brackets, written again on its one line."""
        if "\n" in self.text[span.start : span.end]:
            raise self._refused(span.start, keys, "stands in brackets over several lines")
        inside = self.text[span.start + 1 : span.end - 1]
        padding = " " if inside.startswith(" ") and inside.strip() else ""
        return _Splice(span.start + 1, span.end - 1, f"{padding}{', '.join(parts)}{padding}")

    def _removal(self, span: Span, position: int, keys: Keys) -> _Splice:
        """The lines of an entry. Comments above it stay: they may be about more than this entry."""
        entry = span.entries[position]
        at = (*keys, entry.key)
        begin = self._line_start(entry.start if span.kind == "mapping" else self._dash(entry, span, at))
        end = self._next_line(self._content_end(entry.value))
        if span.kind == "sequence" or not self.text[begin : entry.start].strip():
            return _Splice(begin, end, "")
        # The first key of a list item stands behind its dash: the next key takes its place.
        if position + 1 == len(span.entries) or self.text[end : span.entries[position + 1].start].strip():
            raise self._refused(entry.start, at, "stands behind the dash of a list item")
        return _Splice(entry.start, span.entries[position + 1].start, "")

    def _insertion(self, place: int, lines: Sequence[str]) -> _Splice:
        newline = "\r\n" if "\r\n" in self.text else "\n"
        if place and self.text[place - 1] != "\n":  # the end of a file that does not end its last line
            return _Splice(place, place, "".join(f"{newline}{line}" for line in lines))
        return _Splice(place, place, "".join(f"{line}{newline}" for line in lines))

    def _place_for(self, span: Span, key: str, indent: int) -> int:
        """Behind the comment that shows the key with its default, if the section has one; else behind its last entry."""
        last = self._next_line(self._content_end(span))
        region_end = next(
            (
                line.start()
                for line in re.compile(r"^ *[^ \r\n#]", re.MULTILINE).finditer(self.text, last)
                if self._column(line.end() - 1) < indent
            ),
            len(self.text),
        )
        shown = re.compile(rf"^ {{{indent}}}# {re.escape(scalar(key))} *:[^\r\n]*", re.MULTILINE)
        comment = shown.search(self.text, self._line_start(span.start), region_end)
        if comment is None or self._inside_value(span, comment.start()):
            return last
        return self._next_line(comment.end())

    def _inside_value(self, span: Span, place: int) -> bool:
        """Whether a place in a section stands between the beginning and the end of one of its values."""
        return any(entry.start < place < self._content_end(entry.value) for entry in span.entries)

    def _behind_key(self, span: Span) -> int:
        """The place after the colon, or the dash, that a block stands under."""
        return len(self.text[: span.start].rstrip(" \r\n")) if self._bare_above(span) else self._colon_before(span)

    def _bare_above(self, span: Span) -> bool:
        return self.text[: span.start].rstrip(" \r\n").endswith((":", "-"))

    def _colon_before(self, span: Span) -> int:
        """As `_behind_key`, where comments stand between the key and its block."""
        lines = self.text[: span.start].splitlines(keepends=True)
        place = span.start
        for line in reversed(lines):
            place -= len(line)
            behind = re.match(r"[^#]*?:(?= *(?:#|\r?\n))", line)
            if behind is not None:
                return place + behind.end()
        return span.start

    def _dash(self, entry: SpanEntry, span: Span, keys: Keys) -> int:
        dash = self._line_start(entry.start) + self._column(span.start)
        if self.text[dash : dash + 1] != "-":
            dash = self.text.rfind("-", 0, entry.start)
        if dash < 0 or self.text[self._line_start(dash) : dash].strip():
            raise self._refused(entry.start, keys, "stands in a list inside a list")
        return dash

    def _content_end(self, span: Span) -> int:
        """Behind the last character of a value; the line ends of a block of text (`|`) are not its characters."""
        return span.start + len(self.text[span.start : span.end].rstrip("\r\n"))

    def _line_start(self, place: int) -> int:
        return self.text.rfind("\n", 0, place) + 1

    def _line_end(self, place: int) -> int:
        """Before the line's end characters."""
        newline = self.text.find("\n", place)
        return len(self.text) if newline < 0 else newline - (self.text[newline - 1 : newline] == "\r")

    def _next_line(self, place: int) -> int:
        newline = self.text.find("\n", place)
        return len(self.text) if newline < 0 else newline + 1

    def _column(self, place: int) -> int:
        return place - self._line_start(place)

    def _refused(self, place: int, keys: Keys, why: str) -> EditRefused:
        line = self.text.count("\n", 0, place) + 1
        return EditRefused(_problem(SourceLocation(self.file, line, self._column(place) + 1), keys, why))


def _with(values: Any, rest: Keys, value: Any, keys: Keys, where: Callable[[Keys], SourceLocation]) -> Any:
    """A copy of `values` with `value` at `rest`; `keys` is the whole path."""
    if not rest:
        return value
    key, below = rest[0], rest[1:]
    if isinstance(values, dict | None) and isinstance(key, str):
        section = dict(values or {})
        if value is REMOVED and not below:
            if section.pop(key, REMOVED) is REMOVED:
                raise EditRefused(_problem(where(keys), keys, "is not in the file"))
        else:
            section[key] = _with(section.get(key), below, value, keys, where)
        return section
    if isinstance(values, list) and isinstance(key, int) and 0 <= key <= len(values) - (value is REMOVED):
        items = list(values)
        if value is REMOVED and not below:
            del items[key]
        else:
            items[key : key + 1] = [_with(items[key] if key < len(items) else None, below, value, keys, where)]
        return items
    if isinstance(values, list) and isinstance(key, str):
        raise EditRefused(
            _problem(where(keys), keys, "leads to nothing: an item of a list is named by its place, [0] the first")
        )
    raise EditRefused(_problem(where(keys), keys, "leads to nothing: a part of it is not a section or list item"))


def _spliced(text: str, changes: Sequence[_Splice]) -> str:
    parts: list[str] = []
    place = 0
    for change in changes:
        parts += [text[place : change.start], change.new]
        place = max(place, change.end)
    return "".join([*parts, text[place:]])


def _opcodes(old: Sequence[Any], new: Sequence[Any]) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(
        None, [_canonical(item) for item in old], [_canonical(item) for item in new], False
    ).get_opcodes()


def _differences(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[str, int, int, int, int]]:
    return (opcode for opcode in _opcodes(old, new) if opcode[0] != "equal")


def _canonical(value: Any) -> str:
    """Text that is equal for equal values of one type: `1`, `1.0` and `true` differ."""
    return json.dumps(value, sort_keys=True)


def _same(old: Any, new: Any) -> bool:
    return _canonical(old) == _canonical(new)


def _problem(place: SourceLocation, keys: Keys, why: str) -> Problem:
    return Problem.at(place, keys, f"{why}; edit the file's text")
