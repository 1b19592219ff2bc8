"""What a restore, a copy or a slip can leave in the place of a file: one sentence and its exit code, or a hold."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.bootstrap import components, preflight
from carebell.exits import CONFIGURATION, ConfigurationStop
from scheduler.sms import HoldScope
from store import audit, holds, schema
from store.engine import open_store
from store.holds import Hold
from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.folder import CLOCK, load, make

PAGE = 4096


@pytest.fixture
async def lived(tmp_path: Path) -> Path:
    """A configuration whose service ran and stopped: the key has seen its database."""
    path = make(tmp_path)
    async with opened(path) as clinic:
        clinic.service.retention.round()
    return path


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy from; closed, so that the one file is all of it."""
    file = tmp_path_factory.mktemp("template") / "carebell.db"
    store = open_store(f"sqlite:///{file}")
    schema.upgrade(store)
    store.close()
    return file


def _database(path: Path) -> Path:
    return path.with_name("carebell.db")


def _gone(path: Path) -> None:
    _database(path).unlink()


def _empty(path: Path) -> None:
    _database(path).write_bytes(b"")


def _emptied(path: Path) -> None:
    with sqlite3.connect(_database(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name != "alembic_version":
                database.execute(f"DELETE FROM {name}")
    database.close()


@pytest.mark.parametrize("lose", [_gone, _empty, _emptied])
async def test_a_database_that_lost_what_the_key_has_seen_comes_up_on_hold(
    lived: Path, lose: Callable[[Path], None]
) -> None:
    lose(lived)
    async with opened(lived) as clinic:
        with clinic.service.store.read() as conn:
            [hold] = holds.held(conn)
        assert "old backup" in hold.reason
        [line] = clinic.events("hold_started")
        assert (line["reason"], line["source"]) == ("restored", "restore")
        clinic.service.retention.round()
    async with opened(lived) as clinic:  # the next start is no other restore, and the hold stays
        assert len(clinic.events("hold_started")) == 1
        with clinic.service.store.read() as conn:
            assert len(holds.held(conn)) == 1


async def test_a_backup_that_was_held_already_is_known_as_restored_too(lived: Path) -> None:
    _emptied(lived)
    with closing(open_store(f"sqlite:///{_database(lived)}")) as store, store.write() as conn:
        holds.hold(
            conn, Hold(scope=HoldScope.ALL, name="", reason="moving house", actor="cli:ann", since=datetime.now(UTC))
        )
    async with opened(lived) as clinic:
        with clinic.service.store.read() as conn:
            [restored] = audit.entries(conn, audit.AuditFilter(action="hold.place"))
            assert [hold.reason for hold in holds.held(conn)] == ["moving house"]
    assert (restored.actor, restored.after) == ("service", "the database was restored: restored")


async def test_a_first_start_and_an_ordinary_one_are_not_held(lived: Path) -> None:
    async with opened(lived) as clinic:
        assert clinic.events("hold_started") == []


def _no_version(path: Path) -> None:
    with sqlite3.connect(_database(path)) as database:
        database.execute("DELETE FROM alembic_version")
    database.close()


def _damaged_page(path: Path) -> None:
    with _database(path).open("r+b") as file:
        pages = _database(path).stat().st_size // PAGE
        for page in range(2, pages):
            file.seek(page * PAGE)
            file.write(b"\xa5" * PAGE)


def _cut_in_the_middle(path: Path) -> None:
    with _database(path).open("r+b") as file:
        file.truncate(_database(path).stat().st_size // 2)


def _text(path: Path) -> None:
    _database(path).write_text("not a database\n" * 1000)


def _pipe(name: str) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.with_name(name).unlink()
        os.mkfifo(path.with_name(name))

    return replace


def _folder(name: str) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.with_name(name).unlink()
        path.with_name(name).mkdir()

    return replace


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_no_version, "restored in part"),
        (_damaged_page, "restore it from a backup"),
        (_cut_in_the_middle, "restore it from a backup"),
        (_text, "not a SQLite database"),
        (_pipe("carebell.yaml"), "named pipe"),
        (_folder("carebell.yaml"), "is a directory"),
        (_pipe("carebell.key"), "not a file"),
        (_folder("carebell.key"), "not a file"),
        (_pipe("carebell.db"), "named pipe"),
        (_folder("carebell.db"), "is a directory"),
    ],
)
def test_damage_is_one_sentence_and_78(
    lived: Path, damage: Callable[[Path], None], words: str, carebell: Carebell
) -> None:
    for end in ("-wal", "-shm"):
        _database(lived).with_name(f"carebell.db{end}").unlink(missing_ok=True)
    damage(lived)
    threads = threading.active_count()
    ended = carebell("serve", "-c", lived, "--workers", 1)
    assert threading.active_count() == threads  # or the process would not end
    [sentence] = [line for line in ended.err.splitlines() if line.startswith("carebell:")]
    assert ended.code == CONFIGURATION
    assert words in sentence
    assert "Traceback" not in ended.err


def test_one_damaged_page_anywhere_is_found(migrated_file: Path, tmp_path: Path) -> None:
    """Every page by itself: none is met by a traceback, whichever table or index it belongs to."""
    path = make(tmp_path)
    loaded = load(path)
    pages = migrated_file.stat().st_size // PAGE
    assert pages > 10
    for page in range(pages):
        shutil.copy(migrated_file, _database(path))
        with _database(path).open("r+b") as file:
            file.seek(page * PAGE)
            file.write(b"\xa5" * PAGE)
        with pytest.raises(ConfigurationStop, match="restore it from a backup"):
            components.open_database(loaded, upgrade=True)


def test_a_command_makes_no_database(tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(ConfigurationStop, match="the database does not exist"):
        components.open_database(load(path), upgrade=False)
    assert not _database(path).exists()


@pytest.mark.parametrize(
    ("name", "mode", "warned"),
    [
        ("carebell.db", 0o644, True),
        ("carebell.db", 0o640, True),
        ("carebell.db", 0o600, False),
        ("carebell.db", 0o400, False),
        ("carebell.log", 0o644, True),
        ("carebell.log", 0o660, True),
        ("carebell.log", 0o640, False),
    ],
)
async def test_a_wider_mode_is_said(lived: Path, name: str, mode: int, warned: bool) -> None:
    lived.with_name(name).chmod(mode)
    warnings = [
        finding.problem.why
        for finding in preflight.findings(load(lived), CLOCK)
        if finding.is_warning and "other accounts" in finding.problem.why
    ]
    sentences = [why.split(";")[0] for why in warnings]
    assert sentences == ([f"{name} has mode {mode:04o}: other accounts can open it"] if warned else [])
