"""Which reason the sentence of a trace is about: that one is explained with what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from carebell.inquiries.remedies import remedy_of
from carebell.inquiries.trace_answer import answer, reason_of, remedy
from carebell.inquiries.wait_explainer import Wait, Waiting
from scheduler.sms import Reason, SmsKind, SmsState
from store.appointments import AppointmentFacts
from store.outbox_row import OutboxRow
from tests.carebell.samples import NOW, VISIT, row

HOUR = timedelta(hours=1)
FACTS = AppointmentFacts(
    id="a" * 32, environment="production", reference="900100", references=("900100",), start=VISIT, zone="UTC", status="active",
    revision=1, changed_at=NOW, phone_fault=None, forgotten_at=None,
)  # fmt: skip


def _silence(reason: Reason, hours: int) -> OutboxRow:
    return row(
        id=f"{hours:032x}", state=SmsState.SUPPRESSED, reason=reason, final_at=NOW + hours * HOUR, revision=hours
    )


def _waiting(wait: Wait) -> tuple[OutboxRow, dict[str, Waiting]]:
    text = row(id="f" * 32, due=NOW + 9 * HOUR)
    return text, {text.id: Waiting(wait=wait, text="waits")}


def test_the_last_silence_is_the_one() -> None:
    rows = [_silence(Reason.QUIET_HOURS, 1), _silence(Reason.LANDLINE, 3), _silence(Reason.CAP, 2)]
    assert reason_of(FACTS, rows, {}) == "landline"


def test_what_nobody_misses_is_not_the_one_if_there_is_another() -> None:
    rows = [_silence(Reason.LANDLINE, 1), _silence(Reason.SUPERSEDED, 3)]
    assert reason_of(FACTS, rows, {}) == "landline"
    assert reason_of(FACTS, rows[1:], {}) == "superseded"


def test_a_text_that_arrived_after_it_needs_no_reason() -> None:
    arrived = row(state=SmsState.DELIVERED, sent_at=NOW + 5 * HOUR, final_at=NOW + 5 * HOUR)
    assert reason_of(FACTS, [_silence(Reason.QUIET_HOURS, 1), arrived], {}) is None


@pytest.mark.parametrize("wait", list(Wait))
def test_what_a_waiting_text_waits_for_counts_only_if_somebody_must_act(wait: Wait) -> None:
    text, waiting = _waiting(wait)
    goes_by_itself = wait in (Wait.TIME, Wait.QUIET_HOURS, Wait.RETRY, Wait.TURN, Wait.NEXT_ROUND)
    reason = reason_of(FACTS, [text], waiting)
    assert reason == (None if goes_by_itself else wait.value)
    assert bool(remedy_of(reason)) != goes_by_itself
    assert reason_of(FACTS, [_silence(Reason.LANDLINE, 1), text], waiting) == (
        "landline" if goes_by_itself else wait.value
    )


def test_without_any_text_there_is_none() -> None:
    assert reason_of(FACTS, [], {}) is None


def _booking(state: SmsState, code: int | None = None, hours: int = 0) -> OutboxRow:
    at = NOW + hours * HOUR
    return row(
        id="e" * 32, kind=SmsKind.BOOKED, rule="scheduled", reason=Reason.BOOKED, state=state, code=code, sent_at=at,
        final_at=None if state is SmsState.DUE else at, attempts=1, revision=0,
    )  # fmt: skip


def _sentence(rows: list[OutboxRow], waiting: dict[str, Waiting] | None = None) -> str:
    return answer(FACTS, rows, waiting or {}, {}, lambda instant: f"{instant:%H:%M}")


@pytest.mark.parametrize("silence", [Reason.LATE_BOOKING, Reason.TOO_CLOSE, Reason.PAST, Reason.LATE_RULE])
@pytest.mark.parametrize("state", [SmsState.FAILED, SmsState.UNDELIVERED])
def test_a_text_that_failed_leads_before_silences_as_they_should_be(silence: Reason, state: SmsState) -> None:
    rows = [_booking(state, 30003), _silence(silence, 3)]
    assert _sentence(rows) == (
        "The booking text did not arrive: Unreachable phone number: the handset cannot be reached: off, or out of "
        "coverage (code 30003)."
    )
    assert remedy(FACTS, rows, {}).startswith("Call the patient. If the number stays out of reach")
    arrived = [_booking(SmsState.DELIVERED), _silence(silence, 3)]
    assert _sentence(arrived).startswith("The reminder 24h text did not go")


def test_a_text_that_is_tried_again_leads_too() -> None:
    due = _booking(SmsState.DUE, 30003)
    waiting = {due.id: Waiting(wait=Wait.RETRY, text="the last attempt failed, code 30003: the handset is off")}
    rows = [_silence(Reason.LATE_BOOKING, 1), due]
    first, _, rest = _sentence(rows, waiting).partition(". ")
    assert first == "The next text, booking, due 18:00: the last attempt failed, code 30003: the handset is off"
    assert rest == "The reminder 24h text did not go: its time had passed when the visit was booked or moved."
    assert remedy(FACTS, rows, waiting).startswith("Call the patient.")
    passing = [replace(due, code=20429)]
    assert remedy(FACTS, passing, waiting) == "Nothing yet: it is tried again by itself."
    other = [_silence(Reason.QUIET_HOURS, 1), due]
    assert _sentence(other, waiting).startswith("The reminder 24h text did not go")
    assert remedy(FACTS, other, waiting) == remedy_of("quiet_hours")


def test_a_later_silence_that_somebody_must_act_on_leads() -> None:
    rows = [_booking(SmsState.FAILED, 30003), _silence(Reason.LANDLINE, 3)]
    assert _sentence(rows).startswith("The reminder 24h text did not go: only a landline is known")


@pytest.mark.parametrize("code", [21211, 21610, 30003, 30004, 30005, 30007, 99999, None])
def test_what_to_do_about_a_failure(code: int | None) -> None:
    rows = [_booking(SmsState.FAILED, code)]
    assert remedy(FACTS, rows, {})
    assert remedy(FACTS, [_booking(SmsState.DELIVERED)], {}) == ""
    if code == 21211:
        assert remedy(FACTS, rows, {}) == remedy_of("invalid_phone")


def test_a_reminder_that_was_taken_away_leads_only_where_none_is_left() -> None:
    told, gone = _booking(SmsState.DELIVERED), _silence(Reason.NO_RULE, 3)
    assert "the configuration has no such reminder for this visit any more" in _sentence([told, gone])
    due, waiting = _waiting(Wait.TIME)
    assert _sentence([told, gone, due], waiting).startswith("The last text, booking, was delivered")
