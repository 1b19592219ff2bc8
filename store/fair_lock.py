"""One writer after the other, in the order in which they asked: the threads of one process before SQLite's lock.

SQLite itself keeps no queue. Who finds its lock taken sleeps and looks again, longer each time, and whoever asks at the right
moment is first: a thread that writes page after page kept messages waiting for seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from store.faults import StoreFault


class FairLock:
    """A lock that is handed on. May be let go by another thread than the one that took it; not reentrant.

    Args:
        patience: seconds that one waits at most, then StoreFault STORE_LOCKED.
    """

    def __init__(self, patience: float) -> None:
        self._patience: Final = patience
        self._guard: Final = Lock()
        self._taken = False
        self._waiting: Final[deque[Lock]] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, have it, hand it on."""
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
        # It was handed on in the very moment that patience ended.

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
