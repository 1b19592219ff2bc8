"""How much of a span lies within the hours in which a clinic's messages are expected; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from config.model import WEEKDAYS, ExpectedHours

_DAY: Final = timedelta(days=1)


def expected_time(since: datetime, until: datetime, hours: ExpectedHours | None, zone: ZoneInfo) -> timedelta:
    """The elapsed time of `[since, until)` that lies within `hours` on the clinic's clock; None: all of it. Zero if it is empty.

    Across a change of the clocks the elapsed time counts: hours from 01:00 to 04:00 have two hours on the day without 02:00.
    """
    if until <= since:
        return timedelta()
    if hours is None:
        return until - since
    total = timedelta()
    day = since.astimezone(zone).date()
    last = until.astimezone(zone).date()
    while day <= last:
        if WEEKDAYS[day.weekday()] in hours.days:
            opens = datetime.combine(day, hours.begins, zone).astimezone(UTC)
            closes = datetime.combine(day, hours.ends, zone).astimezone(UTC)
            total += max(min(closes, until) - max(opens, since), timedelta())
        day += _DAY
    return total
