"""A timeline for people: texts by day, sent or not sent, in lines that wrap at the terminal's width."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.sms import Reason, SmsKind

TITLES: Final[Mapping[str, str]] = {
    SmsKind.BOOKED: "booking",
    SmsKind.UPDATED: "change",
    SmsKind.CANCELED: "cancellation",
    SmsKind.REMINDER: "reminder",
}
WHY: Final[Mapping[str, str]] = {
    Reason.BOOKED: "the visit was booked",
    Reason.UPDATED: "something the patient sees has changed",
    Reason.CANCELED: "the visit was cancelled",
    Reason.REMINDER: "a reminder of the configuration",
    Reason.OPTED_OUT: "the patient asked for no more texts",
    Reason.LATE_BOOKING: "its time had passed when the visit was booked or moved",
    Reason.QUIET_HOURS: "it was due in quiet hours and could not be moved out of them",
    Reason.TOO_CLOSE: "too close to a confirmation",
    Reason.NO_PHONE: "no number was given",
    Reason.INVALID_PHONE: "the number is not usable",
    Reason.LANDLINE: "only a landline is known",
    Reason.COUNTRY_NOT_ALLOWED: "the number's country is not allowed",
    Reason.NOT_ALLOW_LISTED: "not on the test environment's allow list",
    Reason.NOT_APPROVED: "sending is not approved",
    Reason.NO_CONSENT: "there is no consent",
    Reason.NO_VISIBLE_CHANGE: "nothing that the patient sees has changed",
    Reason.SUPERSEDED: "a newer text replaces it",
    Reason.CAP: "the number has received its allowed texts of the day or week",
    Reason.PAST: "too late: the visit has begun",
    Reason.EXPIRED: "it could not be sent in time",
    Reason.PURGED: "the number was deleted before",
    Reason.DECEASED: "the patient has died",
    Reason.SWITCHED_OFF: "switched off in the configuration",
    Reason.NO_TEXT: "no template gives a text",
    Reason.NO_TIME: "the visit has a date but no time",
    Reason.NOT_BOOKED: "the visit is not booked, or no longer booked: waitlisted, pending, held or blocked",
}
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


def title_of(kind: str, rule: str) -> str:
    """`reminder 24h`, `booking`."""
    return f"{TITLES[kind]} {rule}" if kind == SmsKind.REMINDER else TITLES[kind]


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
