"""When an administrator is reminded of a certificate."""

from __future__ import annotations

from datetime import timedelta

import pytest

from certs.expiry_reminders import UNUSED_AFTER, expiry_warnings, unused_for
from tests.certs.ring import NOW

SECOND = timedelta(seconds=1)


def test_warnings_fall_due_once_each_when_asked_daily() -> None:
    told: list[tuple[int, tuple[int, ...]]] = []
    since = NOW - timedelta(days=70)
    for days in range(69, -3, -1):
        at = NOW - timedelta(days=days)
        if due := expiry_warnings(NOW, since=since, now=at):
            told.append((days, due))
        since = at
    assert told == [(60, (60,)), (30, (30,)), (14, (14,)), (7, (7,)), (1, (1,))]


@pytest.mark.parametrize(
    ("asked_days_ahead", "due"),
    [(None, (60, 30, 14, 7)), (45, (30, 14, 7)), (7, ()), (8, (7,)), (5, ())],
)
def test_after_a_silence_what_was_missed_comes_with_the_most_urgent_last(
    asked_days_ahead: int | None, due: tuple[int, ...]
) -> None:
    since = None if asked_days_ahead is None else NOW - timedelta(days=asked_days_ahead)
    assert expiry_warnings(NOW, since=since, now=NOW - timedelta(days=5)) == due


def test_no_warning_before_sixty_days_and_none_after_expiry() -> None:
    assert expiry_warnings(NOW, since=None, now=NOW - timedelta(days=60) - SECOND) == ()
    assert expiry_warnings(NOW, since=None, now=NOW - timedelta(days=60)) == (60,)
    assert expiry_warnings(NOW, since=None, now=NOW) == (60, 30, 14, 7, 1)
    assert expiry_warnings(NOW, since=None, now=NOW + SECOND) == ()


def test_unused() -> None:
    since = NOW - UNUSED_AFTER
    assert unused_for(None, active_since=since, now=NOW) == UNUSED_AFTER
    assert unused_for(None, active_since=since + SECOND, now=NOW) is None
    assert unused_for(NOW - SECOND, active_since=since, now=NOW) is None
    assert unused_for(since - SECOND, active_since=since, now=NOW) == UNUSED_AFTER  # a use before it became active
