"""`config set` and `config restore`: change carebell.yaml by key, after showing what the change does. Every other byte stays.

The new text is judged as a reload would judge it, before it is written. What was written is in the history and in the audit log,
with the person who wrote it. The running service takes it within seconds, as it takes any edit of the file.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap import config_record, preflight
from carebell.bootstrap.components import configuration_path, open_vault
from carebell.bootstrap.config_record import CHANGED
from carebell.commands.config_preview import database_exists, print_effect
from carebell.commands.config_versions import find_version
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_result, print_sentence
from carebell.exits import OK, ConfigurationStop, Stop, UsageStop
from config.digests import digest_of
from config.document import MOST_BYTES, parse_document, parse_value
from config.edit import REMOVED, Edit, EditRefused, edited
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import ConfigurationError, Keys, key_path
from config.redaction import REMOVED as REDACTED
from config.redaction import is_kept_out
from config.regular_file import read_regular
from config.save import SaveConflict, SaveRefused, save
from config.yaml_spelling import flow
from journal.lines import plain
from store.audit import AuditAction
from store.config_versions import ConfigVersion

_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,4})\]")
_NOT_SET: Final = "(not set)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proposal:
    """A new text of the file, checked.

    Attributes:
        base: what the file holds.
        present: the configuration that it makes; None: it is broken.
        trial: the configuration that the new text makes.
    """

    path: Path
    base: bytes = field(repr=False)
    content: bytes = field(repr=False)
    present: Loaded | None = field(repr=False)
    trial: Loaded = field(repr=False)


def set_key(
    config: Path | None,
    key: str,
    value: str | None,
    *,
    remove: bool,
    comment: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Give one key a value, or take it out of the file.

    Args:
        value: in YAML; `-`: read from standard input.
        remove: take the key out; then there is no `value`.
        dry_run: show everything and write nothing.
    """
    if remove == (value is not None):
        raise UsageStop("give a value, or --remove; nothing was written")
    keys = _keys(key)
    path = configuration_path(config)
    base = _read(path)
    written = sys.stdin.read().rstrip("\n") if value == "-" else value
    change = _with_key(path, base, keys, written)
    if (place := change.trial.where(keys)).line == 0:
        raise UsageStop(f"{key} is set by the {place.file}, which goes over the file. Nothing was written")
    before, after = (_shown(keys, _at(parse_document(text, str(path)).values, keys)) for text in (base, change.content))
    return _show_and_write(change, [(key, before, after)], comment, dry_run=dry_run, as_json=as_json)


def restore(config: Path | None, name: str, *, comment: str | None, dry_run: bool, as_json: bool) -> int:
    """Give the file the text of an earlier version. What the history does not keep, it takes from the file as it is.

    Args:
        name: the version, or its beginning.
    """
    path = configuration_path(config)
    base = _read(path)
    version = find_version(config, name, ". Nothing was written")
    if version.text is None:
        raise Stop(f"the text of {version.version} was not kept, only its values. Nothing was written")
    content = _with_what_was_not_kept(version, version.text, base, path)
    change = _judged(path, base, content)
    now = datetime.now(UTC)
    ring = open_vault(change.trial).ring
    old = None if change.present is None else config_record.facts_of(change.present, ring, now)
    new = config_record.facts_of(change.trial, ring, now)
    differing = [] if old is None else config_record.changes(old.content, new.content, old.secrets, new.secrets)
    rows = [(key_change.key, key_change.before or _NOT_SET, key_change.after or _NOT_SET) for key_change in differing]
    comment = comment or f"restores {version.version}"
    return _show_and_write(change, rows, comment, dry_run=dry_run, as_json=as_json)


# The new text


def _keys(written: str) -> Keys:
    """`environments.test.sms.reminders[0].before`, as problems name a key."""
    parts = list(_PART.finditer(written))
    if (
        written != "".join(f"[{part[2]}]" if part[2] else f".{part[1]}" for part in parts).removeprefix(".")
        or not parts
    ):
        raise UsageStop(
            f"{plain(written)} is no key, such as environments.test.sms.reminders[0].before; nothing was written"
        )
    return tuple(int(part[2]) if part[2] else part[1] for part in parts)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationStop(f"{path}: cannot be read: {(error.strerror or 'input error').lower()}") from None


def _with_key(path: Path, base: bytes, keys: Keys, written: str | None) -> _Proposal:
    """The change that sets a key (None: removes it).

    A value that would be another type than the key wants, as a telephone number is a whole number in YAML, is taken as text.
    """
    values: list[Any] = [REMOVED]
    if written is not None:
        try:
            values = [parse_value(written)]
        except ConfigurationError:
            values = []
        values += [written] if written not in values else []
    first: Stop | None = None
    for value in values:
        try:
            return _judged(path, base, edited(base, [Edit(keys, value)], str(path)))
        except EditRefused as refused:
            raise ConfigurationStop(f"{refused}. Nothing was written") from None
        except ConfigurationStop as stop:
            first = first or stop
    assert first is not None, "there is a value to try"
    raise first


