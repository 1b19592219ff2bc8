"""The planner's fine print (sms.md), one test a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from config.model import Reminder
from parser.event import Start, Status
from scheduler.apply_event import create
from scheduler.plan import reminder_due, replan
from scheduler.sms import Reason
from tests.scheduler.stories import event, later, local, policy, texts

DAY_BEFORE = {"before": "24h"}
WEEK_AT_TEN = {"before": "7d", "at": "10:00"}
VIDEO_LINK = {"before": "15m", "always": True, "visit_modes": ["video"]}
BOOKED_AT = "2026-06-01 09:00"
VISIT = "2026-06-20 14:00"


def test_a_booking_is_confirmed_after_the_debounce_and_reminded_by_every_rule() -> None:
    assert texts([event("S12", BOOKED_AT, VISIT)], policy(WEEK_AT_TEN, DAY_BEFORE)) == [
        ("booked", "scheduled", "06-01 09:01", "goes"),
        ("reminder", "7d@10:00", "06-13 10:00", "goes"),
        ("reminder", "24h", "06-19 14:00", "goes"),
    ]


def test_edits_before_booked_has_left_give_one_text_with_the_final_state() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S13", later(BOOKED_AT, seconds=40), "2026-06-21 14:00"),
        event("S14", later(BOOKED_AT, seconds=50), "2026-06-22 14:00"),
    ]
    assert [text for text in texts(history, policy()) if text[0] != "reminder"] == [
        ("booked", "scheduled", "06-01 09:02", "goes")
    ]


def test_booked_and_cancelled_within_the_debounce_says_nothing() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S15", later(BOOKED_AT, seconds=30), VISIT)]
    assert texts(history, policy(DAY_BEFORE)) == [
        ("booked", "scheduled", "06-01 09:02", "canceled"),
        ("reminder", "24h", "06-19 14:00", "canceled"),
    ]


def test_that_silence_does_not_hang_on_the_switch_of_booked() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S15", later(BOOKED_AT, seconds=30), VISIT)]
    silent = policy(confirmation={"scheduled": False, "updated": True, "canceled": True})
    assert "goes" not in {text[3] for text in texts(history, silent)}


def test_a_cancellation_after_a_booked_that_was_switched_off_is_told() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S15", "2026-06-02 09:00", VISIT)]
    silent = policy(confirmation={"scheduled": False, "updated": True, "canceled": True})
    assert texts(history, silent) == [
        ("booked", "scheduled", "06-01 09:01", "switched_off"),
        ("canceled", "canceled", "06-02 09:01", "goes"),
    ]


def test_cancel_and_uncancel_within_the_debounce_says_nothing() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S15", "2026-06-02 09:00", VISIT),
        event("S14", "2026-06-02 09:00:30", VISIT),
    ]
    assert [text for text in texts(history, policy()) if text[3] == "goes"] == [
        ("booked", "scheduled", "06-01 09:01", "goes")
    ]


def test_an_uncancelled_visit_is_reminded_again() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S15", "2026-06-02 09:00", VISIT),
        event("S14", "2026-06-03 09:00", VISIT),
    ]
    assert texts(history, policy(DAY_BEFORE))[1:] == [
        ("canceled", "canceled", "06-02 09:01", "goes"),
        ("updated", "updated", "06-03 09:01", "goes"),
        ("reminder", "24h", "06-19 14:00", "canceled"),
        ("reminder", "24h", "06-19 14:00", "goes"),
    ]


def test_changed_and_changed_back_within_the_debounce_says_nothing() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S13", "2026-06-02 09:00", "2026-06-21 14:00"),
        event("S13", "2026-06-02 09:00:30", VISIT),
    ]
    assert texts(history, policy()) == [
        ("booked", "scheduled", "06-01 09:01", "goes"),
        ("updated", "updated", "06-02 09:01", "no_visible_change"),
    ]


def test_an_edit_that_the_patient_cannot_see_is_recorded_and_not_sent() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S14", "2026-06-02 09:00", VISIT, duration=timedelta(minutes=45))]
    assert texts(history, policy())[1] == ("updated", "updated", "-", "no_visible_change")


def test_a_detail_that_the_texts_show_is_visible() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT, facility="North"),
        event("S14", "2026-06-02 09:00", VISIT, facility="South"),
    ]
    assert texts(history, policy(shown=("facility",)))[1] == ("updated", "updated", "06-02 09:01", "goes")
    assert texts(history, policy())[1][3] == "no_visible_change"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("S12", ("booked", "scheduled", "06-01 09:01", "goes")),
        ("S13", ("updated", "updated", "06-01 09:01", "goes")),
        ("S14", ("reminder", "24h", "06-19 14:00", "goes")),
        ("S15", ("canceled", "canceled", "06-01 09:01", "goes")),
    ],
)
def test_first_sight(name: str, first: tuple[str, str, str, str]) -> None:
    assert texts([event(name, BOOKED_AT, VISIT)], policy(DAY_BEFORE))[0] == first


def test_a_reschedule_supersedes_what_waited_and_plans_anew() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S13", "2026-06-15 09:00", "2026-06-24 14:00")]
    assert texts(history, policy(WEEK_AT_TEN, DAY_BEFORE)) == [
        ("booked", "scheduled", "06-01 09:01", "goes"),
        ("reminder", "7d@10:00", "06-13 10:00", "goes"),
        ("updated", "updated", "06-15 09:01", "goes"),
        ("reminder", "7d@10:00", "06-17 10:00", "goes"),
        ("reminder", "24h", "06-19 14:00", "superseded"),
        ("reminder", "24h", "06-23 14:00", "goes"),
    ]


def test_a_reminder_whose_time_has_passed_at_booking_is_never_sent_at_once() -> None:
    assert texts([event("S12", "2026-06-20 08:00", VISIT)], policy(DAY_BEFORE))[0] == (
        "reminder",
        "24h",
        "06-19 14:00",
        "late_booking",
    )


def test_due_at_the_very_receipt_is_late() -> None:
    assert texts([event("S12", "2026-06-19 14:00", VISIT)], policy(DAY_BEFORE))[0][3] == "late_booking"


def test_due_between_receipt_and_the_end_of_the_debounce_is_for_min_gap_to_decide() -> None:
    history = [event("S12", "2026-06-19 13:59:30", VISIT)]
    assert texts(history, policy(DAY_BEFORE))[0] == ("reminder", "24h", "06-19 14:00", "too_close")
    assert texts(history, policy(DAY_BEFORE, min_gap="0s"))[0] == ("reminder", "24h", "06-19 14:00", "goes")


@pytest.mark.parametrize(("received", "outcome"), [("12:00", "too_close"), ("11:59", "goes"), ("11:58", "goes")])
def test_min_gap_is_exclusive(received: str, outcome: str) -> None:
    found = texts([event("S12", f"2026-06-19 {received}", VISIT)], policy(DAY_BEFORE))
    assert ("reminder", "24h", "06-19 14:00", outcome) in found


def test_always_passes_min_gap_and_quiet_hours() -> None:
    history = [event("S12", "2026-06-19 22:30", "2026-06-19 23:00", visit_mode="video")]
    assert ("reminder", "15m", "06-19 22:45", "goes") in texts(history, policy(VIDEO_LINK))


def test_a_rule_for_video_visits_is_for_those_alone() -> None:
    assert [text[0] for text in texts([event("S12", BOOKED_AT, VISIT)], policy(VIDEO_LINK))] == ["booked"]


@pytest.mark.parametrize(
    ("visit", "due", "outcome"),
    [
        ("2026-06-20 20:59", "06-19 20:59", "goes"),  # the last permitted minute
        ("2026-06-20 21:00", "06-20 08:00", "goes"),  # quiet begins: to the next opening
        ("2026-06-20 07:59", "06-19 08:00", "goes"),
        ("2026-06-20 08:00", "06-19 08:00", "goes"),
    ],
)
def test_a_reminder_in_quiet_hours_moves_to_the_opening(visit: str, due: str, outcome: str) -> None:
    assert ("reminder", "24h", due, outcome) in texts([event("S12", BOOKED_AT, visit)], policy(DAY_BEFORE))


def test_where_the_opening_leaves_too_little_it_moves_back_to_the_evening() -> None:
    assert ("reminder", "1h", "06-19 20:59", "goes") in texts(
        [event("S12", BOOKED_AT, "2026-06-20 08:15")], policy({"before": "1h"})
    )


def test_and_where_the_evening_has_passed_it_is_suppressed() -> None:
    history = [event("S12", "2026-06-19 23:00", "2026-06-20 08:15")]
    assert ("reminder", "1h", "06-20 07:15", "quiet_hours") in texts(history, policy({"before": "1h"}))


def test_two_reminders_moved_to_one_minute_the_nearest_goes() -> None:
    found = texts([event("S12", BOOKED_AT, "2026-06-21 10:00")], policy({"before": "36h"}, {"before": "28h"}))
    assert ("reminder", "36h", "06-20 08:00", "superseded") in found
    assert ("reminder", "28h", "06-20 08:00", "goes") in found


def test_a_booking_at_night_waits_for_the_opening_unless_the_visit_is_near() -> None:
    assert texts([event("S12", "2026-06-01 22:00", VISIT)], policy())[0][2] == "06-02 08:00"
    assert texts([event("S12", "2026-06-19 22:00", VISIT)], policy())[0][2] == "06-19 22:01"


def test_for_an_update_the_visit_is_the_earlier_of_old_and_new() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S13", "2026-06-19 23:00", "2026-07-20 14:00")]
    assert ("updated", "updated", "06-19 23:01", "goes") in texts(history, policy())


def test_an_old_start_that_has_passed_makes_no_update_urgent() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S13", "2026-06-20 23:00", "2026-07-20 14:00")]
    assert ("updated", "updated", "06-21 08:00", "goes") in texts(history, policy())


def test_a_text_that_would_leave_at_or_after_the_start_is_past() -> None:
    assert texts([event("S12", "2026-06-20 13:59", VISIT)], policy())[0] == (
        "booked",
        "scheduled",
        "06-20 14:00",
        "past",
    )


def test_an_appointment_in_the_past_is_accepted_and_nothing_is_sent() -> None:
    assert {text[3] for text in texts([event("S12", "2026-07-01 09:00", VISIT)], policy(DAY_BEFORE))} == {
        "past",
        "late_booking",
    }


def test_deleted_as_entered_in_error_is_silent() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S17", "2026-06-02 09:00", VISIT)]
    assert texts(history, policy(DAY_BEFORE))[1:] == [("reminder", "24h", "06-19 14:00", "canceled")]


def test_an_arrived_patient_is_not_reminded() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S14", "2026-06-02 09:00", VISIT, status=Status.ARRIVED)]
    assert texts(history, policy(DAY_BEFORE))[1:] == [("reminder", "24h", "06-19 14:00", "past")]


def test_a_modification_with_a_cancelled_status_cancels() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S14", "2026-06-02 09:00", VISIT, status=Status.CANCELED)]
    assert ("canceled", "canceled", "06-02 09:01", "goes") in texts(history, policy())


def test_a_resource_event_never_cancels() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S18", "2026-06-02 09:00", VISIT, status=Status.CANCELED)]
    assert ("reminder", "24h", "06-19 14:00", "goes") in texts(history, policy(DAY_BEFORE))


def test_an_older_booking_after_a_cancellation_stays_cancelled() -> None:
    cancel = event("S15", "2026-06-02 09:00", VISIT)
    late = event("S12", BOOKED_AT, VISIT, received_at=local("2026-06-02 09:00:10"))
    assert [text for text in texts([cancel, late], policy(DAY_BEFORE)) if text[3] == "goes"] == [
        ("canceled", "canceled", "06-02 09:01", "goes")
    ]


def test_a_blocked_patient_gets_the_reason_and_no_text_counts_as_too_close() -> None:
    history = [event("S12", "2026-06-19 13:30", VISIT)]
    assert texts(history, policy(DAY_BEFORE), blocked=Reason.NO_PHONE) == [
        ("booked", "scheduled", "06-19 13:31", "no_phone"),
        ("reminder", "24h", "06-19 14:00", "no_phone"),
    ]


def test_a_date_without_a_time_has_no_timed_reminder() -> None:
    start = Start(instant=local("2026-06-20 00:00"), zone="America/New_York", date_only=True)
    booked = replace(event("S12", BOOKED_AT, VISIT), start=start)
    found = texts([booked], policy(WEEK_AT_TEN, DAY_BEFORE))
    assert [text[3] for text in found] == ["goes", "no_time", "no_time"]


def test_days_are_wall_clock_and_hours_elapsed_across_a_transition() -> None:
    start, zone = local("2026-03-08 09:00"), ZoneInfo("America/New_York")
    assert reminder_due(Reminder(before="1d"), start, zone) == datetime(2026, 3, 7, 14, tzinfo=UTC)
    assert reminder_due(Reminder(before="24h"), start, zone) == datetime(2026, 3, 7, 13, tzinfo=UTC)


def test_a_wall_clock_time_that_does_not_exist_shifts_by_the_gap() -> None:
    rule = Reminder.model_validate({"before": "1d", "at": "02:30"})
    due = reminder_due(rule, local("2026-03-09 09:00"), ZoneInfo("America/New_York"))
    assert due.astimezone(ZoneInfo("America/New_York")).strftime("%m-%d %H:%M") == "03-08 03:30"


def test_a_wall_clock_time_that_exists_twice_is_the_earlier() -> None:
    rule = Reminder.model_validate({"before": "1d", "at": "01:30"})
    due = reminder_due(rule, local("2026-11-02 09:00"), ZoneInfo("America/New_York"))
    assert due == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


# Decided where sms.md is silent: docs/decisions/0003-planner-fine-print.md


def test_an_update_that_came_too_late_leaves_told_what_was_told() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S13", "2026-06-20 10:00", "2026-06-20 09:00"),  # into the past: nothing is sent
        event("S15", "2026-06-20 10:30", None),
    ]
    assert texts(history, policy())[1:] == [
        ("updated", "updated", "06-20 10:01", "past"),
        ("canceled", "canceled", "06-20 10:31", "goes"),  # or the patient comes at 14:00
    ]


def test_the_same_instant_in_another_zone_is_told() -> None:
    moved = Start(instant=local(VISIT), zone="America/Chicago")
    history = [event("S12", BOOKED_AT, VISIT), replace(event("S14", "2026-06-02 09:00", VISIT), start=moved)]
    assert texts(history, policy())[1] == ("updated", "updated", "06-02 09:01", "goes")


def test_an_opening_at_the_start_itself_is_no_time_for_a_reminder() -> None:
    found = texts([event("S12", BOOKED_AT, "2026-06-20 08:00")], policy({"before": "1h"}, min_lead="0s"))
    assert ("reminder", "1h", "06-19 20:59", "goes") in found


def test_a_first_sight_by_a_modification_that_cancels_is_told_like_a_cancellation() -> None:
    history = [event("S14", BOOKED_AT, VISIT, status=Status.CANCELED)]
    assert texts(history, policy(DAY_BEFORE)) == [("canceled", "canceled", "06-01 09:01", "goes")]


def test_a_first_sight_by_a_cancellation_that_is_taken_back_at_once_says_nothing() -> None:
    history = [
        event("S15", BOOKED_AT, VISIT, visit_mode="video", facility="North"),
        event("S14", later(BOOKED_AT, seconds=30), VISIT),
    ]
    assert texts(history, policy(shown=("facility",))) == [("canceled", "canceled", "06-01 09:01", "no_visible_change")]


def test_booked_again_after_a_cancellation_that_was_told_is_booked() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S15", "2026-06-02 09:00", VISIT),
        event("S12", "2026-06-03 09:00", VISIT),
    ]
    assert texts(history, policy())[2] == ("booked", "scheduled", "06-03 09:01", "goes")


def test_a_date_without_a_time_is_urgent_before_it_begins_and_ahead_until_it_ends() -> None:
    start = Start(instant=local("2026-06-20 00:00"), zone="America/New_York", date_only=True)
    booked = replace(event("S12", "2026-06-19 22:00", None), start=start)
    assert texts([booked], policy(DAY_BEFORE)) == [
        ("booked", "scheduled", "06-19 22:01", "goes"),
        ("reminder", "24h", "-", "no_time"),
    ]
    assert texts([booked, event("S15", "2026-06-20 10:00", None)], policy())[1] == (
        "canceled",
        "canceled",
        "06-20 10:01",
        "goes",
    )


def test_a_cancellation_of_an_untold_move_names_the_start_that_was_cancelled() -> None:
    history = [
        event("S13", "2026-06-19 22:00", "2026-06-20 09:00"),
        event("S15", "2026-06-19 22:00:30", None),
        event("S14", "2026-06-19 22:00:40", "2026-07-20 09:00", status=Status.UNKNOWN),  # still cancelled
    ]
    assert texts(history, policy()) == [
        ("updated", "updated", "06-19 22:01", "canceled"),
        ("canceled", "canceled", "06-19 22:02", "goes"),
        ("canceled", "canceled", "-", "no_visible_change"),
    ]


def test_a_cancellation_waits_for_the_opening_where_the_patient_was_told_to_come() -> None:
    moved = Start(instant=local(VISIT), zone="America/Los_Angeles")
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S15", "2026-06-10 22:00", None),
        replace(event("S14", "2026-06-10 22:30", None, status=Status.UNKNOWN), start=moved),  # still cancelled
    ]
    assert texts(history, policy())[1] == ("canceled", "canceled", "06-11 08:00", "goes")


def test_a_day_that_begins_at_one_ends_at_midnight() -> None:
    santiago = "America/Santiago"  # 2026-09-06 begins at 01:00
    start = Start(instant=local("2026-09-06 01:00", santiago), zone=santiago, date_only=True)
    seen = create(replace(event("S12", "2026-09-05 10:00", None), start=start), policy(), id="0", zone=santiago)
    assert seen.deadline == local("2026-09-07 00:00", santiago)


@pytest.mark.parametrize(
    ("received", "due", "outcome"),
    [("20:58:59", "06-19 20:59", "goes"), ("20:59:00", "06-20 07:15", "quiet_hours")],
)
def test_the_evening_must_lie_after_the_receipt(received: str, due: str, outcome: str) -> None:
    history = [event("S12", f"2026-06-19 {received}", "2026-06-20 08:15")]
    assert ("reminder", "1h", due, outcome) in texts(history, policy({"before": "1h"}, min_gap="0s"))


@pytest.mark.parametrize(
    ("lead", "due", "outcome"), [("676m", "06-19 20:59", "goes"), ("677m", "06-20 07:15", "quiet_hours")]
)
def test_the_evening_must_leave_min_lead(lead: str, due: str, outcome: str) -> None:
    history = [event("S12", BOOKED_AT, "2026-06-20 08:15")]
    assert ("reminder", "1h", due, outcome) in texts(history, policy({"before": "1h"}, min_lead=lead))


# A visit that is not booked: waitlisted, pending, held, blocked


@pytest.mark.parametrize("status", [status for status in Status if status.not_booked])
@pytest.mark.parametrize("name", ["S12", "S13", "S14", "S27"])
def test_a_visit_that_is_not_booked_is_neither_confirmed_nor_reminded(name: str, status: Status) -> None:
    assert texts([event(name, BOOKED_AT, VISIT, status=status)], policy(WEEK_AT_TEN, DAY_BEFORE)) == [
        ("reminder", "7d@10:00", "06-13 10:00", "not_booked"),
        ("reminder", "24h", "06-19 14:00", "not_booked"),
        ("booked", "scheduled", "-", "not_booked"),
    ]


@pytest.mark.parametrize("name", ["S12", "S13", "S14", "S27"])
def test_it_is_confirmed_and_reminded_when_a_message_books_it(name: str) -> None:
    history = [
        event("S12", BOOKED_AT, VISIT, status=Status.WAITLIST),
        event("S14", "2026-06-02 09:00", None, status=Status.UNKNOWN),  # says nothing of it: still waitlisted
        event(name, "2026-06-14 09:00", VISIT),
    ]
    assert [text for text in texts(history, policy(WEEK_AT_TEN, DAY_BEFORE)) if text[3] != "not_booked"] == [
        ("reminder", "7d@10:00", "06-13 10:00", "late_booking"),
        ("booked", "scheduled", "06-14 09:01", "goes"),
        ("reminder", "24h", "06-19 14:00", "goes"),
    ]


def test_back_on_the_waiting_list_what_waits_is_withdrawn_and_nothing_is_told() -> None:
    history = [event("S12", BOOKED_AT, VISIT), event("S14", "2026-06-02 09:00", VISIT, status=Status.PENDING)]
    assert texts(history, policy(DAY_BEFORE)) == [
        ("booked", "scheduled", "06-01 09:01", "goes"),
        ("reminder", "24h", "06-19 14:00", "not_booked"),
        ("updated", "updated", "-", "not_booked"),
    ]
    at_once = [history[0], event("S14", later(BOOKED_AT, seconds=30), VISIT, status=Status.PENDING)]
    assert {text[3] for text in texts(at_once, policy(DAY_BEFORE))} == {"not_booked"}


@pytest.mark.parametrize(
    ("start", "confirmation", "reminded"),
    [
        (VISIT, ("updated", "updated", "-", "no_visible_change"), "06-19 14:00"),
        ("2026-06-22 14:00", ("updated", "updated", "06-03 09:01", "goes"), "06-21 14:00"),
    ],
)
def test_booked_again_the_patient_is_told_what_differs_from_what_was_told(
    start: str, confirmation: tuple[str, str, str, str], reminded: str
) -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S14", "2026-06-02 09:00", VISIT, status=Status.PENDING),
        event("S14", "2026-06-03 09:00", start),
    ]
    planned = texts(history, policy(DAY_BEFORE))
    assert confirmation in planned
    assert [text[2] for text in planned if text[0] == "reminder" and text[3] == "goes"] == [reminded]


def test_a_waitlisted_visit_that_is_cancelled_was_never_told() -> None:
    history = [event("S12", BOOKED_AT, VISIT, status=Status.WAITLIST), event("S15", "2026-06-02 09:00", VISIT)]
    assert "goes" not in {text[3] for text in texts(history, policy(DAY_BEFORE))}


def test_a_visit_that_was_told_and_then_held_is_cancelled_aloud() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S14", "2026-06-02 09:00", VISIT, status=Status.PENDING),
        event("S15", "2026-06-03 09:00", VISIT),
    ]
    assert ("canceled", "canceled", "06-03 09:01", "goes") in texts(history, policy(DAY_BEFORE))


def test_a_cancellation_that_waits_is_told_although_the_visit_goes_on_a_waiting_list() -> None:
    history = [
        event("S12", BOOKED_AT, VISIT),
        event("S15", "2026-06-02 09:00", VISIT),
        event("S14", "2026-06-02 09:00:30", VISIT, status=Status.WAITLIST),
    ]
    assert ("canceled", "canceled", "06-02 09:01", "goes") in texts(history, policy(DAY_BEFORE))


def test_a_waiting_list_without_a_time_asks_for_no_reminder() -> None:
    assert texts([event("S12", BOOKED_AT, None, status=Status.WAITLIST)], policy(DAY_BEFORE)) == [
        ("booked", "scheduled", "-", "not_booked")
    ]


# A configuration that changes


def _changed(booked: str, changed: str, *reminders: dict[str, str]) -> list[tuple[str, str]]:
    """(rule, reason) of the rows that a change of the reminders at a clock time writes for a booked visit."""
    rules = policy(DAY_BEFORE, confirmation={"scheduled": False, "updated": True, "canceled": True})
    appointment = create(event("S12", booked, VISIT), rules, id="a" * 32, zone="America/New_York")
    before = replan(appointment, rules, [], local(booked))
    now = policy(*reminders, confirmation={"scheduled": False, "updated": True, "canceled": True})
    after = replan(before.appointment, now, before.changes, local(changed))
    written = {row.identity: row for row in (*before.changes, *after.changes)}
    again = replan(after.appointment, now, list(written.values()), local(changed))
    assert not again.changes, "what is planned again is the same"
    back = replan(after.appointment, rules, list(written.values()), local(changed))
    assert "reminder" in {row.reason.value for row in back.changes} or not after.changes
    return [(row.rule, row.reason.value) for row in after.changes]


def test_a_reminder_that_the_configuration_takes_away_says_so() -> None:
    assert _changed(BOOKED_AT, "2026-06-10 09:00") == [("24h", "no_rule")]
    assert _changed(BOOKED_AT, "2026-06-10 09:00", {"before": "48h"}) == [("48h", "reminder"), ("24h", "no_rule")]


def test_a_reminder_that_comes_after_its_time_was_not_booked_late() -> None:
    two_days = {"before": "48h"}
    assert _changed(BOOKED_AT, "2026-06-18 15:00", two_days) == [("48h", "late_rule"), ("24h", "no_rule")]
    assert _changed("2026-06-18 15:00", "2026-06-18 16:00", two_days) == [("48h", "late_booking"), ("24h", "no_rule")]
