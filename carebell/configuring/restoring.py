"""The text of an earlier version, to be proposed again: exactly, where it was kept sealed.

Otherwise the text without secrets is used, and what it lacks is taken from the file as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.document import parse_document
from config.edit import Edit, edited
from config.problems import Keys, key_path
from config.redaction import REMOVED as REDACTED
from config.redaction import is_kept_out
from store import config_versions
from store.config_versions import ConfigVersion
from store.engine import Transaction
from store.vault import Vault


class NotRestorable(Exception):
    """A version cannot come back as it was. The message is a phrase without a full stop.

    Attributes:
        lost: the keys whose numbers or passwords neither the history nor the file has; empty: the text itself was not kept.
    """

    def __init__(self, version: str, lost: list[str]) -> None:
        self.lost = lost
        super().__init__(
            f"the history keeps no numbers and passwords, and the file has none at {', '.join(lost)}; "
            "edit a copy of `carebell config show`"
            if lost
            else f"the text of {version} was not kept, only its values"
        )


def restored(conn: Transaction, vault: Vault, version: ConfigVersion, base: bytes, path: Path) -> bytes:
    """The text of a version as it was; if that is not kept any more, as `from_shown_text`, which says what it raises."""
    content = config_versions.text_of(conn, vault, version)
    return from_shown_text(version, base, path) if content is None else content


def from_shown_text(version: ConfigVersion, base: bytes, path: Path) -> bytes:
    """The text of a version without secrets, with the numbers and passwords of the present file where the history has `***`.

    A value that was `***` itself stays. What was masked for a number that also stands elsewhere is among the version's values.

    Args:
        base: what the file at `path` holds.

    Raises:
        NotRestorable: something of it is nowhere.
        ConfigurationError: the text, or the present file, is no YAML.
        EditRefused: the text cannot be edited by its keys.
    """
    if version.text is None:
        raise NotRestorable(version.version, [])
    content = version.text.encode()
    kept = json.loads(version.content)["configuration"]
    removed = sorted(
        {
            _whole(keys) if is_kept_out(keys, value) else keys
            for keys, value in _leaves(parse_document(content, str(path)).values)
            if REDACTED in value and value_at(kept, keys) != value
        },
        key=str,
    )
    present = parse_document(base, str(path)).values
    edits, lost = [], []
    for keys in removed:
        value = value_at(present if is_kept_out(keys, None) else kept, keys)
        if value is None:
            lost.append(key_path(keys))
        else:
            edits.append(Edit(keys, value))
    if lost:
        raise NotRestorable(version.version, lost)
    return edited(content, edits, str(path))


def value_at(value: Any, keys: Keys) -> Any:
    """The value of a path in a file's values; None if it has none."""
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        else:
            value = value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None
    return value


def _leaves(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(below, (*keys, key))
    elif isinstance(value, str):
        yield keys, value


def _whole(keys: Keys) -> Keys:
    """The list that an item stands in: its items have no names of their own."""
    return next((keys[:position] for position, key in enumerate(keys) if isinstance(key, int)), keys)
