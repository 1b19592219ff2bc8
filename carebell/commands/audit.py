"""`audit`: the audit log for auditors: read, checked, exported.

Works with a broken carebell.yaml and without the key file: only the database is needed, and for `verify` the log's lines too.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from carebell.commands.open_store import OpenDatabase, opened_without_keys
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.exits import OK, REFUSED, Stop, UsageStop
from carebell.inquiries.csv_cells import safe
from config.values import read_duration
from journal.events.service import OperatorActed
from journal.lines import plain
from journal.read import Line, Wanted, instant_of
from journal.rotated import read_log, rotated_names
from store import audit
from store.audit import RESTORED, AuditAction, AuditEntry, AuditFilter, Break, ChainVerdict, Head
from store.engine import Transaction

COLUMNS: Final = ("seq", "time", "who", "from", "what", "environment", "subject", "before", "after", "hash")
"""The keys of an entry, in `--json` and in an export."""
EXPORTED: Final = (*COLUMNS, "previous", "hashed")

_WHY: Final[dict[Break, str]] = {
    "altered": "it was altered after it was written",
    "missing": "it is missing",
    "end_missing": "it and all later ones are missing: the end was cut off, or an older backup was restored",
    "start_missing": "the beginning is missing, and no entry says that it was pruned",
    "rewritten": "its hash is not the one that was noted when it was written: the log was made anew",
}


def show(
    config: Path | None,
    *,
    since: str | None,
    who: str | None,
    what: str | None,
    environment: str | None,
    as_json: bool,
) -> None:
    """Print the selected entries, oldest first."""
    with opened_without_keys(config) as database:
        begins = None if since is None else _since(since, database.now())
        only = AuditFilter(since=begins, who=who, action=what, environment=environment)
        with database.store.read() as conn, closing(audit.entries(conn, only)) as entries:
            if as_json:
                for entry in entries:
                    print_json(_row(entry))
                return
            rows = [_row(entry) for entry in entries]
    if rows:
        print_sentence("Times in UTC.")
    print_table(
        ["Seq", "Time", "Who", "What", "Environment", "Subject", "Before", "After", "From"],
        [
            (row["seq"], f"{entry_time(row['time'])}", row["who"], row["what"], row["environment"] or "-",
             row["subject"], row["before"] or "-", row["after"] or "-", row["from"] or "-")
            for row in rows
        ],
        empty="no entry matches" if any((since, who, what, environment)) else "the audit log is empty",
        first="Time",
    )  # fmt: skip


def entry_time(exact: str) -> str:
    """`2026-03-02 15:04:00`, from the exact form."""
    return exact[:19].replace("T", " ")


def verify(config: Path | None, *, heads: Sequence[str], as_json: bool) -> int:
    """Check the chain, and compare it with the heads in the log and on the command line; 1 if it is broken."""
    given = [_head(written) for written in heads]
    with opened_without_keys(config) as database:
        noted = list(_logged_heads(database))
        with database.store.read() as conn:
            restores = list(_restores(conn, noted))
            standing = [head for head in noted if not any(restore.explains(head) for restore in restores)]
            anchors = _anchors([*(head.head for head in standing), *given])
            verdict = anchors if isinstance(anchors, ChainVerdict) else audit.verify(conn, anchors)
    lost = len(noted) - len(standing)
    if as_json:
        print_json(
            {"intact": verdict.broken_at is None, "entries": verdict.entries, "first": verdict.first,
             "broken_at": verdict.broken_at, "why": verdict.why, "head": f"{verdict.head.seq}:{verdict.head.hash}",
             "compared": verdict.anchors, "before_restore": lost}
        )  # fmt: skip
    else:
        _print_verdict(verdict, lost)
    return OK if verdict.broken_at is None else REFUSED


def export(config: Path | None, *, as_csv: bool, output: Path | None, as_json: bool) -> None:
    """Write the whole chain. An existing file is never overwritten."""
    if as_csv and as_json:
        raise UsageStop("--csv and --json cannot be used together")
    with opened_without_keys(config) as database:
        with _writing(output) as stream, database.store.read() as conn:
            write = _csv_writer(stream) if as_csv else _json_writer(stream)
            count = 0
            with closing(_chain(conn)) as rows:
                for row in rows:
                    write(row)
                    count += 1
            stream.flush()
        subject = "standard output" if output is None else str(output)
        database.shown(AuditAction.AUDIT_EXPORT, subject=subject, after=f"{count} entries")
        database.log(OperatorActed(action="audit export", actor=database.actor, source="command"))
    if output is not None:
        print(f"{output}: {count} entries", file=sys.stderr)


def _row(entry: AuditEntry) -> dict[str, Any]:
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


def _since(written: str, now: datetime) -> datetime:
    try:
        return now - read_duration(written)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise UsageStop(
            f"--since: {written!r} is neither a duration such as 7d nor a date such as 2026-03-02"
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


# Checking


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


def _logged_heads(database: OpenDatabase) -> Iterator[_LoggedHead]:
    file = database.log_file
    if file is None or not (file.is_file() or rotated_names(file)):
        return
    for line in read_log(file, Wanted(event="audit_head"), _warn_unreadable):
        head = _head_of(line)
        if head is not None:
            yield _LoggedHead(at=instant_of(line), head=head)


def _head_of(line: Line) -> Head | None:
    """None: somebody wrote the line by hand."""
    seq, digest = line.fields.get("seq"), line.fields.get("hash")
    return Head(seq=seq, hash=digest) if isinstance(seq, int) and isinstance(digest, str) else None


def _warn_unreadable(file: Path, why: str) -> None:
    print(plain(f"carebell: warning: {file}: {why}; its lines are not compared"), file=sys.stderr)


def _head(written: str) -> Head:
    seq, _, digest = written.partition(":")
    if not seq.isdecimal() or len(digest) != len(audit.BEGINNING) or not set(digest) <= set("0123456789abcdef"):
        raise UsageStop(f"--head: {written!r} is not SEQ:HASH, as `carebell audit verify` prints it")
    return Head(seq=int(seq), hash=digest)


def _anchors(heads: Iterable[Head]) -> dict[int, str] | ChainVerdict:
    """Number -> hash; a verdict if two notes of the same entry differ, because then one of two chains was made anew."""
    anchors: dict[int, str] = {}
    for head in heads:
        if anchors.setdefault(head.seq, head.hash) != head.hash:
            return ChainVerdict(entries=0, broken_at=head.seq, why="rewritten")
    return anchors


def _print_verdict(verdict: ChainVerdict, lost: int) -> None:
    if verdict.broken_at is not None:
        why = _WHY[verdict.why] if verdict.why is not None else "it is wrong"
        print_sentence(f"broken at entry {verdict.broken_at}: {why}")
        print_sentence(f"{verdict.entries} entries before it were checked and fit")
        return
    last = f"{verdict.first} to {verdict.head.seq}" if verdict.entries else "none"
    print_sentence(f"unbroken: {verdict.entries} entries ({last})")
    compared = f"{verdict.anchors} heads noted elsewhere" if verdict.anchors else "no head noted elsewhere"
    print_sentence(f"compared with {compared}")
    if verdict.first > 1:
        print_sentence(f"entries before {verdict.first} were pruned when they were older than `audit.keep`")
    if lost:
        print_sentence(
            f"{lost} heads in the log are of entries that were lost when an older database was restored; "
            "`carebell audit --what hold.place --who service` says when"
        )
    print_sentence(f"head {verdict.head.seq}:{verdict.head.hash}")


# Exporting


def _chain(conn: Transaction) -> Generator[dict[str, Any], None, None]:
    """Each entry with the hash before it, and the text that its own hash covers."""
    broken_at = audit.verify(conn).broken_at
    if broken_at is not None:
        print(
            f"carebell: warning: the chain is broken at entry {broken_at}; everything is exported as it is",
            file=sys.stderr,
        )
    previous = audit.start_of(conn).hash
    with closing(audit.entries(conn)) as entries:
        for entry in entries:
            yield {**_row(entry), "previous": previous, "hashed": audit.hashed_text(previous, entry)}
            previous = entry.hash


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    with nullcontext(sys.stdout) if output is None else _new_file(output) as stream:
        yield stream


def _new_file(output: Path) -> TextIO:
    try:
        return output.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise Stop(f"{output}: exists already and is not overwritten; nothing was written") from None


def _json_writer(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    return lambda row: print_json(row, stream)


def _csv_writer(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(EXPORTED)
    return lambda row: writer.writerow([safe(row[name]) for name in EXPORTED])
