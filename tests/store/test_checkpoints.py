"""SQLite's log is written back beside the commits: it stays short, and nothing of it is lost."""

import errno
import os
import queue
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import event

from store import checkpoints
from store.checkpoints import SQLITE_ITSELF, Checkpoints, log_pages
from store.engine import Store, open_store
from store.faults import StoreFault, is_fatal
from store.forgetting import settle_files


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    with opened.write() as conn:
        conn.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    yield opened
    opened.close()


def log_of(store: Store) -> Path:
    return store.files[1]


def add(store: Store, pages: int) -> None:
    with store.write() as conn:
        conn.exec_driver_sql("INSERT INTO t (body) VALUES (zeroblob(?))", (4096 * pages,))


def checkpoint(store: Store) -> tuple[int, int, int]:
    """(busy, pages of the log, pages written back), by SQLite."""
    assert store.file is not None
    with closing(sqlite3.connect(store.file)) as conn:
        busy, pages, done = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return busy, pages, done


def test_the_length_of_the_log_is_what_sqlite_says(store: Store) -> None:
    for _ in range(5):
        add(store, 10)
        read = log_pages(log_of(store))
        assert (read, read) == checkpoint(store)[1:]


def test_a_log_that_was_begun_anew_is_as_long_as_what_is_new_in_it(store: Store) -> None:
    add(store, 100)
    checkpoint(store)
    size = log_of(store).stat().st_size
    add(store, 1)
    assert 1 <= log_pages(log_of(store)) < 10
    assert log_of(store).stat().st_size == size


def test_no_log_is_no_page(tmp_path: Path) -> None:
    assert log_pages(tmp_path / "none-wal") == 0
    (tmp_path / "short-wal").write_bytes(b"\x37")
    assert log_pages(tmp_path / "short-wal") == 0


def test_sqlite_itself_writes_a_log_back_only_when_it_is_far_longer(store: Store) -> None:
    assert SQLITE_ITSELF > checkpoints.PAGES
    with store.write() as conn:
        assert conn.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one() == SQLITE_ITSELF


def with_short_log(store: Store, connect: Callable[[Path], sqlite3.Connection] | None = None) -> Store:
    """Written back from 50 pages on."""
    assert store.file is not None
    assert store.turns is not None
    object.__setattr__(store, "checkpoints", Checkpoints(store.file, store.turns, pages=50, connect=connect))
    return store


def test_many_commits_begin_the_log_anew_again_and_again(store: Store) -> None:
    short = with_short_log(store)
    longest = 0
    for _ in range(400):
        add(short, 2)
        longest = max(longest, log_pages(log_of(short)))
    assert short.checkpoints is not None
    short.checkpoints.close()
    add(short, 2)
    assert log_pages(log_of(short)) < longest
    with short.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 401


def test_while_somebody_reads_an_old_view_nothing_is_lost_and_writers_go_on(store: Store) -> None:
    short = with_short_log(store)
    with short.read() as old:
        before = old.exec_driver_sql("SELECT count(*) FROM t").scalar_one()
        for _ in range(100):
            add(short, 2)
        assert old.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == before
    with short.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == before + 100


def test_a_store_that_is_closed_leaves_no_thread_and_no_log(tmp_path: Path) -> None:
    opened = with_short_log(open_store(f"sqlite:///{tmp_path / 'b.db'}"))
    with opened.write() as conn:
        conn.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    for _ in range(100):
        add(opened, 2)
    opened.close()
    assert opened.checkpoints is not None
    assert opened.checkpoints._thread is not None
    assert not opened.checkpoints._thread.is_alive()
    assert not log_of(opened).exists()


def test_the_log_is_written_back_before_the_lock_is_taken_that_truncating_needs(store: Store) -> None:
    add(store, 100)
    in_the_file: list[int] = []

    def trace(statement: str) -> None:
        if "TRUNCATE" in statement:
            with closing(
                sqlite3.connect(f"file:{store.file}?immutable=1", uri=True)
            ) as conn:  # it does not read the log
                in_the_file.extend(row[0] for row in conn.execute("SELECT count(*) FROM t"))

    @event.listens_for(store.engine, "checkout")
    def listen(conn: sqlite3.Connection, *_: object) -> None:
        conn.set_trace_callback(trace)

    assert settle_files(store)
    assert in_the_file == [1]
    assert log_of(store).stat().st_size == 0


_HOLD: Final = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 121)  # of https://www.sqlite.org/walformat.html: WAL_CKPT_LOCK
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def written_back_by_another_process(store: Store) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(store.files[2])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_truncating_waits_until_the_log_has_been_written_back_by_somebody_else(store: Store) -> None:
    add(store, 100)
    with written_back_by_another_process(store) as process:

        def wait(seconds: float) -> None:
            process.communicate()

        assert settle_files(store, wait=wait)
    assert log_of(store).stat().st_size == 0


