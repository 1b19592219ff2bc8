"""Limit the work in one turn of the event loop: further callbacks wait for a later turn, first come, first served.

The HL7 listener shares the loop. Without this limit, hundreds of simultaneous requests would block the loop until all of
them are done, and a finished acknowledgement would have to wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

PER_TURN: Final = 8
"""Requests in one turn; each takes some 0.5 ms of the loop's time."""


class TurnBudget:
    """Runs callbacks, at most `per_turn` between two looks of the loop at its sockets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, per_turn: int = PER_TURN) -> None:
        self._loop = loop
        self._per_turn = per_turn
        self._used = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def run(self, callback: Callable[[], None]) -> bool:
        """Call it now if this turn has room, otherwise in a later turn. Returns whether it was called."""
        if not self._used:
            self._loop.call_soon(self._next)
        if self._waiting or self._used >= self._per_turn:
            self._waiting.append(callback)
            return False
        self._used += 1
        callback()
        return True

    def _next(self) -> None:
        self._used = min(self._per_turn, len(self._waiting))
        if self._used:
            self._loop.call_soon(self._next)
        for _ in range(self._used):
            self._waiting.popleft()()  # if one raises, the others run in the next turn
