"""Which reason the sentence of a trace is about: that one is explained with what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from carebell.inquiries.remedies import remedy_of
from carebell.inquiries.trace_answer import reason_of
from carebell.inquiries.wait_explainer import Wait, Waiting
from scheduler.sms import Reason, SmsState
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
