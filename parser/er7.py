"""A lazy splitter for P: only the segments and fields that are read are split, each once.

Source: HL7 v2.9 chapter 2, sections 2.5 (delimiters), 2.6 (construction rules) and 2.7 (escape sequences). The rules:

- P is decoded first (`parser.charsets`), then cut at CR. A lone LF is data (signing.md section 2).
- Escapes are decoded last, once, after all splitting: a decoded delimiter, CR or LF stays inside its value and never
  makes a field or a segment. So values may hold line breaks and control characters; code that displays them must clean them.
- Paths count as HL7 does, from 1; MSH-1 is the field separator itself. A path that names no component means the first
  (`SCH-6` is `SCH-6.1`), no subcomponent the first, no repetition the first.
- `Value` distinguishes HL7's explicit delete `""` from text and from an empty field; a whole field or component that is
  `""` deletes all of its parts.
- A missing part is empty; reading never raises. Unknown segments are never read (2.6.2).

Limits: with more than 2000 segments nothing is read and `Message.rejection` says so; at most 20 repetitions are read. Each
split is linear in what it splits, so 60,000 segments or 30,000 subcomponents cost milliseconds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from certs.message import ReadableMessage
from parser.charsets import decode
from parser.escapes import Delimiters, delimiters_of, unescape
from parser.event import ParseWarning, Rejection

MAX_SEGMENTS: Final = 2000
MAX_REPETITIONS: Final = 20
_KEPT_COMPONENTS: Final = (
    20  # no type of the standard has more than 23 components; further ones are split when they are read
)


class Null(enum.Enum):
    """HL7's explicit delete."""

    DELETE = '""'


DELETE: Final = Null.DELETE
_DELETED: Final = Null.DELETE.value
Value: TypeAlias = str | Literal[Null.DELETE] | None
"""Text (never empty), DELETE for `""`, None for an empty or missing place."""


# MSH-1 and MSH-2 are the delimiters themselves and are not split or unescaped. A segment cannot contain CR.
_OPAQUE: Final = Delimiters("\r", "\r", "\r", "\r", "\r", "\r")


class Message:
    """One message. Its `repr` shows no content.

    Make one with `of`, from a verified message. The constructor takes decoded text.

    Attributes:
        text: the decoded message.
        delimiters: the message's own.
        warnings: the warnings of decoding.
        rejection: set if a limit is exceeded; then the message has no segments, and this is its answer.
    """

    __slots__ = ("_segments", "delimiters", "rejection", "text", "warnings")

    def __init__(self, text: str, codec: str = "utf-8", warnings: tuple[ParseWarning, ...] = ()) -> None:
        self.text = text
        self.delimiters = delimiters_of(text, codec)
        self.warnings = warnings
        self.rejection = None if _count_segments(text) <= MAX_SEGMENTS else _TOO_MANY_SEGMENTS
        self._segments: dict[str, list[Segment]] = {}

    @classmethod
    def of(cls, source: ReadableMessage, fallback_charset: str) -> Message:
        """The message's text. Check `rejection` before reading."""
        decoded = decode(source.payload, source.msh.character_set, fallback_charset)
        return cls(decoded.text, decoded.codec, decoded.warnings)

    @property
    def version(self) -> str:
        """MSH-12.1; "" if it is missing."""
        header = self.first("MSH")
        value = None if header is None else header.value(12)
        return value if isinstance(value, str) else ""

    def segments(self, name: str) -> list[Segment]:
        """All segments of that name, in order."""
        segments = self._segments.get(name)
        if segments is None:
            segments = self._segments[name] = [] if self.rejection is not None else self._cut(name)
        return segments

    def _cut(self, name: str) -> list[Segment]:
        """The segments of that name, looked for in the whole text: those that nobody asks for are never cut out."""
        text, mark = self.text, f"\r{name}"
        segments = self._at(0) if text.startswith(name) else []
        before = text.find(mark)
        while before >= 0:
            segments += self._at(before + 1)
            before = text.find(mark, before + 4)
        return segments

    def _at(self, start: int) -> list[Segment]:
        """The segment that begins here: three characters and a separator, or nothing more. PV1A is not PV1."""
        text, delimiters = self.text, self.delimiters
        end = text.find("\r", start)
        if end < 0:
            end = len(text)
        whole = end == start + 3 or text[start + 3] == delimiters.field
        return [Segment(text[start:end], delimiters)] if whole else []

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        segments = self.segments(name)
        return segments[0] if segments else None

    def get(self, path: str) -> Value:
        """The value at `SEG-field`, `SEG-field.component`, `SEG-field.component.subcomponent`.

        `[n]` after the segment or the field chooses the nth: `AIS[2]-4.1`, `PID-13[2].3`.

        Raises:
            ValueError: `path` is not of that form. Paths come from code and field maps, never from a message.
        """
        place = Place.of(path)
        segments = self._segments.get(place.segment)
        if segments is None:
            segments = self.segments(place.segment)
        if len(segments) < place.occurrence:
            return None
        return segments[place.occurrence - 1].value(place.field, place.component, place.subcomponent, place.repetition)

    def __repr__(self) -> str:
        names = {line[:3] for line in self.text.split("\r") if len(line) >= 3}
        return f"<Message of {sum(len(self.segments(name)) for name in names)} segments>"


