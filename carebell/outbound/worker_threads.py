"""Threads for calls that may wait: only as many work as are needed to keep up.

A gateway that answers at once needs one thread; each further one would only take the interpreter from it (a change of threads
costs more than the rest of a post). A gateway that takes its time needs one for each request. So one thread begins, and whoever
waits for results, or has waited long for a call, says so (`widen`): twice as many work then. When calls prove short, one is enough
again (`narrow`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Final


class WorkerThreads:
    """Threads that run what they are given, in its order. They are started when they are needed, and kept. If the system has no
    thread left, those that there are do the work.

    The methods are for one thread; a job may call `widen`.

    Args:
        count: the most that run at once.
    """

    def __init__(self, count: int) -> None:
        self.count: Final = count
        self._width = 1  # how many work together now
        self._jobs: Final[deque[Callable[[], None]]] = deque()
        self._calls: Final[SimpleQueue[bool]] = SimpleQueue()  # each has one thread work off the jobs; False: end
        self._threads: Final[list[Thread]] = []
        self._lock: Final = Lock()  # of the width, the calls and the list of threads

    @property
    def waiting(self) -> bool:
        """Whether a job waits for a thread."""
        return bool(self._jobs)

    def start_first(self) -> None:
        """Start a thread if there is none.

        Raises:
            RuntimeError: the system has no thread left.
        """
        with self._lock:
            if not self._threads:
                self._start()

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Queue jobs, each of which handles its own failures.

        Raises:
            RuntimeError: there is no thread, and none can be started. Nothing is queued.
        """
        self.start_first()
        with self._lock:
            self._jobs.extend(jobs)
            self._call(min(self._width, len(jobs)))

    def widen(self) -> None:
        """Let twice as many work: those that do are waiting for something."""
        with self._lock:
            if self._width < self.count:
                more = min(self._width, self.count - self._width)
                self._width += more
                waiting = len(self._jobs)
                self._call(waiting if self._width == self.count else min(more, waiting))

    def narrow(self) -> None:
        """Let one work from the next jobs on: none waits for long."""
        with self._lock:
            self._width = 1

    def end(self) -> None:
        """Wait until what was queued is over, and end the threads."""
        with self._lock:
            self._call(min(self.count, len(self._jobs)))
            self._width = self.count  # so that a job that widens now starts none
            for _ in self._threads:
                self._calls.put(False)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _call(self, number: int) -> None:
        with suppress(RuntimeError):  # no more can be started: there is at least one
            while len(self._threads) < min(self._width, self.count) and number:
                self._start()
        for _ in range(number):
            self._calls.put(True)

    def _start(self) -> None:
        thread = Thread(target=self._work, name=f"worker-{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while self._calls.get():
            while (job := self._next()) is not None:
                job()

    def _next(self) -> Callable[[], None] | None:
        with suppress(IndexError):  # another thread took the last one
            return self._jobs.popleft()
        return None
