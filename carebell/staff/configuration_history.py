"""What the portal's pages about the configurations that took effect ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carebell.configuring import history
from carebell.configuring.history import VersionChange, VersionUnknown
from carebell.configuring.proposal import read_file
from carebell.configuring.restoring import NotRestorable, restored
from carebell.staff.proposals import Proposals
from config.edit import EditRefused
from config.line_diff import shown, two_way
from config.problems import ConfigurationError, Problem
from portal.configuration import Comparison, HistoryRow, VersionText
from portal.people import Session
from portal.proposals import NotProposed, Proposed
from store import config_versions
from store.config_versions import ConfigVersion
from store.engine import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationHistory(Proposals):
    """The part of `portal.configuration.ConfigurationDesk` about versions."""

    def history(self) -> Sequence[HistoryRow]:
        with self.store.read() as conn:
            return [_history_row(change) for change in reversed(history.versions(conn))]

    def version(self, name: str) -> VersionText | None:
        with self.store.read() as conn:
            change = _version(conn, name)
            if change is None:
                return None
            version = change.version
            is_exact = config_versions.text_of(conn, self.vault, version) is not None
        return VersionText(
            row=_history_row(change),
            lines=history.shown_text(version).splitlines(),
            is_exact=is_exact,
            is_present=version.mark is not None and version.mark == self.base(),
        )

    def compare(self, before: str, after: str) -> Comparison | None:
        with self.store.read() as conn:
            old, new = _version(conn, before), _version(conn, after)
        if old is None or new is None:
            return None
        texts = (history.shown_text(change.version) for change in (old, new))
        return Comparison(before=_history_row(old), after=_history_row(new), lines=list(shown(two_way(*texts))))

    def restore(self, by: Session, name: str) -> Proposed | NotProposed | None:
        try:
            present = read_file(self.path)
        except OSError as error:
            return NotProposed(problems=(self.unreadable(error),))
        with self.store.read() as conn:
            change = _version(conn, name)
            if change is None:
                return None
            version = change.version
            try:
                content = restored(conn, self.vault, version, present, self.path)
            except NotRestorable as refused:
                return NotProposed(problems=(self.shown(Problem(str(self.path), 0, 0, "", str(refused))),))
            except EditRefused as refused:
                return NotProposed(problems=(self.shown(refused.problem),))
            except ConfigurationError as error:
                return NotProposed(problems=tuple(map(self.shown, error.problems)))
        return self.keep_content(by, present, content, comment=f"restores {version.version}")


def _version(conn: Transaction, name: str) -> VersionChange | None:
    """The entry that an address names, with what it changed; None: there is none, or several begin so."""
    version, _, place = name.partition("-")
    listed = history.versions(conn)
    if place:
        return next(
            (change for change in listed if (change.version.version, str(change.version.seq)) == (version, place)), None
        )
    try:
        newest = history.find(conn, version)
    except VersionUnknown:
        return None
    return next(change for change in listed if change.version.seq == newest.seq)


def _history_row(change: VersionChange) -> HistoryRow:
    version, before = change.version, change.before
    lines = [line for key_change in change.changes for line in history.shown(key_change)]
    return HistoryRow(
        name=_name(version),
        version=version.version,
        at=version.at,
        who=version.actor,
        source=version.source,
        comment=version.comment or "",
        environments=change.environments,
        changes=lines if change.phrase is None else [change.phrase],
        before=None if before is None else _name(before),
    )


def _name(version: ConfigVersion) -> str:
    return f"{version.version}-{version.seq}"
