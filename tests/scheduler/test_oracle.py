"""The oracle against examples worked out by hand from the planner's rules: a witness must be believable by itself."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.model import QuietHours, Reminder
from parser.event import SchedulingEvent, Start
from tests.scheduler.oracle import is_quiet, minute_that_shows, oracle, own_due, whole_minute
from tests.scheduler.stories import NEW_YORK, event, local, policy

DAY_BEFORE: dict[str, Any] = {"before": "24h"}
VISIT = "2026-05-20 14:00"


def fates(events: list[SchedulingEvent], *reminders: dict[str, Any], zone: str = NEW_YORK, **sms: Any) -> list[str]:
    """`kind due verdict` of each text on the clinic's clock, by due."""
    found = oracle(events, policy(*reminders, **sms).sms)
    texts_sent = [
        (each.due.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M") if each.due else "-", each.kind, each.verdict)
        for each in found
    ]
    return [" ".join(each) for each in sorted(texts_sent)]


# The clinic's clock


def start(written: str, zone: str = NEW_YORK) -> Start:
    return Start(instant=local(written, zone), zone=zone)


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ({"before": "1d"}, "2026-03-07 14:00"),  # 09:00 on the clock, still winter
        ({"before": "24h"}, "2026-03-07 13:00"),  # 24 hours elapsed: 08:00 on the clock
        ({"before": "1d", "at": "10:00"}, "2026-03-07 15:00"),
        ({"before": "1w"}, "2026-03-01 14:00"),
        ({"before": "15m"}, "2026-03-08 12:45"),
        ({"before": "0d", "at": "02:30"}, "2026-03-08 07:30"),  # no such time: 03:30 summer time
    ],
)
def test_days_are_the_clocks_and_hours_elapse(rule: dict[str, Any], due: str) -> None:
    visit = start("2026-03-08 09:00")  # New York springs forward that night; 13:00Z
    assert own_due(Reminder.model_validate(rule), visit) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "zone", "utc"),
    [
        ("2026-11-01 01:30", NEW_YORK, "2026-11-01 05:30"),  # twice: the earlier
        ("2026-03-29 02:15", "Europe/Berlin", "2026-03-29 01:15"),  # never: 03:15 summer time
        ("2026-10-04 02:10", "Australia/Lord_Howe", "2026-10-03 15:40"),  # half an hour is skipped: 02:40 at +11
        ("2026-04-05 02:30", "Pacific/Auckland", "2026-04-04 13:30"),  # twice: the earlier, at +13
        ("2026-01-15 12:00", "America/St_Johns", "2026-01-15 15:30"),
        ("2026-01-15 12:00", "Pacific/Kiritimati", "2026-01-14 22:00"),
    ],
)
def test_a_wall_time_is_found_by_looking_at_the_clock(wanted: str, zone: str, utc: str) -> None:
    found = minute_that_shows(datetime.fromisoformat(wanted), zone)
    assert found == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("20:59", False), ("21:00", True), ("23:59", True), ("00:00", True), ("07:59", True), ("08:00", False)],
)
def test_quiet_hours_are_half_open(clock: str, quiet: bool) -> None:
    night = QuietHours(begins=time(21), ends=time(8))
    assert is_quiet(local(f"2026-05-20 {clock}"), NEW_YORK, night) is quiet
    assert not is_quiet(local(f"2026-05-20 {clock}"), NEW_YORK, None)
    assert not is_quiet(local(f"2026-05-20 {clock}"), NEW_YORK, QuietHours(begins=time(21), ends=time(21)))


def test_a_minute_is_whole_or_the_next() -> None:
    noon = datetime(2026, 5, 20, 12, tzinfo=UTC)
    assert whole_minute(noon) == noon
    assert whole_minute(noon.replace(microsecond=1)) == noon.replace(minute=1)
    assert whole_minute(noon.replace(second=59)) == noon.replace(minute=1)


# Histories


