"""A visit for a patient's calendar (RFC 5545): when it is, and nothing that says what it is about. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from portal.join.desk import JoinView

_HOUR: Final = timedelta(hours=1)


def calendar_file(view: JoinView, *, now: datetime) -> str | None:
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
        "PRODID:-//Carebell//Visit//EN",
        "BEGIN:VEVENT",
        f"UID:{same}@carebell.invalid",
        f"DTSTAMP:{_utc(now)}",
        *when,
        "SUMMARY:Your visit",
        "CLASS:PRIVATE",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"
