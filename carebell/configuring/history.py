"""The configurations that took effect: who changed which keys, what a version said, and how the texts of two versions differ.

Reads only. All of it is shown without secrets, so it needs no key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from carebell.bootstrap.config_record import KeyChange, changes
from journal.lines import plain
from store import config_versions
from store.config_versions import ConfigVersion
from store.engine import Transaction

_LONGEST: Final = 200
"""Letters of a value that people see; the whole of it stands in `--json` and in the audit log."""
_AROUND: Final = 40
"""Letters before and after the first that differs, at the least."""


class VersionUnknown(Exception):
    """No version begins so, or several do. The message is a phrase without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChange:
    """A version, and how it differs from the one before it.

    Attributes:
        before: None: it is the first.
        changes: the keys; none for the first version.
        certificates: whether the senders' certificates differ.
    """

    version: ConfigVersion
    before: ConfigVersion | None = None
    changes: Sequence[KeyChange] = ()
    certificates: bool = False

    @property
    def phrase(self) -> str | None:
        """What to say where no key changed."""
        if self.version.base is None:
            return "the first that is recorded"
        if self.changes:
            return None
        return "certificates alone changed" if self.certificates else "comments or layout alone changed"

    @property
    def environments(self) -> list[str]:
        """Those that the changed keys belong to."""
        return sorted({change.environment for change in self.changes if change.environment is not None})


def versions(conn: Transaction) -> list[VersionChange]:
    """Every version, oldest first."""
    listed = config_versions.listed(conn)
    return [VersionChange(version=version) for version in listed[:1]] + [
        VersionChange(
            version=new,
            before=old,
            changes=changes_between(old, new),
            certificates=old.certificates != new.certificates,
        )
        for old, new in pairwise(listed)
    ]


def changes_between(old: ConfigVersion, new: ConfigVersion) -> list[KeyChange]:
    """The keys in which two versions differ; secrets as `changed`."""
    return changes(old.content, new.content, old.secrets, new.secrets)


def find(conn: Transaction, beginning: str) -> ConfigVersion:
    """The newest entry of the only version that begins so.

    Raises:
        VersionUnknown: none does, or several do.
    """
    matching = config_versions.named(conn, beginning)
    distinct = {version.version for version in matching}
    if len(distinct) == 1:
        return matching[0]
    which = f"begins several versions: {', '.join(sorted(distinct))}" if distinct else "is no version"
    raise VersionUnknown(f"{plain(beginning)} {which}")


def shown_text(version: ConfigVersion) -> str:
    """The version's text without secrets; its values, where the text was not kept."""
    if version.text is not None:
        return version.text
    values = json.loads(version.content)["configuration"]
    written = json.dumps(values, indent=2, ensure_ascii=False)
    return f"# the file had changed again before its text was kept; these are its values\n{written}\n"


def shown(change: KeyChange) -> Iterator[str]:
    """What differs, in a line, or for two lists in a line for each item that differs.

    An item that is gone has its place in the list before; one that is new or another has its place in the list after.
    """
    before, after = _items(change.before), _items(change.after)
    if before is None or after is None:
        yield _line(change.key, change.before, change.after)
        return
    for _, old, old_end, new, new_end in _differing(before, after):
        pairs = min(old_end - old, new_end - new)
        for place in range(pairs):
            yield _line(f"{change.key}[{new + place}]", before[old + place], after[new + place])
        for place in range(old + pairs, old_end):
            yield f"{change.key}[{place}]: {_short(before[place])} -> (removed)"
        for place in range(new + pairs, new_end):
            yield _line(f"{change.key}[{place}]", None, after[place])


def _differing(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [step for step in steps if step[0] != "equal"]


def _items(value: str | None) -> list[str] | None:
    """The items of a list, each as the whole is written; None: it is no list."""
    if value is None or not value.startswith("["):
        return None
    try:
        return [json.dumps(item, ensure_ascii=False) for item in json.loads(value)]
    except ValueError:
        return None  # a text that begins with a bracket


def _line(key: str, before: str | None, after: str | None) -> str:
    begin = 0
    if before is not None and after is not None and max(len(before), len(after)) > _LONGEST:
        letters = enumerate(zip(before, after, strict=False))
        differing = next((at for at, (old, new) in letters if old != new), min(len(before), len(after)))
        begin = differing - _AROUND if differing + _AROUND > _LONGEST else 0
    return f"{key}: {_short(before, begin)} -> {_short(after, begin)}"


def _short(value: str | None, begin: int = 0) -> str:
    """A value as people see it: from a letter on, and no more than `_LONGEST` of them."""
    if value is None:
        return "(not set)"
    end = begin + _LONGEST
    return f"{'...' if begin else ''}{plain(value[begin:end])}{'...' if end < len(value) else ''}"
