"""Quiet hours `[from, to)` on the clinic's clock; pure.

21:00 is quiet, 20:59 is the last permitted minute, 08:00 is permitted. All instants are UTC whole minutes. If the zone's
offset changes during the quiet hours, each minute is checked, so that a gap or an overlap counts as the wall clock shows it.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.model import QuietHours

_MINUTE = timedelta(minutes=1)


def is_quiet(instant: datetime, hours: QuietHours, zone: ZoneInfo) -> bool:
    """Whether this instant is in quiet hours on the clinic's clock."""
    return _covers(instant.astimezone(zone).time(), hours)


def next_opening(instant: datetime, hours: QuietHours, zone: ZoneInfo) -> datetime:
    """The first permitted minute after a quiet instant."""
    elapsed = _minutes(hours.ends) - _minutes(instant.astimezone(zone).time())
    guess = instant + (elapsed % 1440) * _MINUTE
    if _same_offset(instant, guess, zone):
        return guess
    return _walk(instant, hours, zone, _MINUTE)


def last_permitted(instant: datetime, hours: QuietHours, zone: ZoneInfo) -> datetime:
    """The last permitted minute before a quiet instant."""
    elapsed = _minutes(instant.astimezone(zone).time()) - _minutes(hours.begins)
    guess = instant - (elapsed % 1440 + 1) * _MINUTE
    if _same_offset(instant, guess, zone):
        return guess
    return _walk(instant, hours, zone, -_MINUTE)


def _covers(clock: time, hours: QuietHours) -> bool:
    minute, begins, ends = _minutes(clock), _minutes(hours.begins), _minutes(hours.ends)
    if begins <= ends:
        return begins <= minute < ends
    return minute >= begins or minute < ends


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def _same_offset(first: datetime, other: datetime, zone: ZoneInfo) -> bool:
    return first.astimezone(zone).utcoffset() == other.astimezone(zone).utcoffset()


def _walk(instant: datetime, hours: QuietHours, zone: ZoneInfo, step: timedelta) -> datetime:
    while is_quiet(instant, hours, zone):
        instant += step
    return instant
