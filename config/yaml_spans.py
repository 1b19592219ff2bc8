"""Where each value of a YAML text stands: a tree of spans beside the values of `config.document`.

The spans are offsets in characters into the text. `config.edit` replaces exactly these characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

_COLON: Final = re.compile(r" *:")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEntry:
    """A key with its value in a mapping, or an item of a sequence.

    Attributes:
        key: the key; an item's number in a sequence.
        start: of the key; of the value in a sequence.
        key_end: after the key; equal to `start` in a sequence.
    """

    key: str | int
    start: int
    key_end: int
    value: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One value: `text[start:end]`. An empty value (`key:`) has no characters.

    Attributes:
        flow: written in brackets.
        style: of a scalar: `'`, `"`, `|`, `>`, or None for plain text.
        anchor: its `&name`, if it has one.
    """

    kind: Literal["scalar", "mapping", "sequence", "alias"]
    start: int
    end: int
    flow: bool = False
    style: str | None = None
    anchor: str | None = None
    entries: tuple[SpanEntry, ...] = field(default=())


def spans(text: str) -> Span:
    """The tree of a text that `config.document.parse_document` accepted."""
    events = iter(YAML(typ="safe", pure=True).parse(text))
    for event in events:
        if isinstance(event, DocumentStartEvent):
            return _span(next(events), events, text)
    raise ValueError("the text holds no document")


def _span(event: Event, events: Iterator[Event], text: str) -> Span:
    start, end = event.start_mark.index, event.end_mark.index
    anchor = getattr(event, "anchor", None)
    name = None if anchor is None else str(anchor)
    if isinstance(event, AliasEvent):
        return Span(kind="alias", start=start, end=end, anchor=name)
    if isinstance(event, ScalarEvent):
        return Span(kind="scalar", start=start, end=end, style=event.style, anchor=name)
    assert isinstance(event, MappingStartEvent | SequenceStartEvent), "a document's values are these four"
    flow = bool(event.flow_style)
    in_sequence = isinstance(event, SequenceStartEvent)
    entries: list[SpanEntry] = []
    while not isinstance(inner := next(events), MappingEndEvent | SequenceEndEvent):
        if in_sequence:
            value = _span(inner, events, text)
            entries.append(SpanEntry(key=len(entries), start=value.start, key_end=value.start, value=value))
        else:
            assert isinstance(inner, ScalarEvent), "`parse_document` accepts no other keys"
            value = _span(next(events), events, text)
            key_end = inner.end_mark.index
            if value.start == value.end and (colon := _COLON.match(text, key_end)) is not None:
                # Its mark stands at the next token, which may be lines below.
                value = replace(value, start=colon.end(), end=colon.end())
            entries.append(SpanEntry(key=str(inner.value), start=inner.start_mark.index, key_end=key_end, value=value))
    # A block's own end mark stands at the next token, past comments: it ends with its last value.
    end = inner.end_mark.index if flow else (entries[-1].value.end if entries else start)
    return Span(
        kind="sequence" if in_sequence else "mapping",
        start=start,
        end=end,
        flow=flow,
        anchor=name,
        entries=tuple(entries),
    )
