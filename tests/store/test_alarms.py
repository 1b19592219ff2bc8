"""Alarms that are raised: stored once, said again by one node, cleared once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from store import alarms
from store.alarms import RaisedAlarm
from store.engine import Store

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
LATE = RaisedAlarm(
    alarm="overdue",
    node="",
    subject="",
    environment="",
    severity="critical",
    since=NOW,
    said_at=NOW,
    value=301.5,
    problem="4 texts are overdue",
)
FULL = replace(
    LATE, alarm="disk_nearly_full", node="n1", subject='/data "x"', since=NOW - timedelta(hours=1), value=None
)


def test_an_alarm_is_stored_once_and_read_as_it_was(store: Store) -> None:
    with store.write() as conn:
        assert alarms.raised(conn) == []
        assert alarms.raise_alarm(conn, LATE)
        assert alarms.raise_alarm(conn, FULL)
        assert not alarms.raise_alarm(conn, replace(LATE, since=NOW + timedelta(hours=1), value=9.0))
    with store.read() as conn:
        assert alarms.raised(conn) == [FULL, LATE]  # the oldest first


def test_only_one_of_two_nodes_says_it_again(store: Store) -> None:
    later = NOW + timedelta(hours=1)
    with store.write() as conn:
        alarms.raise_alarm(conn, LATE)
        said = [
            alarms.say_again(conn, LATE, at=later, severity="warning", value=1.0, problem="1 text is overdue")
            for _ in range(2)
        ]
    assert said == [True, False]
    with store.read() as conn:
        assert alarms.raised(conn) == [
            replace(LATE, said_at=later, severity="warning", value=1.0, problem="1 text is overdue")
        ]


def test_only_one_of_two_nodes_clears_it(store: Store) -> None:
    with store.write() as conn:
        alarms.raise_alarm(conn, LATE)
        alarms.raise_alarm(conn, FULL)
        assert [alarms.clear(conn, LATE), alarms.clear(conn, LATE)] == [True, False]
        assert alarms.raised(conn) == [FULL]


def test_a_feed_is_watched_from_the_first_time_on(store: Store) -> None:
    with store.write() as conn:
        assert alarms.watched_since(conn, "feed production") is None
        alarms.watch(conn, "feed production", NOW)
        alarms.watch(conn, "feed production", NOW + timedelta(days=1))
        assert alarms.watched_since(conn, "feed production") == NOW


def test_what_is_watched_again_after_a_pause_was_not_silent_during_it(store: Store) -> None:
    with store.write() as conn:
        for days, feeds in (
            (0, ["feed production", "feed test"]),
            (1, ["feed test"]),
            (30, ["feed production", "feed test"]),
        ):
            alarms.watch_only(conn, feeds, NOW + timedelta(days=days))
        assert alarms.watched_since(conn, "feed production") == NOW + timedelta(days=30)
        assert alarms.watched_since(conn, "feed test") == NOW
