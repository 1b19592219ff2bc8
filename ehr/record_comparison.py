"""Hold a record against what stands in the EHR: paste it, and see each character that differs. Pure.

Troubles that this ends: a launch URL with a letter too many, a context token of the test environment in production, a blank that a
mail program made unbreakable. What was pasted may be one value, or the record as text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from ehr.records import IntegrationRecord

LONGEST_PASTE: Final = 20_000
"""Characters; the longest record has some 5,000."""
_MOST_WORK: Final = 250_000
"""Product of two lengths that are compared character by character; longer stretches are shown as one difference."""
_TELLING: Final = 6
"""Characters; a shorter value of another record, such as a port, tells nothing."""
_LIKE: Final = 0.6
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Cn", "Co"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceSpan:
    """A stretch of characters.

    Attributes:
        kind: same: on both sides. missing: in the record alone. extra: in the EHR alone.
        names: of characters that cannot be seen or are easily mistaken, such as "U+00A0 NO-BREAK SPACE".
    """

    kind: Literal["same", "missing", "extra"]
    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordComparison:
    """What comparing found.

    Attributes:
        verdict: same; different; other_environment: it is exactly another environment's value; unlike: nothing of this record.
        field: the name of the value that was compared; None: the record as text, or nothing.
        other: the other environment's name.
        sentence: what was found, for people.
    """

    verdict: Literal["same", "different", "other_environment", "unlike"]
    sentence: str
    field: str | None = None
    other: str | None = None
    spans: tuple[DifferenceSpan, ...] = ()


def compare(record: IntegrationRecord, pasted: str, others: Sequence[IntegrationRecord] = ()) -> RecordComparison:
    """Compare what was pasted with the record's value that is most like it.

    Args:
        others: the same environment's other records, and other environments' records.

    Raises:
        ValueError: more than `LONGEST_PASTE` characters.
    """
    if len(pasted) > LONGEST_PASTE:
        raise ValueError(f"more than {LONGEST_PASTE} characters")
    text = _trimmed(pasted)
    if not text:
        return RecordComparison(verdict="unlike", sentence="Nothing was pasted.")
    candidates = _candidates(record)
    for name, label, value in candidates:
        if value == text:
            return RecordComparison(verdict="same", sentence=f"{label}: every character is the same.", field=name)
    for other in others:
        for _, label, value in _candidates(other):
            if value == text and len(value) >= _TELLING:
                return _of_other(record, other, label)
    ratio, name, label, value = max(
        (_likeness(value, text), name or "", label, value) for name, label, value in candidates
    )
    if ratio < _LIKE:
        return RecordComparison(
            verdict="unlike", sentence=f"This is like no value of the {record.title} of {record.environment}."
        )
    spans = _spans(value, text)
    count = sum(len(span.text) for span in spans if span.kind != "same")
    return RecordComparison(
        verdict="different",
        sentence=f"{label}: {count} character{'' if count == 1 else 's'} differ{'s' if count == 1 else ''}.",
        field=name or None,
        spans=spans,
    )  # fmt: skip


def _of_other(record: IntegrationRecord, other: IntegrationRecord, label: str) -> RecordComparison:
    if other.environment == record.environment:
        return RecordComparison(
            verdict="unlike", sentence=f"This is {label} of the {other.title}, not of the {record.title}."
        )
    return RecordComparison(
        verdict="other_environment",
        sentence=f"This is {label} of the environment {other.environment}. Here belongs the one of {record.environment}.",
        other=other.environment,
    )


def _candidates(record: IntegrationRecord) -> list[tuple[str | None, str, str]]:
    """(name, label, value) of everything that can be compared; the record as text last."""
    values: list[tuple[str | None, str, str]] = [
        (field.name, field.label, _trimmed(field.value)) for field in record.fields
    ]
    return [*values, (None, "The record", _trimmed(record.to_text()))]


def _trimmed(text: str) -> str:
    """Without line ends of other systems, and blanks at the ends of lines and of the whole."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip(" \t") for line in lines).strip(" \t\n")


def _likeness(value: str, text: str) -> float:
    """0 to 1, from the characters that both have, whatever their order: that takes time in proportion to the length."""
    longer = max(len(value), len(text))
    if min(len(value), len(text)) * 2 < longer * _LIKE:
        return 0.0
    return SequenceMatcher(None, value, text, False).quick_ratio()


def _common(left: str, right: str) -> tuple[int, int]:
    """Lengths of the common beginning and of the common end of the rest."""
    shorter = min(len(left), len(right))
    begin = 0
    while begin < shorter and left[begin] == right[begin]:
        begin += 1
    end = 0
    while end < shorter - begin and left[-1 - end] == right[-1 - end]:
        end += 1
    return begin, end


def _spans(value: str, text: str) -> tuple[DifferenceSpan, ...]:
    begin, end = _common(value, text)
    middle, pasted = value[begin : len(value) - end], text[begin : len(text) - end]
    spans = [_span("same", value[:begin]), *_changes(middle, pasted), _span("same", value[len(value) - end :])]
    return tuple(span for span in spans if span.text)


def _changes(value: str, text: str) -> Iterator[DifferenceSpan]:
    """Line by line first, and character by character within lines that differ."""
    if len(value) * len(text) <= _MOST_WORK:
        for operation, left, left_end, right, right_end in SequenceMatcher(None, value, text, False).get_opcodes():
            if operation == "equal":
                yield _span("same", value[left:left_end])
            else:
                yield _span("missing", value[left:left_end])
                yield _span("extra", text[right:right_end])
        return
    lines, pasted = value.splitlines(keepends=True), text.splitlines(keepends=True)
    for operation, left, left_end, right, right_end in SequenceMatcher(None, lines, pasted, False).get_opcodes():
        old, new = "".join(lines[left:left_end]), "".join(pasted[right:right_end])
        if operation == "equal":
            yield _span("same", old)
        elif len(old) * len(new) <= _MOST_WORK:
            yield from _changes(old, new)
        else:
            yield _span("missing", old)
            yield _span("extra", new)


def _span(kind: Literal["same", "missing", "extra"], text: str) -> DifferenceSpan:
    names = () if kind == "same" else tuple(dict.fromkeys(_name(letter) for letter in text if _hidden(letter)))
    return DifferenceSpan(kind=kind, text=text, names=names)


def _hidden(letter: str) -> bool:
    return unicodedata.category(letter) in _INVISIBLE or not letter.isascii()


def _name(letter: str) -> str:
    plain = {" ": "blank", "\n": "line end", "\t": "tab"}
    return plain.get(letter) or f"U+{ord(letter):04X} {unicodedata.name(letter, 'control character')}"
