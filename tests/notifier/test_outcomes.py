"""What becomes of a text after each kind of answer, and how retries are bounded by usefulness."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.failures import Alert, Failure, Handling, ReportStatus, unmapped
from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, NotSent, Receipt, Refused
from notifier.outcomes import (
    BACKOFF,
    NEXT_WINDOW,
    ONCE_AFTER,
    SLOWLY,
    UNREACHABLE_RETRIES,
    Context,
    DeliveryAction,
    Outcome,
    outcome_of,
)
from scheduler.sms import HoldScope, SmsKind, SmsState
from tests.notifier.samples import NOW

CONTEXT = Context(kind=SmsKind.BOOKED, attempt=1, now=NOW, expires=NOW + timedelta(hours=8))
RETRIED = (
    Handling.RETRY,
    Handling.RETRY_SLOWLY,
    Handling.RETRY_UNREACHABLE,
    Handling.RETRY_ONCE,
    Handling.NEXT_WINDOW,
)


def failure(handling: Handling, **attributes: object) -> Failure:
    return Failure(code=7, meaning="", handling=handling, **attributes)  # type: ignore[arg-type]


def test_a_final_failure_carries_all_that_the_table_says() -> None:
    last = failure(Handling.FINAL, status=ReportStatus.SPAM, alert=Alert.RATE, invalid_number=True, opt_out=True)
    expected = Outcome(
        action=DeliveryAction.FAILED,
        status=ReportStatus.SPAM,
        alert=Alert.RATE,
        invalid_number=True,
        opt_out=True,
        code=7,
    )
    assert outcome_of(last, CONTEXT) == outcome_of(Refused(failure=last), CONTEXT) == expected


def test_an_unmapped_code_fails_for_good_with_an_alert() -> None:
    outcome = outcome_of(unmapped(12345), CONTEXT)
    assert (outcome.action, outcome.status, outcome.alert) == (
        DeliveryAction.FAILED,
        ReportStatus.OTHER,
        Alert.UNMAPPED,
    )


def test_accepted_and_ambiguous() -> None:
    assert outcome_of(Accepted(message_id="m"), CONTEXT) == Outcome(action=DeliveryAction.ACCEPTED)
    assert outcome_of(Ambiguous(why="read_timeout"), CONTEXT) == Outcome(
        action=DeliveryAction.UNKNOWN, why="read_timeout"
    )


def test_not_sent_backs_off() -> None:
    waits = [outcome_of(NotSent(why="not_connected"), replace(CONTEXT, attempt=attempt)).at for attempt in range(1, 9)]
    seconds = (2, 5, 15, 30, 60, 60, 60, 60)
    assert waits == [NOW + timedelta(seconds=wait) for wait in seconds]
    assert outcome_of(NotSent(why="not_connected"), CONTEXT).why == "not_connected"


@pytest.mark.parametrize(
    ("handling", "attempt", "wait"),
    [
        (Handling.RETRY, 1, BACKOFF[0]),
        (Handling.RETRY, 40, BACKOFF[-1]),
        (Handling.RETRY_SLOWLY, 1, SLOWLY),
        (Handling.RETRY_SLOWLY, 9, SLOWLY),
        (Handling.RETRY_UNREACHABLE, 1, UNREACHABLE_RETRIES[0]),
        (Handling.RETRY_UNREACHABLE, 2, UNREACHABLE_RETRIES[1]),
        (Handling.RETRY_UNREACHABLE, 3, None),
        (Handling.RETRY_ONCE, 1, ONCE_AFTER),
        (Handling.RETRY_ONCE, 2, None),
        (Handling.NEXT_WINDOW, 5, NEXT_WINDOW),
    ],
)
def test_retries(handling: Handling, attempt: int, wait: timedelta | None) -> None:
    outcome = outcome_of(failure(handling, status=ReportStatus.UNREACHABLE), replace(CONTEXT, attempt=attempt))
    assert outcome.at == (None if wait is None else NOW + wait)
    assert outcome.action is (DeliveryAction.FAILED if wait is None else DeliveryAction.RETRY)
    assert outcome.status == (None if wait is not None else ReportStatus.UNREACHABLE)


@pytest.mark.parametrize("handling", RETRIED)
def test_a_gateway_that_asks_for_patience_gets_it(handling: Handling) -> None:
    refused = Refused(failure=failure(handling), retry_after=timedelta(hours=2))
    assert outcome_of(refused, CONTEXT).at == NOW + timedelta(hours=2)
    short = replace(refused, retry_after=timedelta(seconds=1))
    assert outcome_of(short, CONTEXT).at == outcome_of(failure(handling), CONTEXT).at


def test_the_next_window_is_the_callers_where_known() -> None:
    limit = failure(Handling.NEXT_WINDOW)
    assert outcome_of(limit, replace(CONTEXT, window=NOW + timedelta(minutes=7))).at == NOW + timedelta(minutes=7)
    assert outcome_of(limit, replace(CONTEXT, window=NOW - timedelta(minutes=7))).at == NOW


@pytest.mark.parametrize(
    "answer", [NotSent(why="not_connected"), *map(failure, (*RETRIED, Handling.BREAKER, Handling.EXPIRED))]
)
def test_no_retry_starts_once_the_text_is_useless(answer: Receipt | Failure) -> None:
    outcome = outcome_of(answer, replace(CONTEXT, expires=NOW))
    assert outcome.action is DeliveryAction.EXPIRED
    assert outcome.at is None
    assert outcome.status is not None


def test_a_retry_starts_before_the_expiry_not_at_it() -> None:
    passing = failure(Handling.RETRY)
    assert outcome_of(passing, replace(CONTEXT, expires=NOW + BACKOFF[0])).action is DeliveryAction.EXPIRED
    assert (
        outcome_of(passing, replace(CONTEXT, expires=NOW + BACKOFF[0] + timedelta(seconds=1))).action
        is DeliveryAction.RETRY
    )


def test_a_full_queue_sheds_reminders_first() -> None:
    full = failure(Handling.RETRY_SLOWLY)
    assert outcome_of(full, replace(CONTEXT, kind=SmsKind.REMINDER)).action is DeliveryAction.RETRY
    assert outcome_of(full, replace(CONTEXT, kind=SmsKind.REMINDER, attempt=2)).action is DeliveryAction.FAILED
    assert outcome_of(full, replace(CONTEXT, kind=SmsKind.CANCELED, attempt=2)).action is DeliveryAction.RETRY


@pytest.mark.parametrize("scope", HoldScope)
def test_a_breaker_is_tripped_even_by_a_text_that_is_useless_by_now(scope: HoldScope) -> None:
    account = failure(Handling.BREAKER, breaker=scope, alert=Alert.BREAKER)
    assert (outcome_of(account, CONTEXT).action, outcome_of(account, CONTEXT).breaker) == (DeliveryAction.HOLD, scope)
    assert outcome_of(account, replace(CONTEXT, expires=NOW)).breaker is scope


def test_the_report_vocabulary_is_the_products() -> None:
    assert {status.value for status in ReportStatus} == {
        "Delivered",
        "Sent",
        "Invalid phone number",
        "Unreachable phone number",
        "Phone number doesn't exist",
        "Blocked phone number",
        "Blocked by recipient",
        "Spam detected",
        "Other error",
    }


def test_a_delivery_status_is_a_state_of_the_outbox() -> None:
    assert {SmsState(status.value) for status in DeliveryStatus} < set(SmsState)
