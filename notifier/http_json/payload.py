"""What is common to the JSON of answers and of webhooks: reading it without trusting its shape; pure."""

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
    """The text of a key, or None where it is missing or is no text."""
    value = values.get(key)
    return value if isinstance(value, str) else None


def message_id_of(values: dict[str, Any]) -> str | None:
    """The key `id`, or None where it is not one."""
    written = text_of(values, "id") or ""
    return written if MESSAGE_ID.fullmatch(written) else None
