"""The time in which messages are expected, on the clinic's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from config.model import ExpectedHours
from scheduler.expected_hours import expected_time

PACIFIC = ZoneInfo("America/Los_Angeles")
OFFICE = ExpectedHours()
NIGHT_OF_CHANGE = ExpectedHours(begins=time(1), ends=time(4), days=["sun"])


def at(day: int, clock: str, month: int = 11) -> datetime:
    """2026 in the clinic's zone; 23 November is a Monday."""
    return datetime.combine(date(2026, month, day), time.fromisoformat(clock), PACIFIC).astimezone(UTC)


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (at(24, "10:00"), at(24, "11:30"), 1.5),
        (at(24, "18:00"), at(25, "08:00"), 2),  # the night does not count
        (at(27, "18:30"), at(30, "08:00"), 1.5),  # nor does the weekend
        (at(28, "09:00"), at(29, "21:00"), 0),  # a Saturday and a Sunday
        (at(23, "06:00"), at(28, "00:00"), 60),  # a whole week
        (at(24, "03:00"), at(24, "05:00"), 0),
        (at(24, "11:00"), at(24, "10:00"), 0),  # the clock was set back
    ],
)
def test_only_the_expected_hours_count(since: datetime, until: datetime, hours: float) -> None:
    assert expected_time(since, until, OFFICE, PACIFIC) == timedelta(hours=hours)


def test_without_hours_all_of_it_counts() -> None:
    assert expected_time(at(27, "18:30"), at(30, "08:00"), None, PACIFIC) == timedelta(hours=61.5)


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 8, 2), (11, 1, 4)])
def test_a_change_of_the_clocks_counts_as_it_elapses(month: int, day: int, hours: int) -> None:
    since, until = at(day, "00:00", month), at(day, "12:00", month)
    assert expected_time(since, until, NIGHT_OF_CHANGE, PACIFIC) == timedelta(hours=hours)
