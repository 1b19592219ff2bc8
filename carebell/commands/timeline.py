"""A timeline for people: texts by day, sent or not sent, in lines that wrap at the terminal's width."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

_MARGIN: Final = 2
_CLOCK: Final = len("10:00  ")
_NARROWEST: Final = 30
_WIDEST: Final = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of the timeline and the notes below it.

    Attributes:
        at: UTC; None: the text never had a time.
        verdict: its outcome so far, one or two words.
        title: what the text is. notes: printed below it, one paragraph each.
    """

    at: datetime | None
    verdict: str
    title: str
    notes: tuple[str, ...] = ()


def print_timeline(entries: Iterable[TimelineEntry], zone: str, *, empty: str, width: int | None = None) -> None:
    """Print entries by time, with a heading for each day. Without entries, print the sentence `empty`.

    Args:
        width: None: the terminal's width, within limits.
    """
    columns = max(_NARROWEST, min(_WIDEST, width or shutil.get_terminal_size().columns))
    clock = ZoneInfo(zone)
    timed = sorted(entries, key=lambda entry: (entry.at is None, entry.at or 0))
    if not timed:
        print(empty)
        return
    print(f"Times in {zone}.")
    verdicts = max(len(entry.verdict) for entry in timed)
    day = ""
    for entry in timed:
        local = entry.at.astimezone(clock) if entry.at is not None else None
        heading = f"{local:%a %Y-%m-%d}" if local is not None else "Without a time"
        if heading != day:
            print(f"\n{heading}")
            day = heading
        hour = f"{local:%H:%M}" if local is not None else "  -  "
        _wrap(f"{hour}  {entry.verdict:<{verdicts}}  {entry.title}", columns, indent=_MARGIN, hang=_CLOCK)
        for note in entry.notes:
            _wrap(note, columns, indent=_MARGIN + _CLOCK)


def _wrap(text: str, columns: int, *, indent: int, hang: int = 0) -> None:
    lead = " " * indent
    print(textwrap.fill(text, columns, initial_indent=lead, subsequent_indent=lead + " " * hang))
