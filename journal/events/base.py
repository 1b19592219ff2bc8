"""A log event is a frozen dataclass. Its fields are the fields of the log line, and its docstring says what happened.

    @event(logging.WARNING, "Check that the port is meant for this listener.")
    class FramingError(Event):
        '''A peer sent something that is not MLLP.'''

        peer: str
        repeats: int | None = None

`journal.emit(FramingError(peer=...))` writes it; a wrong, missing or mistyped field is a type error. A field that is None is left
out of the line. The modules of events do not use `from __future__ import annotations`, because the types are read while they load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from types import UnionType
from typing import Any, Final, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin

NOTHING_TO_DO: Final = "Nothing to do."


class Event:
    """The base of all events."""

    __slots__ = ()


class FieldGroup:
    """The base of fields that several events share. A line shows the fields of a group in place of the group."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventField:
    """One field of an event.

    Attributes:
        name: its name in the line.
        path: the attribute that holds it, `sid`, or in a group `identity.sms`.
        values: the words it may have; empty: it has no vocabulary.
        required: False: it may be left out of the line.
    """

    name: str
    path: str
    values: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The documentation of one event.

    Attributes:
        name: its name in the log, `message_accepted`.
        level: logging.DEBUG, INFO, WARNING, ERROR or CRITICAL. WARNING: look at it today. ERROR: something was not done.
            CRITICAL: a person is needed now.
        meaning: what happened, one sentence.
        advice: what support should do, one or two sentences.
        fields: in the order of the line.
    """

    name: str
    level: int
    meaning: str
    advice: str
    fields: tuple[EventField, ...]


DECLARED: Final[dict[type[Event], Entry]] = {}
"""Every event of the loaded modules; `journal.events.ENTRIES` has all of them."""

EventClass = TypeVar("EventClass", bound=Event)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def event(level: int, advice: str = NOTHING_TO_DO) -> Callable[[type[EventClass]], type[EventClass]]:
    """Declare a class as an event.

    Args:
        level: one of `logging`.
        advice: what support should do when the line appears.
    """

    def make(declared: type[EventClass]) -> type[EventClass]:
        # Frozen only for the type checker: at run time it would double the cost of making an event.
        made = dataclass(slots=True, kw_only=True)(declared)
        DECLARED[made] = Entry(
            name=re.sub(r"(?<!^)(?=[A-Z])", "_", made.__name__).lower(),
            level=level,
            meaning=" ".join((made.__doc__ or "").split()),
            advice=advice,
            fields=tuple(_fields(made)),
        )
        return made

    return make


def _fields(declared: Any, prefix: str = "") -> Iterator[EventField]:
    for field in fields(declared):
        path = f"{prefix}{field.name}"
        if isinstance(field.type, type) and issubclass(field.type, FieldGroup):
            yield from _fields(field.type, f"{path}.")
        else:
            required = field.default is MISSING and type(None) not in get_args(field.type)
            yield EventField(name=field.name, path=path, values=tuple(_values(field.type)), required=required)


def _values(annotation: Any) -> Iterator[str]:
    """The words of a Literal or an Enum, alone or in a union."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _values(member)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (member.value for member in annotation)
