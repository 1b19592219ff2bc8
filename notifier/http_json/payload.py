"""Read the JSON of answers and webhooks without trusting its structure; pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

MESSAGE_ID: Final = re.compile(r"[!-~]{1,128}")
"""The gateway's id of a message: printable ASCII without blanks."""


def read_object(body: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_of(values: dict[str, Any], key: str) -> str | None:
    """The text of a key; None if it is missing or not a text."""
    value = values.get(key)
    return value if isinstance(value, str) else None


def message_id_of(values: dict[str, Any]) -> str | None:
    """The value of `id`; None if it is not a valid id."""
    written = text_of(values, "id") or ""
    return written if MESSAGE_ID.fullmatch(written) else None
