"""Values as YAML text, in the way that a person would write them into carebell.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@-]|(?<! ) (?! |$))*|[0-9]{1,9}(?:ms|[smhdw])")
"""Text that every YAML reader takes as the same text. Times of day and telephone numbers are quoted."""
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
"""Not text for every reader: `no` and `on` are booleans in YAML 1.1."""
_LONGEST_LINE: Final = 80


def scalar(value: Any, style: str | None = None) -> str:
    """One value on one line, in quotes of `style` if the text that it replaces had them."""
    if not isinstance(value, str):
        return json.dumps(value)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style != '"' and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(_escaped(character) for character in value) + '"'


def flow(value: Any) -> str:
    """A value in brackets: `{before: 24h}`, `[video, phone]`; a scalar as it is."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def block_entry(key: str, value: Any, indent: int) -> list[str]:
    """The lines of a new key: sections as indented blocks, short lists in brackets."""
    margin = " " * indent
    if isinstance(value, dict) and value and not _is_short(f"{margin}{scalar(key)}: {flow(value)}", value.values()):
        lines = [f"{margin}{scalar(key)}:"]
        for inner_key, inner in value.items():
            lines += block_entry(inner_key, inner, indent + 2)
        return lines
    line = f"{margin}{scalar(key)}: {flow(value)}"
    if not isinstance(value, list) or not value or _is_short(line, value):
        return [line]
    return [f"{margin}{scalar(key)}:", *(block_item(item, indent + 2) for item in value)]


def block_item(value: Any, indent: int) -> str:
    """The line of a new list item."""
    return f"{' ' * indent}- {flow(value)}"


def _is_short(line: str, items: Iterable[Any]) -> bool:
    """Whether a section or list may stand on one line: it fits, and holds no other section."""
    return len(line) <= _LONGEST_LINE and not any(isinstance(item, dict) for item in items)


def _escaped(character: str) -> str:
    if character in ('"', "\\"):
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
