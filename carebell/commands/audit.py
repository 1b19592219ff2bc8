"""`audit`: the audit log for auditors: read, checked, exported.

Works with a broken carebell.yaml and without the key file: only the database is needed, and for `verify` the log's lines too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from carebell.commands.open_store import opened_without_keys
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.exits import OK, REFUSED, Stop, UsageStop
from carebell.inquiries.audit_log import chain_rows, checked, csv_lines, entry_row
from config.values import read_duration
from journal.events.service import OperatorActed
from journal.lines import plain
from store import audit
from store.audit import AuditAction, AuditFilter, Head
from store.engine import Transaction


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
                    print_json(entry_row(entry))
                return
            rows = [entry_row(entry) for entry in entries]
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
        check = checked(database, given, _warn_unreadable)
    if as_json:
        verdict = check.verdict
        print_json(
            {"intact": check.is_intact, "entries": verdict.entries, "first": verdict.first,
             "broken_at": verdict.broken_at, "why": verdict.why, "head": f"{verdict.head.seq}:{verdict.head.hash}",
             "compared": verdict.anchors, "before_restore": check.lost}
        )  # fmt: skip
    else:
        for sentence in check.sentences:
            print_sentence(sentence)
    return OK if check.is_intact else REFUSED


def export(config: Path | None, *, as_csv: bool, output: Path | None, as_json: bool) -> None:
    """Write the whole chain. An existing file is never overwritten."""
    if as_csv and as_json:
        raise UsageStop("--csv and --json cannot be used together")
    with opened_without_keys(config) as database:
        with _writing(output) as stream, database.store.read() as conn:
            _warn_of_break(conn)
            count = 0

            def counted(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
                nonlocal count
                for row in rows:
                    count += 1
                    yield row

            with closing(chain_rows(conn)) as rows:
                if as_csv:
                    stream.writelines(csv_lines(counted(rows)))
                else:
                    for row in counted(rows):
                        print_json(row, stream)
            stream.flush()
        subject = "standard output" if output is None else str(output)
        database.shown(AuditAction.AUDIT_EXPORT, subject=subject, after=f"{count} entries")
        database.log(OperatorActed(action="audit export", actor=database.actor, source="command"))
    if output is not None:
        print(f"{output}: {count} entries", file=sys.stderr)


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


def _warn_unreadable(file: Path, why: str) -> None:
    print(plain(f"carebell: warning: {file}: {why}; its lines are not compared"), file=sys.stderr)


def _head(written: str) -> Head:
    seq, _, digest = written.partition(":")
    if not seq.isdecimal() or len(digest) != len(audit.BEGINNING) or not set(digest) <= set("0123456789abcdef"):
        raise UsageStop(f"--head: {written!r} is not SEQ:HASH, as `carebell audit verify` prints it")
    return Head(seq=int(seq), hash=digest)


def _warn_of_break(conn: Transaction) -> None:
    broken_at = audit.verify(conn).broken_at
    if broken_at is not None:
        print(
            f"carebell: warning: the chain is broken at entry {broken_at}; everything is exported as it is",
            file=sys.stderr,
        )


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    with nullcontext(sys.stdout) if output is None else _new_file(output) as stream:
        yield stream


def _new_file(output: Path) -> TextIO:
    try:
        return output.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise Stop(f"{output}: exists already and is not overwritten; nothing was written") from None
