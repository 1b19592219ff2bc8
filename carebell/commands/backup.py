"""`db backup`: a copy of the database while the service runs; its time is recorded for `doctor`."""

from __future__ import annotations

from pathlib import Path

from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened_without_keys
from carebell.commands.output import print_result
from carebell.exits import UsageStop
from carebell.times import iso
from store import audit
from store import backup as database_backup
from store.audit import AuditAction


def backup(config: Path | None, file: Path | None, *, noted: bool, as_json: bool) -> None:
    """Copy the database to `file`, or only record that a backup was made."""
    if (file is None) is not noted:
        raise UsageStop("name a file for the copy, or say --noted after a backup by other means")
    with interruptible() as progress, opened_without_keys(config) as session:
        size: int | None = None
        if file is not None:
            if session.store.file is None:
                raise UsageStop(
                    "PostgreSQL is backed up with pg_dump; then record it with `carebell db backup --noted`"
                )
            size = database_backup.copy(session.store, file)
            progress.done = f"{file} is written, but not recorded"
        now = session.now()
        with session.store.write() as conn:
            database_backup.note(conn, now)
            after = "by other means" if file is None else str(file)
            audit.append(
                conn, session.author, AuditAction.DB_BACKUP, subject=session.store.backend, after=after, at=now
            )
    sentence = (
        "recorded: a backup was made now"
        if file is None
        else f"{file}: {size} bytes, mode 0600; keep the key file's backup apart from it"
    )
    row = {"file": None if file is None else str(file), "bytes": size, "time": iso(now)}
    print_result(row, sentence, as_json=as_json)