def _count_segments(text: str) -> int:
    return text.count("\r") + (not text.endswith("\r"))


class Segment:
    """One segment; split at its first read."""

    __slots__ = ("_delimiters", "_fields", "_line", "name")

    def __init__(self, line: str, delimiters: Delimiters) -> None:
        self.name = line[:3]
        self._line = line
        self._delimiters = delimiters
        self._fields: list[str] | None = None

    def field(self, number: int) -> str:
        """The whole field as sent, all repetitions, escapes and all; "" where absent."""
        fields = self._fields or self._split()
        return fields[number] if 0 < number < len(fields) else ""

    def raw(self, numbers: Iterable[int]) -> list[str]:
        """Several whole fields, as `field` gives each."""
        fields = self._fields or self._split()
        count = len(fields)
        return [fields[number] if number < count else "" for number in numbers]

    def _split(self) -> list[str]:
        separator = self._delimiters.field
        fields = self._line.split(separator)
        if self.name == "MSH":
            fields.insert(1, separator)
        self._fields = fields
        return fields

    def repetitions(self, number: int, limit: int = MAX_REPETITIONS) -> list[Field]:
        """The field's repetitions, at most `limit`; empty ones between others count. [] where the field is empty."""
        raw = self.field(number)
        if not raw:
            return []
        if self.name == "MSH" and number <= 2:
            return [Field(raw, _OPAQUE)]
        delimiters = self._delimiters
        return [Field(repetition, delimiters) for repetition in raw.split(delimiters.repetition, limit)[:limit]]

    def value(self, number: int, component: int = 1, sub: int = 1, repetition: int = 1) -> Value:
        """One value of the segment, by numbers."""
        fields = self._fields or self._split()
        raw = fields[number] if number < len(fields) else ""
        if not raw:
            return None
        if number <= 2 and self.name == "MSH":
            return raw if component == sub == repetition == 1 else None
        delimiters = self._delimiters
        if repetition != 1 or delimiters.repetition in raw:
            raw = _part(raw, delimiters.repetition, repetition)
        return _value(raw, delimiters, component, sub)

    def __repr__(self) -> str:
        return f"<Segment {self.name}>"