def test_booked_and_reminded() -> None:
    found = oracle([event("S12", "2026-05-10 10:00:30", VISIT)], policy(DAY_BEFORE).sms)
    texts_sent = [(each.kind, each.rule, each.due, each.verdict, each.expires) for each in found]
    assert texts_sent == [
        ("booked", "scheduled", local("2026-05-10 10:02"), "goes", local("2026-05-10 12:02")),
        ("reminder", "24h", local("2026-05-19 14:00"), "goes", local("2026-05-19 16:00")),
    ]


def test_three_messages_inside_the_debounce_make_one_text() -> None:
    story = [
        event("S12", "2026-05-10 10:00:00", VISIT),
        event("S14", "2026-05-10 10:00:20", "2026-05-20 15:00"),
        event("S14", "2026-05-10 10:00:40", "2026-05-20 16:00"),
    ]
    assert fates(story, DAY_BEFORE) == [
        "05-10 10:02 booked goes",
        "05-19 14:00 reminder superseded",
        "05-19 15:00 reminder superseded",
        "05-19 16:00 reminder goes",
    ]


def test_booked_and_cancelled_inside_the_debounce_says_nothing() -> None:
    story = [event("S12", "2026-05-10 10:00:00", VISIT), event("S15", "2026-05-10 10:00:40", None)]
    assert fates(story, DAY_BEFORE) == ["05-10 10:02 booked canceled", "05-19 14:00 reminder canceled"]


def test_a_text_due_in_the_minute_of_a_message_has_left_before_it() -> None:
    story = [event("S12", "2026-05-10 10:00:00", VISIT), event("S15", "2026-05-10 10:01:00", None)]
    assert fates(story) == ["05-10 10:01 booked goes", "05-10 10:02 canceled goes"]


def test_cancelled_and_revived_inside_the_debounce_says_nothing() -> None:
    story = [
        event("S12", "2026-05-10 10:00:00", VISIT),
        event("S15", "2026-05-10 11:00:00", None),
        event("S14", "2026-05-10 11:00:30", None),
    ]
    assert fates(story, DAY_BEFORE) == [
        "05-10 10:01 booked goes",
        "05-10 11:01 canceled no_visible_change",
        "05-19 14:00 reminder canceled",
        "05-19 14:00 reminder goes",
    ]


def test_changed_and_changed_back_says_nothing() -> None:
    story = [
        event("S12", "2026-05-10 10:00:00", VISIT),
        event("S13", "2026-05-10 11:00:00", "2026-05-21 14:00"),
        event("S13", "2026-05-10 11:00:30", VISIT),
        event("S14", "2026-05-10 12:00:00", VISIT),
    ]
    assert fates(story) == [
        "- updated no_visible_change",
        "05-10 10:01 booked goes",
        "05-10 11:01 updated no_visible_change",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("S12", ["05-10 10:01 booked goes"]),
        ("S13", ["05-10 10:01 updated goes"]),
        ("S14", []),
        ("S15", ["05-10 10:01 canceled goes"]),
        ("S17", []),
    ],
)
def test_first_sight(name: str, expected: list[str]) -> None:
    assert fates([event(name, "2026-05-10 10:00", VISIT)]) == expected


def test_late_booking_is_recorded_and_min_gap_is_exclusive() -> None:
    # booked leaves at 10:01: 12:01 is exactly two hours after, 12:00 is too close, 10:00 is past.
    story = [event("S12", "2026-05-19 10:00:00", "2026-05-20 12:01")]
    rules: list[dict[str, Any]] = [{"before": "1441m"}, {"before": "1440m"}, {"before": "1561m"}]
    assert fates(story, *rules) == [
        "05-19 10:00 reminder late_booking",
        "05-19 10:01 booked goes",
        "05-19 12:00 reminder too_close",
        "05-19 12:01 reminder goes",
    ]


def test_an_always_rule_passes_quiet_hours_and_min_gap() -> None:
    story = [event("S12", "2026-05-20 06:30:00", "2026-05-20 07:30")]
    rules: list[dict[str, Any]] = [{"before": "15m", "always": True}, {"before": "20m"}]
    assert fates(story, *rules) == [
        "05-20 06:31 booked goes",
        "05-20 07:10 reminder quiet_hours",
        "05-20 07:15 reminder goes",
    ]


