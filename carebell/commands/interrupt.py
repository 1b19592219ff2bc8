"""Handle Ctrl-C in a command that changes something: it ends with 130 and a sentence that says what was done until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from carebell.exits import InterruptedStop

NOTHING: Final = "nothing was changed"


@dataclass(slots=True)
class Progress:
    """Attributes:
    done: what was done so far, as a phrase that follows "interrupted: ".
    """

    done: str = NOTHING


@contextmanager
def interruptible() -> Iterator[Progress]:
    """Turn Ctrl-C into InterruptedStop. While it works, the command keeps `done` up to date."""
    progress = Progress()
    try:
        yield progress
    except KeyboardInterrupt:
        raise InterruptedStop(f"interrupted: {progress.done}") from None