def _judged(path: Path, base: bytes, content: bytes) -> _Proposal:
    """Check a text as `check-config` would check the file. ConfigurationStop with every error; warnings are printed."""
    try:
        trial = load_configuration(path, os.environ, content=content)
    except ConfigurationError as error:
        raise ConfigurationStop(f"{error}\nnothing was written") from None
    try:
        present = load_configuration(path, os.environ)
    except ConfigurationError:
        present = None
    return _Proposal(path=path, base=base, content=content, present=present, trial=trial)


def _with_what_was_not_kept(version: ConfigVersion, text: str, base: bytes, path: Path) -> bytes:
    """The text of a version, with the numbers and passwords of the present file where the history has `***`.

    A value that was `***` itself stays. What was masked for a number that also stands elsewhere is among the version's values.
    """
    kept = json.loads(version.content)["configuration"]
    content = text.encode()
    try:
        removed = sorted(
            {
                _whole(keys) if is_kept_out(keys, value) else keys
                for keys, value in _leaves(parse_document(content, str(path)).values)
                if REDACTED in value and _at(kept, keys) != value
            },
            key=str,
        )
        present = parse_document(base, str(path)).values
    except ConfigurationError as error:
        raise ConfigurationStop(f"{error}\nnothing was written") from None
    edits, lost = [], []
    for keys in removed:
        value = _at(present if is_kept_out(keys, None) else kept, keys)
        if value is None:
            lost.append(key_path(keys))
        else:
            edits.append(Edit(keys, value))
    if lost:
        raise ConfigurationStop(
            f"the history keeps no numbers and passwords, and the file has none at {', '.join(lost)}; "
            "edit a copy of `carebell config show`. Nothing was written"
        )
    try:
        return edited(content, edits, str(path))
    except EditRefused as refused:
        raise ConfigurationStop(f"{refused}. Nothing was written") from None


def _leaves(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(below, (*keys, key))
    elif isinstance(value, str):
        yield keys, value


def _whole(keys: Keys) -> Keys:
    """The list that an item stands in: its items have no names of their own."""
    return next((keys[:position] for position, key in enumerate(keys) if isinstance(key, int)), keys)


def _at(value: Any, keys: Keys) -> Any:
    """The value of a path; None if the text has none."""
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        else:
            value = value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None
    return value


# What is shown and written


def _shown(keys: Keys, value: Any) -> str:
    if value is None:
        return _NOT_SET
    return CHANGED if is_kept_out(keys, value) else flow(value)


def _show_and_write(
    change: _Proposal, rows: Sequence[tuple[str, str, str]], comment: str | None, *, dry_run: bool, as_json: bool
) -> int:
    with interruptible() as progress:
        if change.content == change.base:
            print_result(
                {"version": change.trial.version, "written": False}, "the file says so already", as_json=as_json
            )
            return OK
        now = datetime.now(UTC)
        warnings = preflight.require_sound(change.trial, now)
        has_database = database_exists(change.present or change.trial)
        shows_effect = has_database and change.present is not None
        if not as_json:
            for key, before, after in rows:
                print_sentence(f"{key}: {before} -> {after}")
            for finding in warnings if not shows_effect else ():  # else they are said with the effect
                print_sentence(plain(str(finding.problem)), lead="warning: ")
        if shows_effect and change.present is not None:
            print_effect(change.path, change.trial, change.present, as_json=as_json)
        if not dry_run:
            try:
                save(change.path, change.content, base=digest_of(change.base))
            except (SaveConflict, SaveRefused) as refused:
                raise Stop(str(refused)) from None
            progress.done = f"{change.path.name} was written; it is perhaps not in the history yet"
            if has_database:
                _record(change, comment)
        for key, before, after in rows if as_json else ():
            print_json(
                {"key": key, "before": before, "after": after, "version": change.trial.version, "written": not dry_run}
            )
        if not as_json:
            _print_end(change, dry_run=dry_run, has_database=has_database)
    return OK


def _print_end(change: _Proposal, *, dry_run: bool, has_database: bool) -> None:
    if dry_run:
        print_sentence("nothing was written (--dry-run)")
        return
    print_sentence(
        f"{change.path} is written, version {change.trial.version}; a running service takes it within seconds"
    )
    if not has_database:
        print_sentence("there is no database yet, so the history begins with the first `carebell serve`")


def _record(change: _Proposal, comment: str | None) -> None:
    """Add what was written to the history and to the audit log of the database that the file named before."""
    with opened(change.path, change.present or change.trial) as session:
        now = session.now()
        facts = config_record.facts_of(change.trial, session.vault.ring, now)
        with session.store.write() as conn:
            config_record.record(
                conn,
                facts,
                session.author,
                at=now,
                source="command",
                comment=comment,
                action=AuditAction.CONFIG_WRITE,
                replaced=None if change.present is None else change.present.version,
            )