def test_a_reminder_in_the_night_moves_to_the_opening_or_back() -> None:
    early = [event("S14", "2026-05-10 10:00", "2026-05-20 08:20")]
    assert fates(early, {"before": "2h"}) == ["05-19 20:59 reminder goes"]
    later = [event("S14", "2026-05-10 10:00", "2026-05-20 08:30")]
    assert fates(later, {"before": "2h"}) == ["05-20 08:00 reminder goes"]


def test_two_reminders_at_one_minute() -> None:
    story = [event("S14", "2026-05-10 10:00", "2026-05-20 09:00")]
    found = oracle(story, policy({"before": "2h"}, {"before": "3h"}).sms)
    assert sorted((each.rule, each.verdict) for each in found) == [("2h", "goes"), ("3h", "superseded")]


def test_a_confirmation_in_the_night_waits_unless_the_visit_is_near() -> None:
    far = [event("S12", "2026-05-10 22:00", VISIT)]
    assert fates(far) == ["05-11 08:00 booked goes"]
    near = [event("S12", "2026-05-19 22:00", VISIT)]
    assert fates(near) == ["05-19 22:01 booked goes"]
    moved_away = [event("S14", "2026-05-10 10:00", VISIT), event("S13", "2026-05-19 22:00", "2026-06-20 14:00")]
    assert fates(moved_away) == ["05-19 22:01 updated goes"]
    missed = [event("S14", "2026-05-10 10:00", VISIT), event("S13", "2026-05-20 22:00", "2026-06-20 14:00")]
    assert fates(missed) == ["05-21 08:00 updated goes"]


def test_a_text_at_the_start_is_past() -> None:
    assert fates([event("S12", "2026-05-20 13:59:00", VISIT)]) == ["05-20 14:00 booked past"]
    assert fates([event("S12", "2026-05-20 13:58:00", VISIT)]) == ["05-20 13:59 booked goes"]


def test_a_switch_only_decides_at_the_end() -> None:
    off: dict[str, Any] = {"confirmation": {"scheduled": False}}
    assert fates([event("S12", "2026-05-10 10:00", VISIT)], **off) == ["05-10 10:01 booked switched_off"]
    story = [event("S12", "2026-05-10 10:00:00", VISIT), event("S15", "2026-05-10 10:00:30", None)]
    assert fates(story, **off) == ["05-10 10:02 booked canceled"]
    story = [event("S12", "2026-05-10 10:00:00", VISIT), event("S15", "2026-05-10 10:05:00", None)]
    assert fates(story, **off) == ["05-10 10:01 booked switched_off", "05-10 10:06 canceled goes"]


def test_a_rule_for_video_visits_follows_the_mode() -> None:
    video: dict[str, Any] = {"before": "15m", "always": True, "visit_modes": ["video"]}
    booked = event("S14", "2026-05-10 10:00", VISIT, visit_mode="video")
    assert fates([booked], video) == ["05-20 13:45 reminder goes"]
    assert fates([event("S14", "2026-05-10 10:00", VISIT)], video) == []
    in_person = event("S14", "2026-05-12 10:00", VISIT, visit_mode="in-person")
    assert fates([booked, in_person], video) == ["05-12 10:01 updated goes", "05-20 13:45 reminder no_rule"]


def test_a_reminder_expires_while_it_is_useful() -> None:
    (found,) = oracle([event("S14", "2026-05-10 10:00", VISIT)], policy({"before": "1h"}).sms)
    assert found.expires == local("2026-05-20 13:30")
    (found,) = oracle([event("S14", "2026-05-10 10:00", VISIT)], policy({"before": "15m"}).sms)
    assert found.expires == local("2026-05-20 13:50")
    (found,) = oracle([event("S14", "2026-05-10 10:00", VISIT)], policy({"before": "3m"}).sms)
    assert found.expires == local(VISIT)
