"""Signals of `serve`, from its first line to its last: SIGHUP never ends it, SIGTERM and SIGINT end it in time.

The handlers are Python's own, not the event loop's: they stand before there is a loop, and they run where the loop hangs in a
system call. Whatever does not end by itself after the first SIGTERM, a thread that waits for a file server, say, is cut off with
the process. That loses nothing: what was not answered is sent again, and a text whose answer was not read is looked up.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from carebell.exits import OK, REFUSED

END_SECONDS: Final = 9.0
"""Draining takes 5 s and the HTTP port's open requests 3 s at most; the whole has 10 s."""


@dataclass(slots=True, kw_only=True)
class ServeSignals:
    """Attributes:
    seconds: from the first SIGTERM, or from `limit_end`, to the process's end.
    leave: ends the process at once; injected by tests.
    """

    seconds: float = END_SECONDS
    leave: Callable[[int], object] = os._exit
    _loop: asyncio.AbstractEventLoop | None = None
    _on_end: Callable[[str], None] = field(default=lambda name: None, repr=False)
    _on_reload: Callable[[], None] = field(default=lambda: None, repr=False)
    _limited: bool = False

    def install(self) -> None:
        """To be called first of all, on the main thread."""
        signal.signal(signal.SIGHUP, self._handle_reload)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_end)

    def attach(self, *, on_end: Callable[[str], None], on_reload: Callable[[], None]) -> None:
        """From now on the running loop acts. What was asked for before it is read anyway: the start reads what is there.

        Args:
            on_end: gets the signal's name.
        """
        self._loop, self._on_end, self._on_reload = asyncio.get_running_loop(), on_end, on_reload

    def limit_end(self) -> None:
        """The service ends: in `seconds` the process is gone."""
        if not self._limited:
            self._limited = True
            timer = threading.Timer(self.seconds, self._cut_off)
            timer.daemon = True
            timer.start()

    def _handle_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._call(self._on_reload)

    def _handle_end(self, number: int, _frame: FrameType | None) -> None:
        if self._loop is None:  # nothing has begun yet
            sys.exit(OK)
        self.limit_end()
        self._call(lambda: self._on_end(signal.Signals(number).name))

    def _call(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: the process ends already
                self._loop.call_soon_threadsafe(function)

    def _cut_off(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(
                f"carebell: not everything had ended after {self.seconds:g} s; the process ends all the same\n"
            )
            sys.stderr.flush()
        self.leave(REFUSED)
