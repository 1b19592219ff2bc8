"""Write SQLite's log back beside the commits, not within one of them.

By itself SQLite writes the log back within the COMMIT that makes it 1,000 pages long: every message of that group waits for 4 MB
and two fsyncs, and all writers behind it. And a page that many commits change is written back each time. So here a thread of its
own does it, when the log is longer (`PAGES`): first nearly all of it while others go on writing, then, in a writer's turn, the
little that came meanwhile, so that the next commit can begin the log anew. If nobody does that, SQLite does, at `SQLITE_ITSELF`
pages.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from bisect import bisect_left
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from store.fair_lock import FairLock
from store.faults import StoreFault, classify, is_fatal

PAGES: Final = 8_000
"""32 MB."""
SQLITE_ITSELF: Final = 4 * PAGES
_LOOKS_AFTER: Final = 8
"""Commits. Most change some dozens of pages, one of a large group a thousand."""
_HEAD: Final = 32
_FRAME_HEAD: Final = 24


class Checkpoints:
    """Of one database, by one process. The thread is started when it is needed first.

    Args:
        turns: the writers' order.
        pages: how long the log becomes.
        connect: opens the database.
    """

    def __init__(
        self,
        file: Path,
        turns: FairLock,
        *,
        pages: int = PAGES,
        connect: Callable[[Path], sqlite3.Connection] | None = None,
    ) -> None:
        self._file: Final = file
        self._log: Final = file.with_name(f"{file.name}-wal")
        self._turns: Final = turns
        self._pages: Final = pages
        self._connect: Final = connect or _connect
        self._commits = 0
        self._salts = b""
        self._next = pages
        self._wanted: Final = threading.Event()
        self._closed = False
        self._fatal: str | None = None
        self._thread: threading.Thread | None = None

    def committing(self) -> None:
        """To be called with each commit, by whoever has the writers' turn.

        StoreFault: the disk failed while the log was written back. No other fault ends the commit.
        """
        if self._fatal is not None:
            raise StoreFault(self._fatal)
        self._commits += 1
        if self._commits % _LOOKS_AFTER == 0:
            with suppress(OSError, RuntimeError):  # of reading the log, and of a system that has no more threads
                if self._is_long():
                    self._wake()

    def close(self) -> None:
        """End the thread after what it does now. Nobody writes any more."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            thread.start()
            self._thread = thread
        self._wanted.set()

    def _is_long(self) -> bool:
        """Whether the log is to be written back now; once for each length.

        Somebody who reads an old view keeps the log from being begun anew. Then the next try is worth it after as much again.
        """
        salts, pages = _look(self._log)
        if salts != self._salts:  # it was begun anew
            self._next = self._pages
        self._salts = salts
        if pages < self._next:
            return False
        self._next = pages + self._pages
        return True

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closed:
                return
            # Whatever is not written back is still in the log, and a longer log is another try.
            try:
                self._write_back()
            except (sqlite3.Error, StoreFault, OSError, RuntimeError) as error:
                fault = classify(error)
                if fault is not None and is_fatal(fault):
                    self._fatal = fault.code

    def _write_back(self) -> None:
        with closing(self._connect(self._file)) as conn:
            conn.execute("PRAGMA synchronous=FULL")  # whatever SQLite was built with
            _checkpoint(conn)
            with self._turns.turn():
                _checkpoint(conn)


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None)


def _checkpoint(conn: sqlite3.Connection) -> None:
    conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def log_pages(log: Path) -> int:
    """How many pages the log has since it was begun anew. Its file is longer: SQLite writes over what is in it."""
    return _look(log)[1]


def _look(log: Path) -> tuple[bytes, int]:
    """The log's salts, which are others each time it is begun anew, and its pages.

    By https://www.sqlite.org/walformat.html: the frames of the present log have the two salts of the file's head, those behind
    them have older ones.
    """
    try:
        file = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b"", 0
    try:
        head = os.pread(file, _HEAD, 0)
        if len(head) < _HEAD:
            return b"", 0
        [page_size] = struct.unpack(">I", head[8:12])
        frame, salts = _FRAME_HEAD + page_size, head[16:24]
        frames = range((os.fstat(file).st_size - _HEAD) // frame)
        pages = bisect_left(frames, True, key=lambda at: os.pread(file, 8, _HEAD + at * frame + 8) != salts)
        return salts, pages
    finally:
        os.close(file)
