"""`config history` and `config show`: which configuration took effect when, who changed what, and what a version said.

Reads only, and needs neither the key file nor a sound carebell.yaml.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from carebell.commands.open_store import opened_without_keys
from carebell.commands.output import print_json, print_sentence
from carebell.configuring.history import VersionChange, VersionUnknown, find, shown, shown_text, versions
from carebell.exits import OK, REFUSED, Stop
from carebell.times import iso
from journal.lines import plain
from store.config_versions import ConfigVersion
from store.engine import Transaction


def history(config: Path | None, *, as_json: bool) -> int:
    """Print every version, oldest first, with the keys that changed; 1 if there is none."""
    with opened_without_keys(config) as database, database.store.read() as conn:
        listed = versions(conn)
    for change in listed:
        if as_json:
            keys = [{"key": key.key, "before": key.before, "after": key.after} for key in change.changes]
            print_json({**_row(change.version), "changes": keys})
        else:
            _print_version(change)
    if not listed and not as_json:
        print_sentence("no configuration has taken effect yet; the first `carebell serve` records it")
    return OK if listed else REFUSED


def show(config: Path | None, name: str, *, as_json: bool) -> None:
    """Print a version's text, or with `as_json` its values too. Stop if it is not known."""
    version = find_version(config, name)
    if as_json:
        values = json.loads(version.content)["configuration"]
        print_json({**_row(version), "text": version.text, "values": values})
        return
    text = shown_text(version)
    print(text, end="" if text.endswith("\n") else "\n")


def find_version(config: Path | None, beginning: str, consequence: str = "") -> ConfigVersion:
    """The newest entry of the only version that begins so. Stop, with `consequence` at its end, if none or several do."""
    with opened_without_keys(config) as database, database.store.read() as conn:
        return found(conn, beginning, consequence)


def found(conn: Transaction, beginning: str, consequence: str = "") -> ConfigVersion:
    """As `find_version`, in an open database."""
    try:
        return find(conn, beginning)
    except VersionUnknown as unknown:
        raise Stop(f"{unknown}; `carebell config history` lists them{consequence}") from None


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


def _print_version(change: VersionChange) -> None:
    version = change.version
    since = f"{version.at:%Y-%m-%d %H:%M:%S} UTC"
    comment = f": {plain(version.comment)}" if version.comment else ""
    print_sentence(f"{version.version}  {since}  by {plain(version.actor)} ({version.source}){comment}")
    if change.phrase is not None:
        print_sentence(change.phrase, lead="    ")
    for key_change in change.changes:
        for line in shown(key_change):
            print_sentence(line, lead="    ")
