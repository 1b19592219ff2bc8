"""A rehearsal plays whole histories as if the service had been up all along; what it shows is what would have been told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from parser.event import SchedulingEvent, Status
from scheduler.appointment import Appointment
from scheduler.rehearsal import Rehearsed, rehearse
from scheduler.sms import Reason, SmsKind, SmsState
from tests.scheduler.stories import NEW_YORK, event, local, policy

VISIT = "2026-06-20 14:00"
RULES = policy({"before": "24h"})


def played(*events: SchedulingEvent) -> tuple[Rehearsed, ...]:
    return rehearse(events, RULES, lambda _: None, zone=NEW_YORK).texts


def outcomes(rehearsed: tuple[Rehearsed, ...]) -> list[tuple[str, str, bool]]:
    return [(text.appointment.reference, text.row.kind.value, text.leaves) for text in rehearsed]


def of(reference: str, name: str, at: str, start: str | None) -> SchedulingEvent:
    return event(name, at, start, reference=reference, aliases=(f"EPIC|LAMNA|filler|{reference}|",))


def test_nothing_heard_is_nothing_told() -> None:
    assert played() == ()


def test_what_left_before_the_next_message_is_gone_and_the_rest_waits() -> None:
    rehearsed = played(event("S12", "2026-06-01 09:00", VISIT), event("S14", "2026-06-02 09:00", VISIT))
    assert [(text.row.kind, text.row.state) for text in rehearsed] == [
        (SmsKind.BOOKED, SmsState.ACCEPTED),
        (SmsKind.REMINDER, SmsState.DUE),
        (SmsKind.UPDATED, SmsState.SUPPRESSED),
    ]
    assert [text.leaves for text in rehearsed] == [True, True, False]


def test_a_text_due_at_the_very_receipt_of_a_message_has_left_before_it() -> None:
    booked = event("S12", "2026-06-01 09:00", VISIT)
    assert outcomes(played(booked, event("S15", "2026-06-01 09:01", None)))[0] == ("900100", "booked", True)
    assert outcomes(played(booked, event("S15", "2026-06-01 09:00:59", None)))[0] == ("900100", "booked", False)


def test_appointments_are_told_apart_and_told_one_after_the_other() -> None:
    rehearsed = played(
        of("1", "S12", "2026-06-01 09:00", "2026-06-20 14:00"),
        of("2", "S12", "2026-06-01 09:00:10", "2026-06-10 14:00"),
        of("1", "S15", "2026-06-01 09:00:20", None),
    )
    assert outcomes(rehearsed) == [
        ("1", "booked", False),
        ("1", "reminder", False),
        ("2", "booked", True),
        ("2", "reminder", True),
    ]
    first, _, second, _ = rehearsed
    assert first.appointment.id != second.appointment.id


def test_an_older_message_changes_nothing_that_was_told() -> None:
    cancel = event("S15", "2026-06-02 09:00", VISIT)
    late = event("S12", "2026-06-01 09:00", VISIT, received_at=local("2026-06-02 09:05"))
    assert outcomes(played(cancel, late)) == outcomes(played(cancel)) == [("900100", "canceled", True)]


def test_a_text_that_left_shows_the_state_in_which_it_left() -> None:
    rehearsed = played(event("S12", "2026-06-01 09:00", VISIT), event("S13", "2026-06-02 09:00", "2026-06-25 14:00"))
    starts = {(text.row.kind, text.row.due): text.appointment.start for text in rehearsed if text.leaves}
    assert starts == {
        (SmsKind.BOOKED, local("2026-06-01 09:01")): local(VISIT),
        (SmsKind.UPDATED, local("2026-06-02 09:01")): local("2026-06-25 14:00"),
        (SmsKind.REMINDER, local("2026-06-24 14:00")): local("2026-06-25 14:00"),
    }


def test_why_a_patient_cannot_be_texted_is_asked_of_the_state_then_known() -> None:
    def only_in_june(appointment: Appointment) -> Reason | None:
        start = appointment.start
        return None if start is not None and start < local("2026-07-01 00:00") else Reason.NO_CONSENT

    events = [event("S12", "2026-06-01 09:00", VISIT), event("S13", "2026-06-02 09:00", "2026-07-20 14:00")]
    rehearsed = rehearse(events, RULES, only_in_june, zone=NEW_YORK).texts
    assert [(text.row.kind, text.row.reason) for text in rehearsed] == [
        (SmsKind.BOOKED, Reason.BOOKED),
        (SmsKind.UPDATED, Reason.NO_CONSENT),
        (SmsKind.REMINDER, Reason.SUPERSEDED),
        (SmsKind.REMINDER, Reason.NO_CONSENT),
    ]


def test_an_event_without_a_start_is_of_the_environments_zone() -> None:
    cancel = event("S15", "2026-06-01 09:00", None)
    move = event("S13", "2026-06-02 09:00", None)
    rehearsed = rehearse([cancel, move], RULES, lambda _: None, zone="America/Phoenix").texts
    assert {text.appointment.zone for text in rehearsed} == {"America/Phoenix"}
    assert not any(text.leaves for text in rehearsed)


def test_rows_stand_in_the_order_of_their_time_and_those_without_one_last() -> None:
    history = [
        event("S12", "2026-06-01 09:00", VISIT),
        event("S14", "2026-06-02 09:00", VISIT, duration=timedelta(minutes=45)),
        event("S13", "2026-06-03 09:00", "2026-06-25 14:00"),
    ]
    dues = [text.row.due for text in played(*history)]
    assert dues[-1] is None
    timed = [due for due in dues if due is not None]
    assert len(timed) == len(dues) - 1
    assert all(earlier <= later for earlier, later in pairwise(timed))


def numbered(reference: str, name: str, at: str, start: str, visit: str) -> SchedulingEvent:
    aliases = (f"EHR|LAMNA|filler|{reference}|", f"EHR|LAMNA|visit|{visit}|")
    return event(name, at, start, reference=reference, aliases=aliases)


def test_visits_that_share_a_number_with_a_reschedule_and_stay_are_named() -> None:
    first = numbered("1", "S12", "2026-06-01 09:00", VISIT, "V")
    second = numbered("2", "S12", "2026-06-01 09:01", "2026-06-21 14:00", "V")
    moved = numbered("3", "S13", "2026-06-02 09:00", "2026-06-22 14:00", "V")
    stranger = numbered("4", "S13", "2026-06-02 09:01", "2026-06-23 14:00", "W")

    def shared(*events: SchedulingEvent) -> list[tuple[str, tuple[str, ...]]]:
        rehearsal = rehearse(events, RULES, lambda _: None, zone=NEW_YORK)
        return [(shared.appointment, shared.shares_with) for shared in rehearsal.shared_numbers]

    assert shared(first, second, moved, stranger) == [("3", ("1", "2"))]  # a series
    assert shared(first, moved) == []  # the one that is replaced does not stay
    assert shared(first, second) == []  # two bookings are two visits


def test_they_are_named_although_the_reschedule_causes_no_text() -> None:
    over = numbered("3", "S13", "2026-06-24 09:00", "2026-06-22 14:00", "V")
    series = [numbered(str(number), "S12", "2026-06-01 09:00", VISIT, "V") for number in (1, 2)]
    arrived = replace(over, status=Status.ARRIVED)
    rehearsal = rehearse([*series, arrived], RULES, lambda _: None, zone=NEW_YORK)
    assert [shared.shares_with for shared in rehearsal.shared_numbers] == [("1", "2")]
    assert {text.appointment.reference for text in rehearsal.texts} == {"1", "2"}
