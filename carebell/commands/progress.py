"""Show on a terminal how far a command is: on standard error only, and gone when it is done, so that no output has it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error if it is a terminal. Yields the function that counts so many steps.

    Args:
        what: the words before the bar, as `Reading`.
        total: None: unknown; then the bar only moves.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # what is printed meanwhile belongs where it was printed
        redirect_stderr=False,
    )
    with shown:
        task = shown.add_task(what, total=total)
        yield lambda steps: shown.advance(task, steps)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Words with a moving sign on standard error if it is a terminal, for work whose end cannot be told."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def with_progress(what: str, items: Iterable[Item], total: int | None) -> Iterator[Item]:
    """The items, with a bar that counts them."""
    with progress(what, total) as step:
        for item in items:
            yield item
            step(1)
