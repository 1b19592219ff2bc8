"""The claim's decisions, one by one: everything that could stop a text is asked again, in this order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from carebell.environment_policy import RuntimeConfig, runtime_config
from carebell.outbound.send_policy import SendPolicy
from parser.phone_number import PhoneNumber
from scheduler.appointment import AppointmentStatus, Visible
from scheduler.sms import Reason, SmsKind, SmsState
from store.claims import ClaimCandidate, Decision, Later, Send, Suppress
from tests.carebell.samples import NOW, SENDER, VISIT, appointment, candidate, row
from tests.story.folder import load, make

WINDOW: dict[str, Any] = {"window_revision": 1, "window_due": NOW, "window_text": True}
BOOKED = row(kind=SmsKind.BOOKED, rule="scheduled", reason=Reason.BOOKED)
CANCELED = row(kind=SmsKind.CANCELED, rule="canceled", revision=2, reason=Reason.CANCELED, expires=VISIT)
TOLD = Visible(start=VISIT)


class Purse:
    """Budgets that hold what a test puts in; `spent` is what was charged."""

    def __init__(self, turn: datetime | None = None) -> None:
        self.turn = turn
        self.spent: list[tuple[str, int]] = []

    def spend(self, sender: str, segments: int) -> datetime | None:
        if self.turn is None:
            self.spent.append((sender, segments))
        return self.turn


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> RuntimeConfig:
    return runtime_config(load(make(tmp_path_factory.mktemp("deciding") / "clinic")))


def decide(policies: RuntimeConfig, asked: ClaimCandidate, now: datetime = NOW, purse: Purse | None = None) -> Decision:
    return SendPolicy(policies, now, purse or Purse())(asked)


def reason(policies: RuntimeConfig, asked: ClaimCandidate, now: datetime = NOW) -> Reason | None:
    """Why it never leaves; None: it leaves, now or later."""
    decided = decide(policies, asked, now)
    return decided.reason if isinstance(decided, Suppress) else None


def test_a_reminder_that_nothing_stands_against_leaves_and_is_charged(policies: RuntimeConfig) -> None:
    purse = Purse()
    decision = decide(policies, candidate(), purse=purse)
    assert isinstance(decision, Send)
    assert (decision.segments, decision.appointment) == (1, None)
    assert "Lamna" in decision.text
    assert purse.spent == [(SENDER, 1)]


# What the appointment says by now


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (AppointmentStatus.CANCELED, Reason.CANCELED),
        (AppointmentStatus.DELETED, Reason.CANCELED),
        (AppointmentStatus.ENDED, Reason.PAST),
        (AppointmentStatus.NOT_BOOKED, Reason.NOT_BOOKED),
    ],
)
def test_a_reminder_of_a_visit_that_is_off_never_leaves(
    policies: RuntimeConfig, status: AppointmentStatus, why: Reason
) -> None:
    assert reason(policies, candidate(about=appointment(status=status))) is why


def test_a_cancellation_of_a_visit_that_is_on_again_never_leaves(policies: RuntimeConfig) -> None:
    assert reason(policies, candidate(CANCELED, appointment(last_notified=TOLD))) is Reason.SUPERSEDED


def test_a_reminder_of_an_older_time_never_leaves(policies: RuntimeConfig) -> None:
    assert reason(policies, candidate(about=appointment(revision=2, planned_revision=2))) is Reason.SUPERSEDED


def test_a_confirmation_gives_way_to_that_of_a_newer_window(policies: RuntimeConfig) -> None:
    newer = appointment(revision=3, last_notified=TOLD, window_revision=3, window_due=NOW, window_text=True)
    decided = decide(policies, candidate(replace(BOOKED, kind=SmsKind.UPDATED, rule="updated", revision=2), newer))
    assert decided == Suppress(reason=Reason.SUPERSEDED)  # and the newer window stays open


def test_a_confirmation_whose_delivery_is_tried_again_leaves(policies: RuntimeConfig) -> None:
    assert isinstance(decide(policies, candidate(replace(BOOKED, attempts=1), appointment(last_notified=TOLD))), Send)


def test_a_confirmation_closes_its_window_and_a_reminder_none(policies: RuntimeConfig) -> None:
    open_window = appointment(**WINDOW)
    decided = decide(policies, candidate(BOOKED, open_window))
    assert isinstance(decided, Send)
    assert decided.appointment is not None
    assert (decided.appointment.window_open, decided.appointment.last_notified) == (
        False,
        open_window.visible(_policy(policies)),
    )
    reminded = decide(policies, candidate(about=open_window))
    assert isinstance(reminded, Send)
    assert reminded.appointment is None


def test_a_news_that_came_too_late_leaves_known_what_was_known(policies: RuntimeConfig) -> None:
    moved = appointment(
        revision=2, start=VISIT + timedelta(days=1), last_notified=TOLD, **{**WINDOW, "window_revision": 2}
    )
    asked = candidate(replace(BOOKED, kind=SmsKind.UPDATED, rule="updated", revision=2, expires=NOW), moved)
    decided = decide(policies, asked, NOW + timedelta(minutes=1))
    assert isinstance(decided, Suppress)
    assert decided.reason is Reason.EXPIRED
    assert decided.appointment is not None
    assert (decided.appointment.last_notified, decided.appointment.window_open) == (TOLD, False)


# Time


@pytest.mark.parametrize(("late", "why"), [(0, None), (120, None), (121, Reason.EXPIRED)])
def test_a_text_leaves_until_it_expires(policies: RuntimeConfig, late: int, why: Reason | None) -> None:
    assert reason(policies, candidate(), NOW + timedelta(minutes=late)) is why


@pytest.mark.parametrize(("before", "why"), [(1, None), (0, Reason.PAST)])
def test_nothing_is_said_of_a_visit_that_has_begun(policies: RuntimeConfig, before: int, why: Reason | None) -> None:
    late = row(due=VISIT - timedelta(minutes=15), expires=VISIT)
    assert reason(policies, candidate(late), VISIT - timedelta(seconds=before)) is why


def test_a_cancellation_is_worth_sending_until_the_time_that_was_told(policies: RuntimeConfig) -> None:
    """The visit was moved forward and cancelled at once: the patient knows the earlier time."""
    asked = candidate(
        CANCELED,
        appointment(
            status=AppointmentStatus.CANCELED, revision=2, start=VISIT + timedelta(days=9), last_notified=TOLD, **WINDOW
        ),
    )
    asked = replace(asked, row=replace(asked.row, revision=1, expires=None))
    assert reason(policies, asked, VISIT - timedelta(minutes=1)) is None
    assert reason(policies, asked, VISIT) is Reason.PAST


def test_of_a_day_without_a_time_a_cancellation_may_go_until_it_ends(policies: RuntimeConfig) -> None:
    texts = Visible(start=NOW.replace(hour=8), date_only=True)  # midnight in Los Angeles
    off = appointment(
        status=AppointmentStatus.CANCELED, start=texts.start, date_only=True, last_notified=texts, **WINDOW
    )
    asked = candidate(replace(CANCELED, revision=1, expires=None), off)
    assert reason(policies, asked, NOW + timedelta(hours=13, minutes=59)) is None
    assert reason(policies, asked, NOW + timedelta(hours=14)) is Reason.PAST


# Several overdue reminders


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"due": NOW}, Reason.SUPERSEDED),  # nearer to the visit, and due as well
        ({"due": NOW + timedelta(minutes=1)}, None),  # its time has not come
        ({"due": NOW - timedelta(hours=1)}, None),  # farther from the visit
        ({"due": NOW, "state": SmsState.ACCEPTED}, None),  # gone
        ({"due": NOW, "kind": SmsKind.UPDATED}, None),  # no reminder
    ],
)
def test_of_several_overdue_reminders_only_the_nearest_goes(
    policies: RuntimeConfig, other: dict[str, Any], why: Reason | None
) -> None:
    mine = row(due=NOW - timedelta(minutes=30))
    past = replace(row(rule="2h").past, **other)
    assert reason(policies, replace(candidate(mine), history=(mine.past, past))) is why


# The patient and the number


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"phone": None}, Reason.NO_PHONE),
        ({"phone": None, "phone_fault": "purged"}, Reason.PURGED),
        ({"phone": PhoneNumber("+19005550143")}, Reason.INVALID_PHONE),
        ({"phone": PhoneNumber("+88216555014")}, Reason.COUNTRY_NOT_ALLOWED),
        ({"consent": False}, Reason.NO_CONSENT),
        ({"deceased": True}, Reason.DECEASED),
    ],
    ids=["none", "purged", "premium", "satellite", "consent", "deceased"],
)
def test_a_number_that_may_not_be_texted_is_not(policies: RuntimeConfig, changes: dict[str, Any], why: Reason) -> None:
    assert reason(policies, candidate(about=appointment(**changes))) is why


def test_a_test_environment_texts_its_list_alone(policies: RuntimeConfig) -> None:
    about = appointment(environment="test", phone=PhoneNumber("+12025550177"))
    assert reason(policies, candidate(row(environment="test"), about)) is Reason.NOT_ALLOW_LISTED
    assert reason(policies, candidate(row(environment="test"), appointment(environment="test"))) is None


@pytest.mark.parametrize("of", [row(), BOOKED, CANCELED], ids=["reminder", "booked", "canceled"])
def test_nobody_who_opted_out_is_texted_not_even_of_a_cancellation(policies: RuntimeConfig, of: Any) -> None:
    status = AppointmentStatus.CANCELED if of is CANCELED else AppointmentStatus.ACTIVE
    asked = candidate(of, appointment(status=status, last_notified=TOLD), opted_out=True)
    assert reason(policies, asked) is Reason.OPTED_OUT


# Caps


@pytest.mark.parametrize(("day", "week", "why"), [(2, 9, None), (3, 3, Reason.CAP), (0, 10, Reason.CAP)])
def test_a_number_gets_so_many_texts_a_day_and_a_week(
    policies: RuntimeConfig, day: int, week: int, why: Reason | None
) -> None:
    assert reason(policies, candidate(day=day, week=week)) is why
    assert reason(policies, candidate(BOOKED, appointment(**WINDOW), day=day, week=week)) is why


def test_a_cancellation_falls_under_no_cap(policies: RuntimeConfig) -> None:
    off = appointment(status=AppointmentStatus.CANCELED, last_notified=TOLD)
    assert reason(policies, candidate(CANCELED, off, day=99, week=99)) is None


# Not now


def test_what_is_held_waits_and_is_not_charged(policies: RuntimeConfig) -> None:
    purse = Purse()
    decided = decide(policies, candidate(hold="breaker: 21606"), purse=purse)
    assert isinstance(decided, Later)
    assert NOW < decided.until <= NOW + timedelta(minutes=1)
    assert purse.spent == []


def test_a_hold_does_not_keep_what_has_become_useless(policies: RuntimeConfig) -> None:
    assert reason(policies, candidate(hold="hold: drill"), NOW + timedelta(hours=3)) is Reason.EXPIRED


def test_a_sender_whose_budget_is_spent_gives_a_turn(policies: RuntimeConfig) -> None:
    turn = NOW + timedelta(seconds=7)
    assert decide(policies, candidate(), purse=Purse(turn)) == Later(until=turn)


def _policy(policies: RuntimeConfig) -> Any:
    return policies.policies["production"].planning
