"""Random ids, taken from the system many at a time."""

from __future__ import annotations

import secrets
from typing import Final

_AT_ONCE: Final = 256
_DIGITS: Final = 32


class RandomIds:
    """Gives 32 random hex digits a call. Thread-safe.

    A message takes four, and each call of the system hands the interpreter to the other thread, which may keep it for
    milliseconds: asked one by one they were 7 % of the writer's time under load.
    """

    def __init__(self) -> None:
        self._ready: list[str] = []

    def __call__(self) -> str:
        try:
            return self._ready.pop()
        except IndexError:
            digits = secrets.token_hex(_AT_ONCE * _DIGITS // 2)
            fresh = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
            mine = fresh.pop()
            self._ready += fresh
            return mine
