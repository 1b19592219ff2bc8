"""Quiet hours: the boundaries by hand, and the nights of a transition against a walk from minute to minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from config.model import QuietHours
from scheduler.quiet_hours import is_quiet, last_permitted, next_opening
from tests.scheduler import oracle
from tests.scheduler.random_stories import ZONES, transitions
from tests.scheduler.stories import NEW_YORK, local

NIGHT = QuietHours(begins=time(21), ends=time(8))
NOON = QuietHours(begins=time(12), ends=time(13, 30))
HERE = ZoneInfo(NEW_YORK)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("hours", "clock", "quiet"),
    [
        (NIGHT, "20:59", False),
        (NIGHT, "21:00", True),
        (NIGHT, "00:00", True),
        (NIGHT, "07:59", True),
        (NIGHT, "08:00", False),
        (NOON, "11:59", False),
        (NOON, "12:00", True),
        (NOON, "13:29", True),
        (NOON, "13:30", False),
        (QuietHours(begins=time(0), ends=time(23, 59)), "23:59", False),
        (QuietHours(begins=time(0), ends=time(23, 59)), "23:58", True),
        (QuietHours(begins=time(9), ends=time(9)), "09:00", False),  # nothing, not everything
    ],
)
def test_quiet_hours_are_half_open(hours: QuietHours, clock: str, quiet: bool) -> None:
    assert is_quiet(local(f"2026-06-10 {clock}"), hours, HERE) is quiet


@pytest.mark.parametrize("clock", ["06-09 21:00", "06-09 23:59", "06-10 00:00", "06-10 07:59"])
def test_a_night_has_one_opening_and_one_evening(clock: str) -> None:
    instant = local(f"2026-{clock}")
    assert next_opening(instant, NIGHT, HERE) == local("2026-06-10 08:00")
    assert last_permitted(instant, NIGHT, HERE) == local("2026-06-09 20:59")


def test_an_opening_that_the_clock_skips_is_the_first_minute_after_the_gap() -> None:
    hours = QuietHours(begins=time(1), ends=time(2, 30))  # 2026-03-08 has no 02:30 in New York
    assert next_opening(local("2026-03-08 01:30"), hours, HERE) == local("2026-03-08 03:00")


def test_an_hour_that_comes_twice_is_quiet_both_times() -> None:
    hours = QuietHours(begins=time(1), ends=time(2))
    first = local("2026-11-01 01:10")
    assert is_quiet(first, hours, HERE)
    assert is_quiet(first + timedelta(hours=1), hours, HERE)
    assert next_opening(first, hours, HERE) == local("2026-11-01 02:00") == first + timedelta(hours=1, minutes=50)


def test_quiet_hours_that_end_in_a_doubled_hour_end_at_the_first() -> None:
    hours = QuietHours(begins=time(21), ends=time(1, 30))
    assert next_opening(local("2026-10-31 22:00"), hours, HERE) == local("2026-11-01 01:30")


def _walked(instant: datetime, zone: str, hours: QuietHours, step: timedelta) -> datetime:
    while oracle.is_quiet(instant, zone, hours):
        instant += step
    return instant


@pytest.mark.parametrize("zone", [zone for region in ZONES.values() for zone in region])
@pytest.mark.parametrize(("find", "step"), [(next_opening, MINUTE), (last_permitted, -MINUTE)])
def test_the_nights_of_a_transition_are_those_of_the_clock(
    zone: str, find: Callable[[datetime, QuietHours, ZoneInfo], datetime], step: timedelta
) -> None:
    random = Random(zone)
    compared = 0
    while compared < 60:
        around = random.choice(transitions(zone)) + random.randrange(-1800, 1800) * MINUTE
        begins, ends = (time(random.choice((0, 1, 2, 3, 8, 21, 23)), random.choice((0, 15, 30, 59))) for _ in "ab")
        hours = QuietHours(begins=begins, ends=ends)
        assert is_quiet(around, hours, ZoneInfo(zone)) is oracle.is_quiet(around, zone, hours)
        if is_quiet(around, hours, ZoneInfo(zone)):
            assert find(around, hours, ZoneInfo(zone)) == _walked(around, zone, hours, step)
            compared += 1


def test_a_zone_without_summer_time_needs_no_walk() -> None:
    instant = datetime(2026, 3, 8, 6, tzinfo=UTC)  # 23:00 in Phoenix, while New York is about to change
    assert next_opening(instant, NIGHT, ZoneInfo("America/Phoenix")) == datetime(2026, 3, 8, 15, tzinfo=UTC)
