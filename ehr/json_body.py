"""Fill a JSON template (`config.json_template`) with values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from config.json_template import FOR_EACH, PLACEHOLDER, READ, names_in

Value = str | int | bool
_ABSENT: Final = object()


def fill(template: Any, values: Mapping[str, Value], steps: Sequence[Mapping[str, Value]] = ()) -> Any:
    """The JSON that a template gives; None: nothing of it is known. `{appointment}` and `{patient}` stay, to be put in when read.

    Args:
        values: a name without a value is not in it.
        steps: nr, step and result of each step of the device test.
    """
    filled = _filled(template, values, steps)
    return None if filled is _ABSENT else filled


def put_in(node: Any, read: Mapping[str, str]) -> Any:
    """`node` with what was read from the EHR in the place of `{appointment}` and `{patient}`."""
    if isinstance(node, dict):
        return {name: put_in(value, read) for name, value in node.items()}
    if isinstance(node, list):
        return [put_in(value, read) for value in node]
    if isinstance(node, str):
        return next((value for name, value in read.items() if node == f"{{{name}}}"), node)
    return node


def _filled(node: Any, values: Mapping[str, Value], steps: Sequence[Mapping[str, Value]]) -> Any:
    if isinstance(node, str):
        return _text(node, values)
    if isinstance(node, dict):
        return _object(node, values, steps)
    if isinstance(node, list):
        items: list[Any] = []
        for item in node:
            if isinstance(item, dict) and FOR_EACH in item:
                repeated = {name: value for name, value in item.items() if name != FOR_EACH}
                items += [_filled(repeated, {**values, **step}, steps) for step in steps]
            else:
                items.append(_filled(item, values, steps))
        kept = [item for item in items if item is not _ABSENT]
        return kept or _ABSENT
    return node


def _object(node: Mapping[str, Any], values: Mapping[str, Value], steps: Sequence[Mapping[str, Value]]) -> Any:
    filled = {name: _filled(value, values, steps) for name, value in node.items()}
    asking = [name for name, value in node.items() if any(True for _ in names_in(value))]
    if asking and all(filled[name] is _ABSENT for name in asking):
        return _ABSENT
    return {name: value for name, value in filled.items() if value is not _ABSENT}


def _text(template: str, values: Mapping[str, Value]) -> Any:
    names = PLACEHOLDER.findall(template)
    if not names or names[0] in READ:
        return template
    if not any(name in values for name in names):
        return _ABSENT
    if template == f"{{{names[0]}}}":
        return values[names[0]]
    return PLACEHOLDER.sub(lambda match: str(values.get(match[1], "")), template)
