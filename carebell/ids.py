"""Ids of appointments and texts: in the order of time, and beyond guessing; randomness is taken many ids at a time. And MSH-10.

Why in order: each table has its id in an index. At random places a message dirties a page of its own for every row, and with
100,000 appointments that was 86 KB written for a booking; in order it is 27 KB, and hardly more with a million.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 256
_RANDOM: Final = 20
"""Digits: 80 bits, as in a UUID of version 7."""


class RandomIds:
    """Gives 32 hex digits a call: 12 of the time, in milliseconds, and 20 random ones. Thread-safe.

    A message takes four, and each call of the system hands the interpreter to the other thread, which may keep it for
    milliseconds: asked one by one they were 7 % of the writer's time under load. The time is that of the draw, so that the ids
    of one draw lie together and the next draw's behind them; it is for the indexes alone, nobody reads it back.

    Args:
        nanoseconds: since 1970; a clock that is put back costs locality and nothing else.
    """

    def __init__(self, nanoseconds: Callable[[], int] = time.time_ns) -> None:
        self._nanoseconds = nanoseconds
        self._ready: list[str] = []

    def __call__(self) -> str:
        try:
            return self._ready.pop()
        except IndexError:
            drawn = f"{self._nanoseconds() // 1_000_000:012x}"
            digits = secrets.token_hex(_AT_ONCE * _RANDOM // 2)
            fresh = [drawn + digits[at : at + _RANDOM] for at in range(0, len(digits), _RANDOM)]
            mine = fresh.pop()
            self._ready += fresh
            return mine


def control_ids() -> Callable[[], str]:
    """MSH-10 of our answers: unique, 20 characters at most for old receivers."""
    start, count = secrets.token_hex(4).upper(), iter(range(1, 10**11))
    return lambda: f"{start}{next(count):011d}"
