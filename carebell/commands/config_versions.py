"""`config history` and `config show`: which configuration took effect when, who changed what, and what a version said.

Reads only, and needs neither the key file nor a sound carebell.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap.config_record import KeyChange, changes
from carebell.commands.open_store import opened_without_keys
from carebell.commands.output import print_json, print_sentence
from carebell.exits import OK, REFUSED, Stop
from carebell.times import iso
from journal.lines import plain
from store import config_versions
from store.config_versions import ConfigVersion

_LONGEST: Final = 200
"""Letters of a value that people see; the whole of it stands in `--json` and in the audit log."""
_AROUND: Final = 40
"""Letters before and after the first that differs, at the least."""


def history(config: Path | None, *, as_json: bool) -> int:
    """Print every version, oldest first, with the keys that changed; 1 if there is none."""
    with opened_without_keys(config) as database, database.store.read() as conn:
        versions = config_versions.listed(conn)
    changed = _changed(versions)
    for version, key_changes in zip(versions, changed, strict=True):
        if as_json:
            print_json(
                {
                    **_row(version),
                    "changes": [
                        {"key": change.key, "before": change.before, "after": change.after} for change in key_changes
                    ],
                }
            )
        else:
            _print_version(version, key_changes)
    if not versions and not as_json:
        print_sentence("no configuration has taken effect yet; the first `carebell serve` records it")
    return OK if versions else REFUSED


def show(config: Path | None, name: str, *, as_json: bool) -> None:
    """Print a version's text, or with `as_json` its values too. Stop if it is not known."""
    version = find_version(config, name)
    values = json.loads(version.content)["configuration"]
    if as_json:
        print_json({**_row(version), "text": version.text, "values": values})
    elif version.text is not None:
        print(version.text, end="" if version.text.endswith("\n") else "\n")
    else:
        print_sentence("# the file had changed again before its text was kept; these are its values")
        print(json.dumps(values, indent=2, ensure_ascii=False))


def find_version(config: Path | None, beginning: str, consequence: str = "") -> ConfigVersion:
    """The newest entry of the only version that begins so. Stop, with `consequence` at its end, if none or several do."""
    with opened_without_keys(config) as database, database.store.read() as conn:
        matching = config_versions.named(conn, beginning)
    distinct = {version.version for version in matching}
    if len(distinct) == 1:
        return matching[0]
    which = f"begins several versions: {', '.join(sorted(distinct))}" if distinct else "is no version"
    raise Stop(f"{plain(beginning)} {which}; `carebell config history` lists them{consequence}")


def _row(version: ConfigVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "time": iso(version.at),
        "who": version.actor,
        "from": version.origin,
        "source": version.source,
        "base": version.base,
        "comment": version.comment,
    }


def _changed(versions: Sequence[ConfigVersion]) -> list[list[KeyChange]]:
    """For each version the keys that differ from the one before it; nothing for the first."""
    first: list[list[KeyChange]] = [[] for _ in versions[:1]]
    return first + [changes(old.content, new.content, old.secrets, new.secrets) for old, new in pairwise(versions)]


def _print_version(version: ConfigVersion, key_changes: Sequence[KeyChange]) -> None:
    since = f"{version.at:%Y-%m-%d %H:%M:%S} UTC"
    comment = f": {plain(version.comment)}" if version.comment else ""
    print_sentence(f"{version.version}  {since}  by {plain(version.actor)} ({version.source}){comment}")
    if version.base is None:
        print_sentence("the first that is recorded", lead="    ")
    elif not key_changes:
        print_sentence("certificates alone changed", lead="    ")
    for change in key_changes:
        for line in shown(change):
            print_sentence(line, lead="    ")


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
