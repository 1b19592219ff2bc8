"""`config set` and `config restore`: change carebell.yaml by key, after showing what the change does. Every other byte stays.

The new text is judged as a reload would judge it, before it is written. What was written is in the history and in the audit log,
with the person who wrote it. The running service takes it within seconds, as it takes any edit of the file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap import config_record
from carebell.bootstrap.components import configuration_path, open_vault
from carebell.bootstrap.config_record import CHANGED
from carebell.commands.config_conflict import print_conflict
from carebell.commands.config_preview import database_exists, foresee_effect, print_effect
from carebell.commands.config_versions import find_version, found
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_result, print_sentence
from carebell.configuring import saving
from carebell.configuring.proposal import (
    Proposal,
    ProposalRefused,
    propose_text,
    propose_written,
    read_file,
    require_sound,
)
from carebell.configuring.restoring import NotRestorable, from_shown_text, restored, value_at
from carebell.exits import OK, ConfigurationStop, Stop, UsageStop
from config.document import parse_document
from config.edit import EditRefused
from config.problems import ConfigurationError, Keys
from config.redaction import is_kept_out
from config.save import SaveConflict, SaveRefused
from config.yaml_spelling import flow
from journal.lines import plain
from store.config_versions import ConfigVersion

_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,4})\]")
_NOT_SET: Final = "(not set)"
_NOTHING_WRITTEN: Final = ". Nothing was written"


def set_key(
    config: Path | None,
    key: str,
    value: str | None,
    *,
    remove: bool,
    base_version: str | None,
    comment: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Give one key a value, or take it out of the file.

    Args:
        value: in YAML; `-`: read from standard input.
        remove: take the key out; then there is no `value`.
        base_version: that the file must still have; None: whatever it has.
        dry_run: show everything and write nothing.
    """
    if remove == (value is not None):
        raise UsageStop("give a value, or --remove; nothing was written")
    keys = _keys(key)
    path = configuration_path(config)
    base = _read(path)
    written = sys.stdin.read().rstrip("\n") if value == "-" else value
    try:
        proposal = propose_written(path, base, keys, written)
    except EditRefused as refused:
        raise ConfigurationStop(f"{refused}. Nothing was written") from None
    except ProposalRefused as refused:
        raise ConfigurationStop(f"{refused}\nnothing was written") from None
    if base_version is not None:
        _require_base(config, base_version, proposal, keys, written, as_json=as_json)
    if (place := proposal.trial.where(keys)).line == 0:
        raise UsageStop(f"{key} is set by the {place.file}, which goes over the file. Nothing was written")
    before, after = (
        _shown(keys, value_at(parse_document(text, str(path)).values, keys)) for text in (base, proposal.content)
    )
    return _show_and_write(proposal, [(key, before, after)], comment, dry_run=dry_run, as_json=as_json)


def restore(config: Path | None, name: str, *, comment: str | None, dry_run: bool, as_json: bool) -> int:
    """Give the file the text of an earlier version. What the history does not keep any more, it takes from the file as it is.

    Args:
        name: the version, or its beginning.
    """
    path = configuration_path(config)
    base = _read(path)
    try:
        version, content = _restored(config, name, base, path)
        proposal = propose_text(path, base, content)
    except NotRestorable as refused:
        raise (ConfigurationStop if refused.lost else Stop)(f"{refused}. Nothing was written") from None
    except EditRefused as refused:
        raise ConfigurationStop(f"{refused}. Nothing was written") from None
    except (ConfigurationError, ProposalRefused) as refused:
        raise ConfigurationStop(f"{refused}\nnothing was written") from None
    now = datetime.now(UTC)
    ring = open_vault(proposal.trial).ring
    old = None if proposal.present is None else config_record.facts_of(proposal.present, ring, now)
    new = config_record.facts_of(proposal.trial, ring, now)
    differing = [] if old is None else config_record.changes(old.content, new.content, old.secrets, new.secrets)
    rows = [(key_change.key, key_change.before or _NOT_SET, key_change.after or _NOT_SET) for key_change in differing]
    comment = comment or f"restores {version.version}"
    return _show_and_write(proposal, rows, comment, dry_run=dry_run, as_json=as_json)


