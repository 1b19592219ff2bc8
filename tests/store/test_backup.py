"""Copies of a database that is being written, and when the last one was made."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from store import backup
from store.engine import Store, open_store
from store.faults import StoreFault
from store.tables import meta
from tests.store.samples import NOW

sqlite = pytest.mark.parametrize("backend", ["sqlite"])


@sqlite
def test_a_copy_holds_what_is_in_the_write_ahead_log_and_nothing_that_is_not_committed(
    store: Store, tmp_path: Path
) -> None:
    target = tmp_path / "copy.db"
    with store.write() as conn:
        conn.execute(meta.insert().values(name="committed", value="x"))
    with store.write() as conn:
        conn.execute(meta.insert().values(name="under way", value="x"))
        size = backup.copy(store, target)
    assert (size, stat.S_IMODE(target.stat().st_mode)) == (target.stat().st_size, 0o600)
    copy = open_store(f"sqlite:///{target}")
    copy.require_intact()
    copy.close()
    with closing(sqlite3.connect(target)) as copied:
        names = {name for (name,) in copied.execute("SELECT name FROM meta")}
    assert "committed" in names
    assert "under way" not in names


@sqlite
def test_a_file_that_is_there_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(StoreFault, match="exists already and was not overwritten"):
        backup.copy(store, target)
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".copy")] == []


@sqlite
def test_a_copy_that_cannot_be_written(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="could not be written: no such file or directory"):
        backup.copy(store, tmp_path / "absent" / "copy.db")


def test_the_last_backup_is_remembered(store: Store) -> None:
    with store.write() as conn:
        assert backup.last(conn) is None
        backup.note(conn, NOW)
        backup.note(conn, NOW + timedelta(days=1))
        assert backup.last(conn) == NOW + timedelta(days=1)
