"""Values from environment variables laid over the file's: `CAREBELL_HTTP__PORT=9090`.

A name is split at `__`; each part names a key, in any case, with `_` for characters that a variable's name cannot hold
(`CAREBELL_ENVIRONMENTS__PROD_EAST__ENABLED` for `prod-east`), or a list item by number. Values are text and become what the
model wants; `[...]` and `{...}` are read as YAML, `null` is no value. A variable without `__` (CAREBELL_CONFIG) is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from config.document import parse_value
from config.problems import ConfigurationError, Keys, Problem, SourceLocation

PREFIX: Final = "CAREBELL_"


def overlay(values: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Keys, SourceLocation]]:
    """`values` with the variables laid over, and the place of each key that came from one. `values` stays as it is.

    Raises:
        ConfigurationError: a variable leads through something that is not a section, or holds broken YAML.
    """
    places: dict[Keys, SourceLocation] = {}
    problems: list[Problem] = []
    result = dict(values)
    for name in sorted(environ):
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        place = SourceLocation(f"environment variable {name}")
        parts = name.removeprefix(PREFIX).split("__")
        try:
            value = _value(environ[name])
        except ConfigurationError:
            problems.append(Problem.at(place, (), "holds a list or section that is not valid YAML"))
            continue
        keys = _put(result, parts, value)
        if keys is None:
            problems.append(Problem.at(place, (), "leads to nothing: a part of its name is not a section or list item"))
        else:
            places[keys] = place
    if problems:
        raise ConfigurationError(problems)
    return result, places


def _value(written: str) -> Any:
    if written.lstrip().startswith(("[", "{")):
        return parse_value(written)
    return None if written == "null" else written


def _put(top: dict[str, Any], parts: list[str], value: Any) -> Keys | None:
    """Set the value, copying every container on the way: aliases of the file may share them."""
    keys: list[str | int] = []
    container: Any = top
    for position, part in enumerate(parts):
        key = _key(container, part)
        if key is None:
            return None
        keys.append(key)
        if position == len(parts) - 1:
            container[key] = value
            break
        below = container.get(key) if isinstance(container, dict) else container[key]
        if not isinstance(below, (dict, list, type(None))):
            return None
        container[key] = list(below) if isinstance(below, list) else dict(below or {})
        container = container[key]
    return tuple(keys)


def _key(container: dict[str, Any] | list[Any], part: str) -> str | int | None:
    if isinstance(container, list):
        return int(part) if part.isascii() and part.isdigit() and len(part) < 6 and int(part) < len(container) else None
    wanted = part.lower()
    return next((key for key in container if _spelt(key) == wanted), wanted) if wanted else None


def _spelt(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", key.lower())