def _require_base(
    config: Path | None, name: str, proposal: Proposal, keys: Keys, written: str | None, *, as_json: bool
) -> None:
    """Stop, after showing the three texts, if the file makes another version than the one that somebody saw."""
    version = find_version(config, name, _NOTHING_WRITTEN)
    if proposal.present is not None and proposal.present.version == version.version:
        return
    with suppress(ConfigurationStop, NotRestorable, ConfigurationError, EditRefused, ProposalRefused):
        _, seen = _restored(config, version.version, proposal.base, proposal.path)
        yours = propose_written(proposal.path, seen, keys, written).content
        print_conflict(proposal.path, seen, yours, proposal.base, as_json=as_json)
    raise Stop(f"carebell.yaml was changed since version {version.version}; nothing was written")


def _restored(config: Path | None, name: str, base: bytes, path: Path) -> tuple[ConfigVersion, bytes]:
    """A version, and its text as it was; where the key file cannot be used, as the history shows it."""
    try:
        with opened(config) as session, session.store.read() as conn:
            version = found(conn, name, _NOTHING_WRITTEN)
            return version, restored(conn, session.vault, version, base, path)
    except ConfigurationStop:
        version = find_version(config, name, _NOTHING_WRITTEN)
        return version, from_shown_text(version, base, path)


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
        return read_file(path)
    except OSError as error:
        raise ConfigurationStop(f"{path}: cannot be read: {(error.strerror or 'input error').lower()}") from None


def _shown(keys: Keys, value: Any) -> str:
    if value is None:
        return _NOT_SET
    return CHANGED if is_kept_out(keys, value) else flow(value)


# What is shown and written


def _show_and_write(
    proposal: Proposal, rows: Sequence[tuple[str, str, str]], comment: str | None, *, dry_run: bool, as_json: bool
) -> int:
    with interruptible() as progress:
        if proposal.changes_nothing:
            print_result(
                {"version": proposal.trial.version, "written": False}, "the file says so already", as_json=as_json
            )
            return OK
        has_database = database_exists(proposal.present or proposal.trial)
        _show(proposal, rows, has_database=has_database, as_json=as_json)
        if not dry_run:
            try:
                saving.write(proposal)
            except SaveConflict as conflict:
                print_conflict(proposal.path, proposal.base, proposal.content, conflict.present, as_json=as_json)
                raise Stop(str(conflict)) from None
            except SaveRefused as refused:
                raise Stop(str(refused)) from None
            progress.done = f"{proposal.path.name} was written; it is perhaps not in the history yet"
            if has_database:
                _record(proposal, comment)
        for key, before, after in rows if as_json else ():
            version = proposal.trial.version
            print_json({"key": key, "before": before, "after": after, "version": version, "written": not dry_run})
        if not as_json:
            _print_end(proposal, dry_run=dry_run, has_database=has_database)
    return OK


def _show(proposal: Proposal, rows: Sequence[tuple[str, str, str]], *, has_database: bool, as_json: bool) -> None:
    """The keys that change, what that does to the texts that wait, and the warnings. ConfigurationStop if it could not start."""
    foreseen, warnings = None, []
    if has_database and proposal.present is not None:
        foreseen = foresee_effect(proposal.path, proposal.trial, proposal.present)  # with its warnings
    else:
        try:
            warnings = require_sound(proposal.trial, datetime.now(UTC))
        except ProposalRefused as refused:
            raise ConfigurationStop(str(refused)) from None
    if not as_json:
        for key, before, after in rows:
            print_sentence(f"{key}: {before} -> {after}")
        for finding in warnings:
            print_sentence(plain(str(finding.problem)), lead="warning: ")
    if foreseen is not None:
        print_effect(foreseen, as_json=as_json)


def _print_end(proposal: Proposal, *, dry_run: bool, has_database: bool) -> None:
    if dry_run:
        print_sentence("nothing was written (--dry-run)")
        return
    print_sentence(
        f"{proposal.path} is written, version {proposal.trial.version}; a running service takes it within seconds"
    )
    if not has_database:
        print_sentence("there is no database yet, so the history begins with the first `carebell serve`")


def _record(proposal: Proposal, comment: str | None) -> None:
    """Add what was written to the history of the database that the file named before."""
    with opened(proposal.path, proposal.present or proposal.trial) as session:
        saving.record(
            session.store,
            session.vault,
            proposal,
            session.author,
            at=session.now(),
            source="command",
            comment=comment,
        )
