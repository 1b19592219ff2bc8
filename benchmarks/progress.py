"""What is under way, which theme of how many, and about how long is left; on a terminal in place, else a line each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from benchmarks.themes import Theme


class RunProgress:
    """Of a run's themes.

    Args:
        show: takes the line.
        minutes: of a theme; None where nothing is known of this run.
        seconds: a monotonic counter.
    """

    def __init__(
        self,
        themes: Sequence[Theme],
        show: Callable[[str], None],
        *,
        minutes: Callable[[Theme], float] | None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._themes = themes
        self._show = show
        self._minutes = minutes
        self._seconds = seconds
        self._at = 0
        self._begun = seconds()

    def begin(self, theme: Theme) -> None:
        """The next one."""
        self._at = self._themes.index(theme)
        self._begun = self._seconds()

    def say(self, what: str) -> None:
        """Something of the present theme is under way."""
        theme = self._themes[self._at]
        left = f", {self._left(self._minutes)}" if self._minutes else ""
        self._show(f"[{self._at + 1}/{len(self._themes)} {theme.name}{left}] {what}")

    def _left(self, minutes_of: Callable[[Theme], float]) -> str:
        spent = (self._seconds() - self._begun) / 60
        present = max(0.0, minutes_of(self._themes[self._at]) - spent)
        minutes = present + sum(minutes_of(theme) for theme in self._themes[self._at + 1 :])
        return f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"


@contextmanager
def shown(themes: Sequence[Theme], *, minutes: Callable[[Theme], float] | None) -> Iterator[RunProgress]:
    """On standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield RunProgress(themes, lambda what: console.print(what, markup=False, soft_wrap=True), minutes=minutes)
        return
    with console.status("") as status:
        yield RunProgress(themes, lambda what: status.update(escape(what)), minutes=minutes)
