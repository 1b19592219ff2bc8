"""Ids of appointments and texts, ordered by time and impossible to guess; and MSH-10 of our answers and write-backs.

Why ordered: each table has an index of its ids. With random ids, every row of a message changes a different page of the index: with
100,000 appointments a booking wrote 86 KB. With ordered ids it writes 27 KB, and hardly more with a million appointments.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 256
_BASE_32: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_RANDOM: Final = 20
"""Random digits of an id: 80 bits, as in a UUID of version 7."""


class RandomIds:
    """Returns 32 hex digits for each call: 12 for the time in milliseconds, and 20 random digits. Thread-safe.

    Random bytes are drawn for many ids at once. A message needs four ids, and each system call gives the interpreter to the other
    thread, which may keep it for milliseconds: drawn one by one, ids took 7 % of the writer's time under load. The time is that of
    the draw, so the ids of one draw are adjacent and the next draw's ids follow them. Only the indexes use the time; nobody reads
    it from an id.

    Args:
        nanoseconds: since 1970. If the clock is set back, only locality is lost.
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
            new_id = fresh.pop()
            self._ready += fresh
            return new_id


def control_ids() -> Callable[[], str]:
    """A source of MSH-10 values for our answers: unique, at most 20 characters for old receivers."""
    start, count = secrets.token_hex(4).upper(), iter(range(1, 10**11))
    return lambda: f"{start}{next(count):011d}"


class ControlIds:
    """Returns MSH-10 for each message that goes to the EHR: 20 characters of 0-9 and A-V, the most that old receivers take; 10 for
    the time in milliseconds, and 50 random bits. In the order of time also as text. Thread-safe.

    Args:
        nanoseconds: since 1970.
        random: bits -> a random number.
    """

    def __init__(
        self, nanoseconds: Callable[[], int] = time.time_ns, random: Callable[[int], int] = secrets.randbits
    ) -> None:
        self._nanoseconds, self._random = nanoseconds, random

    def __call__(self) -> str:
        number = ((self._nanoseconds() // 1_000_000) << 50) | self._random(50)
        return "".join(_BASE_32[number >> shift & 31] for shift in range(95, -1, -5))
