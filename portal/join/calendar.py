"""A visit for a patient's calendar (RFC 5545): when it is, and nothing that says what it is about. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from portal.join.desk import JoinView
from portal.join.words import PageWords

_HOUR: Final = timedelta(hours=1)
_LONGEST_LINE: Final = 75


def calendar_file(view: JoinView, words: PageWords, *, now: datetime) -> str | None:
    """The file; None: the time is not known, or there is no visit to come to. The link is not in it: calendars are shared."""
    if view.start is None or view.stage not in ("early", "lobby", "waiting", "admitted"):
        return None
    if view.date_only:
        day = view.start.astimezone(view.zone).date()
        when = [f"DTSTART;VALUE=DATE:{day:%Y%m%d}", f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}"]
    else:
        when = [f"DTSTART:{_utc(view.start)}", f"DTEND:{_utc(view.ends or view.start + _HOUR)}"]
    # Of the time alone: the same file twice is one entry, and nobody finds a visit by it.
    same = hashlib.sha256(f"{view.start.isoformat()} {view.organization}".encode()).hexdigest()[:24]
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//Carebell//Visit//{words.language.upper()}",
        "BEGIN:VEVENT",
        f"UID:{same}@carebell.invalid",
        f"DTSTAMP:{_utc(now)}",
        *when,
        f"SUMMARY;LANGUAGE={words.language}:{_escaped(words.say('visit.calendar_entry'))}",
        "CLASS:PRIVATE",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(_folded(line) for line in lines)


def _escaped(text: str) -> str:
    """A value of type TEXT (3.3.11)."""
    for mark in ("\\", ";", ","):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _folded(line: str) -> str:
    """No line is longer than 75 octets (3.1)."""
    folded, size = "", 0
    for character in line:
        octets = len(character.encode())
        if size + octets > _LONGEST_LINE:
            folded, size = f"{folded}\r\n ", 1
        folded, size = folded + character, size + octets
    return folded


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"
