"""A fair lock for the threads of one process: writers get SQLite's lock in the order in which they asked.

SQLite itself keeps no queue. A writer that finds the lock taken sleeps and tries again, longer each time, and whoever tries at the
right moment gets it. So a thread that wrote page after page kept messages waiting for seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from store.faults import StoreFault


class FairLock:
    """A lock that is passed to the next waiter. Another thread than the owner may release it; not reentrant.

    Args:
        patience: the longest wait in seconds; after it StoreFault STORE_LOCKED.
    """

    def __init__(self, patience: float) -> None:
        self._patience: Final = patience
        self._guard: Final = Lock()
        self._taken = False
        self._waiting: Final[deque[Lock]] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the lock, hold it, and pass it to the next waiter."""
        self._take()
        try:
            yield
        finally:
            self._hand_on()

    def _take(self) -> None:
        place = Lock()
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            place.acquire()
            self._waiting.append(place)
        if place.acquire(timeout=self._patience):
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
