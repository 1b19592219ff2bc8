"""Checks a value against the part of Twilio's OpenAPI description kept in twilio_openapi.json."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

DESCRIPTION: dict[str, Any] = json.loads(Path(__file__).with_name("twilio_openapi.json").read_text())
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "number": (int, float),
}


def faults_in(operation: str, value: object) -> list[str]:
    """What in an answer's JSON contradicts the description of `operation`, each with its path; empty where nothing does."""
    return _check(DESCRIPTION[operation], value, operation)


def _check(schema: dict[str, Any], value: object, path: str) -> list[str]:
    if value is None:
        return [] if schema.get("nullable") else [f"{path}: null"]
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool))):
        return [f"{path}: {type(value).__name__} for {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{path}: not in enum"]
    found: list[str] = []
    if isinstance(value, str):
        if "pattern" in schema and re.search(schema["pattern"], value) is None:
            found.append(f"{path}: pattern")
        if schema.get("format") == "date-time-rfc-2822" and parsedate_to_datetime(value).utcoffset() is None:
            found.append(f"{path}: date without offset")
    if isinstance(value, list):
        for item in value:
            found += _check(schema["items"], item, f"{path}[]")
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{path}.{name}: unknown" for name in value.keys() - schema["properties"].keys()]
        found += [f"{path}.{name}: missing" for name in schema["properties"].keys() - value.keys()]
        for name, inner in schema["properties"].items():
            if name in value:
                found += _check(inner, value[name], f"{path}.{name}")
    return found
