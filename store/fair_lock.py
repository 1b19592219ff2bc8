"""A fair lock for writers: they get SQLite's lock in the order in which they asked, threads of this process and other processes.

SQLite itself keeps no queue. A writer that finds the lock taken sleeps and tries again, longer each time, and whoever tries at the
right moment gets it. So a thread that wrote page after page kept messages waiting for seconds, and two processes on one file
gained nothing over one. The threads of a process queue here; the first of them queues with the other processes at
`store.file_lock`. Programs that are not Carebell's still meet Carebell at SQLite's own lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from store.faults import StoreFault
from store.file_lock import LockFile


class FairLock:
    """A lock that is passed to the next waiter. Another thread than the owner may release it; not reentrant.

    Args:
        patience: the longest wait in seconds; after it StoreFault STORE_LOCKED.
        file: shared with other processes; None: there are none.
    """

    def __init__(self, patience: float, file: LockFile | None = None) -> None:
        self._patience: Final = patience
        self._file: Final = file
        self._guard: Final = Lock()
        self._taken = False
        self._waiting: Final[deque[Lock]] = deque()

    @contextmanager
    def turn(self, *, at_once: bool = False) -> Iterator[None]:
        """Wait for the lock, hold it, and pass it to the next waiter.

        Args:
            at_once: do not wait; StoreFault STORE_LOCKED if the lock is not free.
        """
        deadline = time.monotonic() + self._patience
        self._take(0.0 if at_once else self._patience)
        try:
            if self._file is not None:
                self._file.take(0.0 if at_once else max(deadline - time.monotonic(), 0.0))
            try:
                yield
            finally:
                if self._file is not None:
                    self._file.release()
        finally:
            self._hand_on()

    def _take(self, seconds: float) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            if not seconds:
                raise StoreFault("STORE_LOCKED")
            place = Lock()
            place.acquire()
            self._waiting.append(place)
        if place.acquire(timeout=seconds):
            return
        with self._guard:
            if place in self._waiting:
                self._waiting.remove(place)
                raise StoreFault("STORE_LOCKED")
        # The lock was passed to this thread at the moment when its wait ended.

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
