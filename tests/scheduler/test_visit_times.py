"""The report's definitions, by tables; and that no order, repetition or loss of signs makes a number up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.meeting_times import MeetingSign
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState
from scheduler.visit_times import VisitOutcome, VisitTimes, visit_times

NOW = datetime(2026, 12, 3, 14, tzinfo=UTC)
OVER = VisitState.ENDED

PLANNED = "-5000 planned carebell feed"
WAITS = "0 waiting patient page"
LET_IN = "4 admitted staff page"
PROVIDER = "5 connected provider meeting"
PATIENT = "7 connected patient meeting"
PATIENT_LEAVES = "27 disconnected patient meeting"
PROVIDER_LEAVES = "30 disconnected provider meeting"
ALL = [PLANNED, WAITS, LET_IN, PROVIDER, PATIENT, PATIENT_LEAVES, PROVIDER_LEAVES]


def _sign(written: str) -> MeetingSign:
    """`minute what who source [person]`; the person is the role if it is not named."""
    minute, what, who, source, *person = written.split()
    return MeetingSign(
        at=NOW + timedelta(minutes=float(minute)),
        what=VisitEventKind(what),
        who=VisitRole(who),
        source=VisitEventSource(source),
        person=person[0] if person else who,
    )


def _times(*written: str, state: VisitState = OVER) -> VisitTimes:
    return visit_times([_sign(sign) for sign in written], state)


def _minutes(times: VisitTimes) -> tuple[float | None, float | None, float | None]:
    """Start, lobby wait and duration."""
    waited, lasted = times.lobby_wait, times.duration
    return (
        None if times.start is None else (times.start - NOW) / timedelta(minutes=1),
        None if waited is None else waited / timedelta(minutes=1),
        None if lasted is None else lasted / timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    ("signs", "start", "lobby_wait", "duration", "outcome"),
    [
        (ALL, 7, 4, 23, "completed"),
        # Start: the first activity, where both never are there.
        ([WAITS], 0, None, 0, "staff_no_show"),
        ([PROVIDER, PROVIDER_LEAVES], 5, None, 0, "no_show"),
        ([WAITS, PROVIDER, PROVIDER_LEAVES], 0, None, 0, "no_show"),
        ([WAITS, LET_IN, PATIENT, PATIENT_LEAVES], 0, 4, 0, "staff_no_show"),
        # Both joined, one after the other.
        ([PROVIDER, "6 disconnected provider meeting", PATIENT, PATIENT_LEAVES], 5, None, 22, "completed"),
        # The patient comes first.
        ([PATIENT, "9 connected provider meeting", PROVIDER_LEAVES], 9, None, 21, "completed"),
        # Another participant is admitted first.
        ([WAITS, "1 waiting guest page", "2 admitted staff page guest", LET_IN], 0, 2, None, "unknown"),
        # Nobody was admitted; the meeting tells that somebody came in.
        ([WAITS, PROVIDER, PATIENT, PATIENT_LEAVES], 7, 7, 20, "completed"),
        # Somebody comes back.
        ([*ALL, "31 connected patient meeting", "32 connected provider meeting", "40 disconnected patient meeting"],
         7, 4, 33, "completed"),
        # Left without having come, come without having left.
        ([PROVIDER, PATIENT_LEAVES], 27, None, 0, "completed"),
        ([PROVIDER, PATIENT], 7, None, None, "completed"),
        ([PROVIDER, PATIENT, PROVIDER_LEAVES], 7, None, 23, "completed"),
        # Who was let in before they waited, by another clock, did not wait.
        (["2 admitted staff meeting", "2.5 waiting patient meeting"], 2, 0, None, "unknown"),
        # A meeting that tells nothing: who lets somebody in is there, and nobody says when they leave.
        ([WAITS, LET_IN, "6 connected patient page"], 6, 4, None, "completed"),
        (["6 connected patient page"], 6, None, None, "unknown"),
        # Let in, and gone from the waiting room.
        ([WAITS, LET_IN, "9 left_lobby patient clock"], 0, 4, 0, "no_show"),
        ([PLANNED, "-90 opened_test patient page"], None, None, None, "staff_no_show"),
    ],
)  # fmt: skip
def test_the_definitions(
    signs: list[str], start: float | None, lobby_wait: float | None, duration: float | None, outcome: str
) -> None:
    times = _times(*signs)
    assert (*_minutes(times), times.outcome.value) == (start, lobby_wait, duration, outcome)


def test_the_report_wins() -> None:
    report = [
        "3 connected provider report p", "8 connected patient report a", "8 connected guest report b",
        "29 disconnected patient report a", "33 disconnected guest report b", "25 disconnected provider report p",
    ]  # fmt: skip
    times = _times(*ALL, *report)
    assert (_minutes(times), times.attendees, times.source) == ((8, 4, 25), 3, VisitEventSource.REPORT)
    by_meeting = _times(*ALL)
    assert (by_meeting.attendees, by_meeting.source) == (2, VisitEventSource.MEETING)
    assert _times(WAITS).source is VisitEventSource.PAGE


def test_a_report_without_the_patient_makes_a_no_show() -> None:
    assert _times(*ALL, "3 connected provider report p", "9 disconnected provider report p").outcome.value == "no_show"


@pytest.mark.parametrize("state", [state for state in VisitState if not state.is_over])
def test_a_visit_that_still_runs_is_in_progress(state: VisitState) -> None:
    times = _times(*ALL, state=state)
    assert (times.outcome, times.duration) == (VisitOutcome.IN_PROGRESS, None)


def test_a_canceled_visit_says_so() -> None:
    assert _times(WAITS, state=VisitState.CANCELED).outcome is VisitOutcome.CANCELED


@pytest.mark.parametrize(
    ("signs", "left"),
    [
        ([PROVIDER], None),
        ([WAITS], False),
        ([WAITS, "3 left_lobby patient page"], True),
        ([WAITS, "3 left_lobby patient page", "5 waiting patient page"], False),
        ([WAITS, "3 left_lobby patient page", PATIENT], False),
        (["1 waiting guest page", "3 left_lobby guest page"], None),
    ],
)
def test_a_patient_who_left_the_waiting_room_is_told(signs: list[str], left: bool | None) -> None:
    assert _times(*signs).left_lobby is left


@pytest.mark.parametrize("again", ["2000 rebooked carebell feed", "2000 planned carebell feed"])
def test_what_was_before_it_was_booked_again_counts_no_more(again: str) -> None:
    assert _times(*ALL, again, state=VisitState.PLANNED).start is None
    assert _minutes(_times(*ALL, again, "2010 waiting patient page"))[0] == 2010


def test_another_day_after_it_was_over_begins_anew_and_another_hour_before_does_not() -> None:
    ended, moved = "35 ended carebell clock", "40 moved carebell feed"
    assert _times(*ALL, ended, moved, state=VisitState.PLANNED).start is None
    assert _minutes(_times(*ALL, "6 moved carebell feed", ended)) == (7, 4, 23)


def test_no_order_changes_anything() -> None:
    signs = [_sign(sign) for sign in ALL[1:]]
    assert {visit_times(order, OVER) for order in permutations(signs)} == {visit_times(signs, OVER)}


signs = st.builds(
    MeetingSign,
    at=st.integers(0, 40).map(lambda minute: NOW + timedelta(minutes=minute)),
    who=st.sampled_from(VisitRole),
    what=st.sampled_from(VisitEventKind),
    source=st.sampled_from(VisitEventSource),
    person=st.sampled_from(["a", "b", None]),
)


@given(st.lists(signs, max_size=12), st.sampled_from(VisitState), st.randoms())
def test_doubled_and_reversed_signs_change_nothing(
    happened: list[MeetingSign], state: VisitState, random: object
) -> None:
    once = visit_times(happened, state)
    mixed = [*happened, *happened]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert visit_times(mixed, state) == once


@given(st.lists(signs, max_size=12), st.sampled_from(VisitState))
def test_no_number_is_made_up(happened: list[MeetingSign], state: VisitState) -> None:
    times = visit_times(happened, state)
    known = {sign.at for sign in happened}
    assert times.start is None or times.start in known
    assert times.duration is None or times.start is not None
    assert times.duration in (None, timedelta()) or times.start + times.duration in known  # type: ignore[operator]
    assert times.lobby_wait is None or times.lobby_wait >= timedelta()
    assert times.attendees <= len(happened)
    if times.outcome is VisitOutcome.IN_PROGRESS:
        assert not state.is_over