def test_truncating_does_not_wait_longer_than_five_seconds(store: Store) -> None:
    add(store, 100)
    waits: list[float] = []
    with written_back_by_another_process(store):
        assert not settle_files(store, wait=waits.append)
    assert len(waits) > 1
    assert sum(waits) == 5


def count(store: Store) -> int:
    with store.read() as conn:
        return int(conn.exec_driver_sql("SELECT count(*) FROM t").scalar_one())


def test_a_system_without_more_threads_prevents_no_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    short = with_short_log(store)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    for _ in range(80):
        add(short, 2)
    assert count(short) == 80
    assert short.checkpoints is not None
    short.checkpoints.close()


def test_a_log_that_cannot_be_read_prevents_no_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def pread(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", pread)
    for _ in range(80):
        add(store, 2)
    assert count(store) == 80


@pytest.mark.parametrize(
    "fault", [sqlite3.OperationalError("unable to open"), OSError("too many"), RuntimeError("ends")]
)
def test_after_a_fault_a_longer_log_is_another_try(store: Store, fault: Exception) -> None:
    tries: queue.Queue[Path] = queue.Queue()

    def connect(file: Path) -> sqlite3.Connection:
        tries.put(file)
        raise fault

    short = with_short_log(store, connect)
    for _ in range(2):
        for _ in range(40):
            add(short, 2)
        assert tries.get(timeout=10) == short.file


def test_a_thread_that_has_ended_is_started_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: queue.Queue[Path] = queue.Queue()
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def connect(file: Path) -> sqlite3.Connection:
        tries.put(file)
        raise MemoryError

    short = with_short_log(store, connect)
    for _ in range(2):
        for _ in range(40):
            add(short, 2)
        assert tries.get(timeout=10) == short.file
        assert short.checkpoints is not None
        assert short.checkpoints._thread is not None
        short.checkpoints._thread.join()


def test_what_is_written_back_is_synced_whatever_sqlite_was_built_with(store: Store) -> None:
    settings: queue.Queue[int] = queue.Queue()

    class Asked(sqlite3.Connection):
        def close(self) -> None:
            settings.put(self.execute("PRAGMA synchronous").fetchone()[0])
            super().close()

    def connect(file: Path) -> sqlite3.Connection:
        conn = sqlite3.connect(file, isolation_level=None, factory=Asked)
        conn.execute("PRAGMA synchronous=OFF")
        return conn

    short = with_short_log(store, connect)
    for _ in range(40):
        add(short, 2)
    assert settings.get(timeout=10) == 2  # FULL, by https://www.sqlite.org/pragma.html#pragma_synchronous


def test_a_log_that_was_begun_anew_and_has_grown_longer_than_before_is_written_back(store: Store) -> None:
    tries: queue.Queue[Path] = queue.Queue()

    def connect(file: Path) -> sqlite3.Connection:
        tries.put(file)
        raise sqlite3.OperationalError

    assert store.file is not None
    assert store.turns is not None
    watching = Checkpoints(store.file, store.turns, pages=50, connect=connect)
    add(store, 60)
    for _ in range(8):
        watching.committing()
    assert tries.get(timeout=10) == store.file
    seen = log_pages(log_of(store))
    checkpoint(store)
    add(store, 70)
    assert seen < log_pages(log_of(store)) < seen + 50
    for _ in range(8):
        watching.committing()
    assert tries.get(timeout=10) == store.file
    watching.close()


def after_a_fault(store: Store, code: int) -> Store:
    """Writing the log back has failed with this result code of SQLite's."""
    tried, may_fail = threading.Event(), threading.Event()

    def connect(_: Path) -> sqlite3.Connection:
        tried.set()
        may_fail.wait(timeout=10)
        error = sqlite3.OperationalError("the driver's words")
        error.sqlite_errorcode = code
        raise error

    short = with_short_log(store, connect)
    for _ in range(40):
        add(short, 2)
    assert tried.wait(timeout=10)
    may_fail.set()
    assert short.checkpoints is not None
    short.checkpoints.close()  # it waits for the thread
    return short


def test_a_disk_that_fails_while_the_log_is_written_back_ends_the_next_commits(store: Store) -> None:
    failed = after_a_fault(store, sqlite3.SQLITE_IOERR_FSYNC)
    before = count(failed)
    for _ in range(2):
        with pytest.raises(StoreFault) as caught:
            add(failed, 1)
        assert is_fatal(caught.value)
    assert count(failed) == before


def test_a_full_disk_while_the_log_is_written_back_ends_no_commit(store: Store) -> None:
    full = after_a_fault(store, sqlite3.SQLITE_FULL)
    before = count(full)
    add(full, 1)
    assert count(full) == before + 1
