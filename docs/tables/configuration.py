"""The page about carebell.yaml, made from its JSON Schema and, for defaults, from the models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import time, timedelta
from importlib.resources import files
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config import model
from config.values import write_duration
from docs.tables.markdown import code, table

Schema = Mapping[str, Any]

_DURATION: Final = "[smhdw]$"
_CLOCK: Final = "[0-5][0-9]$"
_WORDS: Final = {"integer": "number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}


def configuration() -> str:
    schema = json.loads(files("config").joinpath("schema.json").read_text("utf-8"))
    sections = list(_sections(schema, schema, ""))
    return f"""# Configuration

This page lists every key of `carebell.yaml`. Read first the commented file that `carebell init` writes. `carebell check-config`
names what is wrong, with line and column. Paths are relative to the file. Durations are written `90s 15m 24h 7d 2w`.
An environment variable can set any key instead: `CAREBELL_HTTP__PORT=9090` sets `http.port`. "section" marks a key that has its own
table below.

{"".join(sections)}"""


def _sections(root: Schema, section: Schema, path: str) -> Iterator[str]:
    """This section's table and, after it, those of the sections under it."""
    below: list[tuple[Schema, str]] = []
    rows = []
    fields = {field.alias or name: field for name, field in _model(section).model_fields.items()}
    for key, value in section["properties"].items():
        inner, ending = _below(root, value)
        if inner is not None:
            below.append((inner, f"{path}.{key}{ending}".lstrip(".")))
        said = value.get("description") or (inner or {}).get("description", "")
        rows.append((code(key), _type(root, value), _default(fields[key]), said))
    yield f"## {code(path) if path else 'The file'}\n\n"
    if path and section.get("description"):
        yield f"{section['description']}\n\n"
    yield table(["key", "type", "default", "meaning"], rows) + "\n"
    for inner, where in below:
        yield from _sections(root, inner, where)


def _model(section: Schema) -> type[BaseModel]:
    """The model that a section was made from. It is needed because the schema lacks the defaults that a function computes."""
    definition: type[BaseModel] = getattr(model, section["title"])
    return definition


def _below(root: Schema, value: Schema) -> tuple[Schema | None, str]:
    """The section that a key holds, and the end of its path; None if the key holds a value."""
    for part in (value, *value.get("anyOf", ())):
        if "$ref" in part:
            return _resolve(root, part), ""
        if "$ref" in part.get("items", {}):
            return _resolve(root, part["items"]), "[]"
        for named in part.get("patternProperties", {}).values():
            if "$ref" in named:
                return _resolve(root, named), ".NAME"
    return None, ""


def _resolve(root: Schema, part: Schema) -> Schema:
    definition: Schema = root["$defs"][part["$ref"].rsplit("/", 1)[-1]]
    return definition


def _type(root: Schema, value: Schema) -> str:
    if "anyOf" in value:
        return " or ".join(_type(root, part) for part in value["anyOf"])
    if "$ref" in value:
        return "section"
    if "enum" in value:
        return " or ".join(code(str(value)) for value in value["enum"])
    if "const" in value:
        return code(str(value["const"]))
    kind = value.get("type")
    if kind == "array":
        return f"list: {_type(root, value['items'])}"
    if kind == "object":
        return _mapping(root, value)
    pattern = value.get("pattern", "")
    if kind == "string" and pattern.endswith(_DURATION):
        return "duration"
    if kind == "string" and pattern.endswith(_CLOCK):
        return 'time of day, `"HH:MM"`'
    if kind == "string" and value.get("format") in ("path", "password"):
        return "file" if value["format"] == "path" else "secret"
    return _bounded(
        _WORDS[value["type"]],
        value,
    )


def _mapping(root: Schema, value: Schema) -> str:
    inner = value.get("additionalProperties")
    if isinstance(inner, Mapping):
        return f"map: name to {_type(root, inner)}"
    return "section for each name"


def _bounded(word: str, value: Schema) -> str:
    low, high = value.get("minimum"), value.get("maximum")
    if low is not None and high is not None:
        return f"{word}, {low} to {high}"
    return f"{word}, {low} or more" if low is not None else word


def _default(field: FieldInfo) -> str:
    """The default as it is written in the file; "see below" for a section."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel) and not _nullable(field):
        return "see below"
    return code(_written(default)) or "empty"


def _nullable(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _written(value: object) -> str:
    """A value in YAML's flow style."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case timedelta():
            return write_duration(value)
        case time():
            return f'"{value:%H:%M}"'
        case BaseModel():
            fields = type(value).model_fields.items()
            return _written({field.alias or name: getattr(value, name) for name, field in fields})
        case dict():
            return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(_written(value) for value in value) + "]"
        case _:
            return str(value)