class Field:
    """One repetition of a field.

    Attributes:
        raw: as sent, escapes and all.
    """

    __slots__ = ("_components", "_delimiters", "raw")

    def __init__(self, raw: str, delimiters: Delimiters) -> None:
        self.raw = raw
        self._delimiters = delimiters
        self._components: list[str] | None = None

    def value(self, number: int = 1, sub: int = 1) -> Value:
        """A component's text, DELETE, or None where the message is silent."""
        if self.raw == _DELETED:
            return DELETE
        return _component_value(self.raw_component(number), self._delimiters, sub)

    def reaches(self, number: int) -> bool:
        """Whether there is a component with that number (at most `_KEPT_COMPONENTS`) or a later one."""
        return len(self._components or self._split()) >= number

    def component(self, number: int, sub: int = 1) -> str:
        """A component's text; "" where it is empty, absent or deleted."""
        raw = self.raw_component(number)
        if sub == 1 and (
            not raw or (raw.isalnum() and self._delimiters.usual)
        ):  # the usual case: nothing to split, to decode or to delete
            return raw
        value = self.value(number, sub)
        return value if isinstance(value, str) else ""

    def raw_component(self, number: int) -> str:
        """A component as sent, subcomponents and escapes included; "" where absent."""
        if number > _KEPT_COMPONENTS:
            return _part(self.raw, self._delimiters.component, number)
        components = self._components or self._split()
        return components[number - 1] if 0 < number <= len(components) else ""

    def _split(self) -> list[str]:
        components = self.raw.split(self._delimiters.component, _KEPT_COMPONENTS)[:_KEPT_COMPONENTS]
        self._components = components
        return components

    @property
    def text(self) -> str:
        """The repetition as one text, not split: for fields of free text or URLs whose sender forgot to escape."""
        return unescape(self.raw, self._delimiters)

    @property
    def deleted(self) -> bool:
        """Whether the whole repetition is HL7's `""`."""
        return self.raw == _DELETED

    def __repr__(self) -> str:
        return "<Field>"


def _part(raw: str, separator: str, number: int) -> str:
    """The part with that number, counted from 1; what lies behind it is not split."""
    if separator not in raw:
        return raw if number == 1 else ""
    parts = raw.split(separator, number)
    return parts[number - 1] if 0 < number <= len(parts) else ""


def _value(raw: str, delimiters: Delimiters, component: int, sub: int) -> Value:
    """A subcomponent of one repetition; a deleted whole deletes its parts."""
    if raw == _DELETED:
        return DELETE
    if component != 1 or delimiters.component in raw:
        raw = _part(raw, delimiters.component, component)
    return _component_value(raw, delimiters, sub)


def _component_value(raw: str, delimiters: Delimiters, sub: int) -> Value:
    if not raw:
        return None
    if raw == _DELETED:
        return DELETE
    if sub != 1 or delimiters.subcomponent in raw:
        raw = _part(raw, delimiters.subcomponent, sub)
        if raw == _DELETED:
            return DELETE
    if delimiters.escape in raw:
        raw = unescape(raw, delimiters)
    return raw or None


@dataclass(frozen=True, slots=True)
class Place:
    """A path, read: all numbers from 1."""

    segment: str
    occurrence: int
    field: int
    repetition: int
    component: int
    subcomponent: int

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(path: str) -> Place:
        """Read `PID-13[2].3`. ValueError if it is not a path."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise ValueError(f"{path!r} is not an HL7 path such as SCH-11.4, PID-13[2].3 or AIS[2]-4")
        numbers = (int(match[name] or 1) for name in ("occurrence", "field", "repetition", "component", "sub"))
        return Place(match["segment"], *numbers)


_NUMBER: Final = "[1-9][0-9]{0,4}"
_PATH: Final = re.compile(
    rf"(?P<segment>[A-Z][A-Z0-9]{{2}})(?:\[(?P<occurrence>{_NUMBER})\])?"
    rf"-(?P<field>{_NUMBER})(?:\[(?P<repetition>{_NUMBER})\])?"
    rf"(?:\.(?P<component>{_NUMBER}))?(?:\.(?P<sub>{_NUMBER}))?"
)

_TOO_MANY_SEGMENTS: Final = Rejection(
    code="LIMIT", err3="102", text=f"more than {MAX_SEGMENTS} segments", location=None
)
