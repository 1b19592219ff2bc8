"""Arrays as PostgreSQL reads them (manual, 8.15.2): one column of many rows is one parameter.

The driver writes an array too, in Python and with a search of each value by regular expressions: that was two thirds of what a
group of messages cost this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final


def array_literal(values: Sequence[Any]) -> str:
    """`{"a","b",NULL}` from strings, numbers, booleans, bytes, instants and None. TypeError for any other type."""
    try:
        return "{" + ",".join([_WRITERS[type(value)](value) for value in values]) + "}"
    except KeyError as unknown:
        raise TypeError(f"cannot be written as a part of an array: {unknown}") from None


def _text(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def _bytes(value: bytes) -> str:
    return f'"\\\\x{value.hex()}"'


def _instant(value: datetime) -> str:
    return f'"{value.isoformat()}"'


_WRITERS: Final[Mapping[type, Callable[[Any], str]]] = {
    str: _text,
    int: str,
    float: repr,
    bool: lambda value: "t" if value else "f",
    bytes: _bytes,
    datetime: _instant,
    type(None): lambda _: "NULL",
}
