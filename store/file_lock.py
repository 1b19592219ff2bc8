"""Locks on single bytes of a file, between processes: whoever dies, however, has released them.

They are Linux's open file description locks (`man 2 fcntl`, F_OFD_SETLK). Unlike SQLite's own locks, which are POSIX record locks,
they are not lost when another part of the process opens and closes the file, and two threads of a process may share them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from store.faults import StoreFault

_NEXT: Final = 0
_TURN: Final = 1
_FIRST_MARK: Final = 1 << 32
_MARKS: Final = 1 << 61
_FLOCK: Final = struct.Struct("hhqqi4x")
"""struct flock with 64-bit offsets: type, whence, start, length, pid."""


def _request(kind: int, byte: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)


class LockFile:
    """The lock file beside an SQLite database: the writers' turn, and a mark for each process that others ask about.

    The turn is passed on fairly. A process takes `_NEXT`, waits with it for `_TURN`, and then releases `_NEXT`. So whoever has just
    released the turn cannot take it again before the one who waits. The kernel wakes those who wait, nobody asks again and again.

    Not for several threads at once: `store.fair_lock` orders the threads of a process.
    """

    def __init__(self, path: Path, owner: os.stat_result) -> None:
        """Open the file, and make it if it is absent.

        Args:
            owner: of the database file. A command that root runs must not leave a file that the service cannot open.

        StoreFault: STORE_UNREADABLE if it cannot be opened.
        """
        self._path = path
        try:
            self._descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
            )
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.close(self._descriptor)
                raise OSError(errno.EINVAL, "It is not a file")
            self.is_marked("")  # a file system without locks is refused here
        except OSError as fault:
            why = (fault.strerror or "no reason given").lower()
            raise StoreFault("STORE_UNREADABLE", f"The lock file {path} cannot be opened: {why}.") from None
        if os.geteuid() == 0 and os.fstat(self._descriptor).st_uid != owner.st_uid:
            with suppress(OSError):
                os.fchown(self._descriptor, owner.st_uid, owner.st_gid)
        self._state = threading.Condition()
        self._keeper: threading.Thread | None = None
        self._asked = False  # the keeper is to fetch the turn, or does
        self._wanted = False  # somebody waits for what it fetches
        self._granted = False
        self._closed = False

    # The writers' turn

    def take(self, seconds: float) -> None:
        """Wait for the turn. StoreFault STORE_LOCKED after so many seconds; 0: take it only if it is free."""
        with self._state:
            if not self._asked and self._take_at_once():
                return
            if not seconds:
                raise StoreFault("STORE_LOCKED")
            # A system call that waits cannot be given up, so another thread makes it. If the wait is over before it returns, that
            # thread passes the turn on when it gets it.
            self._wanted = self._asked = True
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._fetch, name="turn", daemon=True)
                self._keeper.start()
            self._state.notify_all()
            got = self._state.wait_for(lambda: self._granted, seconds)
            self._wanted = self._granted = False
        if not got:
            raise StoreFault("STORE_LOCKED")

    def release(self) -> None:
        self._set(fcntl.F_UNLCK, _TURN)

    def _take_at_once(self) -> bool:
        if not self._set(fcntl.F_WRLCK, _NEXT):
            return False
        try:
            return self._set(fcntl.F_WRLCK, _TURN)
        finally:
            self._set(fcntl.F_UNLCK, _NEXT)

    def _fetch(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._asked or self._closed)
                if self._closed:
                    return
            self._set(fcntl.F_WRLCK, _NEXT, wait=True)
            self._set(fcntl.F_WRLCK, _TURN, wait=True)
            self._set(fcntl.F_UNLCK, _NEXT)
            with self._state:
                self._asked = False
                if self._wanted:
                    self._granted = True
                    self._state.notify_all()
                else:
                    self.release()

    # Marks

    def mark(self, name: str) -> None:
        """Show that `name` lives, until this process ends or the file is closed."""
        self._set(fcntl.F_WRLCK, _byte_of(name))

    def is_marked(self, name: str) -> bool:
        """Whether another process, or another opening of the file, shows that `name` lives."""
        answer = fcntl.fcntl(self._descriptor, fcntl.F_OFD_GETLK, _request(fcntl.F_WRLCK, _byte_of(name)))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Release everything. To be called when nobody waits for the turn."""
        with self._state:
            self._closed = True
            self._state.notify_all()
        keeper = self._keeper
        if keeper is not None:
            keeper.join(0.1)  # it may still wait for a turn that nobody here wants; then it ends with the process
            if keeper.is_alive():
                return
        os.close(self._descriptor)

    def _set(self, kind: int, byte: int, *, wait: bool = False) -> bool:
        """Lock or unlock; False: another process has it."""
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, _request(kind, byte))
        except OSError as fault:
            if fault.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True


def _byte_of(name: str) -> int:
    digest = hashlib.sha256(name.encode()).digest()
    return _FIRST_MARK + int.from_bytes(digest[:8], "big") % _MARKS
