"""The audit log for those who check it: entries, the chain compared with the heads in the log, and the whole for export."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final, Protocol

from carebell.inquiries.csv_cells import safe
from journal.read import Line, Wanted, instant_of
from journal.rotated import OnUnreadable, read_log, rotated_names
from store import audit
from store.audit import RESTORED, AuditAction, AuditEntry, AuditFilter, Break, ChainVerdict, Head
from store.engine import Store, Transaction

COLUMNS: Final = ("seq", "time", "who", "from", "what", "environment", "subject", "before", "after", "hash")
"""The keys of an entry, in `--json` and in an export."""
EXPORTED: Final = (*COLUMNS, "previous", "hashed")

_WHY: Final[Mapping[Break, str]] = {
    "altered": "it was altered after it was written",
    "missing": "it is missing",
    "end_missing": "it and all later ones are missing: the end was cut off, or an older backup was restored",
    "start_missing": "the beginning is missing, and no entry says that it was pruned",
    "rewritten": "its hash is not the one that was noted when it was written: the log was made anew",
}


class AuditSource(Protocol):
    """The database, and the log that has heads of the chain. No configuration and no key is needed."""

    @property
    def store(self) -> Store: ...

    @property
    def log_file(self) -> Path | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedChain:
    """Attributes:
    lost: heads in the log whose entries were lost when an older database was restored; they were not compared.
    """

    verdict: ChainVerdict
    lost: int

    @property
    def is_intact(self) -> bool:
        return self.verdict.broken_at is None

    @property
    def sentences(self) -> list[str]:
        """The verdict for people."""
        verdict = self.verdict
        if verdict.broken_at is not None:
            why = _WHY[verdict.why] if verdict.why is not None else "it is wrong"
            checked = f"{verdict.entries} entries before it were checked and fit"
            return [f"broken at entry {verdict.broken_at}: {why}", checked]
        last = f"{verdict.first} to {verdict.head.seq}" if verdict.entries else "none"
        compared = f"{verdict.anchors} heads noted elsewhere" if verdict.anchors else "no head noted elsewhere"
        sentences = [f"unbroken: {verdict.entries} entries ({last})", f"compared with {compared}"]
        if verdict.first > 1:
            sentences.append(f"entries before {verdict.first} were pruned when they were older than `audit.keep`")
        if self.lost:
            sentences.append(
                f"{self.lost} heads in the log are of entries that were lost when an older database was restored; "
                "`carebell audit --what hold.place --who service` says when"
            )
        sentences.append(f"head {verdict.head.seq}:{verdict.head.hash}")
        return sentences


def checked(source: AuditSource, given: Sequence[Head], on_unreadable: OnUnreadable) -> CheckedChain:
    """Check the chain, and compare it with the heads in the log and with those that are given."""
    noted = list(_logged_heads(source, on_unreadable))
    with source.store.read() as conn:
        restores = list(_restores(conn, noted))
        standing = [head for head in noted if not any(restore.explains(head) for restore in restores)]
        anchors = _anchors([*(head.head for head in standing), *given])
        verdict = anchors if isinstance(anchors, ChainVerdict) else audit.verify(conn, anchors)
    return CheckedChain(verdict=verdict, lost=len(noted) - len(standing))


def entry_row(entry: AuditEntry) -> dict[str, Any]:
    """The entry by the names of `COLUMNS`."""
    return {
        "seq": entry.seq,
        "time": audit.exact(entry.at),
        "who": entry.actor,
        "from": entry.origin,
        "what": entry.action,
        "environment": entry.environment,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
        "hash": entry.hash,
    }


def chain_rows(conn: Transaction) -> Generator[dict[str, Any], None, None]:
    """Each entry by the names of `EXPORTED`: with the hash before it, and the text that its own hash covers. Close it."""
    previous = audit.start_of(conn).hash
    with closing(audit.entries(conn)) as entries:
        for entry in entries:
            yield {**entry_row(entry), "previous": previous, "hashed": audit.hashed_text(previous, entry)}
            previous = entry.hash


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The chain as CSV, safe to open in a spreadsheet."""
    yield ",".join(EXPORTED) + "\n"
    for row in rows:
        written = StringIO()
        csv.writer(written, lineterminator="\n").writerow([safe(row[name]) for name in EXPORTED])
        yield written.getvalue()


# Heads in the log, and restores that explain why some have no entry


@dataclass(frozen=True, slots=True, kw_only=True)
class _LoggedHead:
    """A head that the service wrote into its log."""

    at: datetime
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class _Restore:
    """The entry of a service that found an older database: what came after the backup is in the old log only.

    Attributes:
        seq: of the first entry after the restore: a person may have looked at the database before the service started.
    """

    seq: int
    at: datetime

    def explains(self, logged: _LoggedHead) -> bool:
        """Whether that head belongs to the copy that was lost."""
        return logged.at < self.at and logged.head.seq >= self.seq


def _restores(conn: Transaction, noted: Sequence[_LoggedHead]) -> Iterator[_Restore]:
    with closing(audit.entries(conn, AuditFilter(who="service", action=AuditAction.HOLD_PLACE))) as entries:
        found_out = [
            entry for entry in entries if entry.actor == "service" and (entry.after or "").startswith(RESTORED)
        ]
    for entry in found_out:
        last_before = max((head.at for head in noted if head.at < entry.at), default=None)
        yield _Restore(seq=entry.seq if last_before is None else _first_after(conn, last_before, entry), at=entry.at)


def _first_after(conn: Transaction, instant: datetime, entry: AuditEntry) -> int:
    """The first of the entries of people, or of an upgrade, that are younger than an instant and lead up to this: its number."""
    first = entry.seq
    with closing(audit.entries(conn, AuditFilter(since=instant))) as entries:
        by_people = {
            younger_entry.seq
            for younger_entry in entries
            if younger_entry.at > instant
            and (younger_entry.actor.startswith("cli:") or younger_entry.action == AuditAction.DB_UPGRADE)
        }
    while first - 1 in by_people:
        first -= 1
    return first


def _logged_heads(source: AuditSource, on_unreadable: OnUnreadable) -> Iterator[_LoggedHead]:
    file = source.log_file
    if file is None or not (file.is_file() or rotated_names(file)):
        return
    for line in read_log(file, Wanted(event="audit_head"), on_unreadable):
        head = _head_of(line)
        if head is not None:
            yield _LoggedHead(at=instant_of(line), head=head)


def _head_of(line: Line) -> Head | None:
    """None: somebody wrote the line by hand."""
    seq, digest = line.fields.get("seq"), line.fields.get("hash")
    return Head(seq=seq, hash=digest) if isinstance(seq, int) and isinstance(digest, str) else None


def _anchors(heads: Iterable[Head]) -> dict[int, str] | ChainVerdict:
    """Number -> hash; a verdict if two notes of the same entry differ, because then one of two chains was made anew."""
    anchors: dict[int, str] = {}
    for head in heads:
        if anchors.setdefault(head.seq, head.hash) != head.hash:
            return ChainVerdict(entries=0, broken_at=head.seq, why="rewritten")
    return anchors
