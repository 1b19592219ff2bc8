"""The code table line by line, and how retries are bounded by usefulness."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.gateway import Accepted, Ambiguous, NotSent, Refused
from notifier.outcomes import (
    BACKOFF,
    CODES,
    NEXT_WINDOW,
    SLOWLY,
    Action,
    Alert,
    Context,
    Outcome,
    ReportStatus,
    Scope,
    policy,
)
from scheduler.messages import Kind
from tests.notifier.samples import NOW

CONTEXT = Context(kind=Kind.BOOKED, attempt=1, now=NOW, expires=NOW + timedelta(hours=8))
INVALID, OTHER, UNREACHABLE = ReportStatus.INVALID, ReportStatus.OTHER, ReportStatus.UNREACHABLE

# sms.md, "Sending", the table: code -> (action, status, breaker, alert, number_bad, opt_out)
TABLE: dict[int, tuple[Action, ReportStatus | None, Scope | None, Alert | None, bool, bool]] = {
    **dict.fromkeys((21211, 21614, 21635), (Action.FAILED, INVALID, None, None, True, False)),
    21610: (Action.FAILED, ReportStatus.BLOCKED_BY_RECIPIENT, None, None, False, True),
    **dict.fromkeys((21408, 21612, 21268), (Action.FAILED, UNREACHABLE, None, Alert.CONFIGURATION, False, False)),
    **dict.fromkeys((21617, 21608), (Action.FAILED, OTHER, None, Alert.CONFIGURATION, False, False)),
    **dict.fromkeys(
        (21606, 21659, 21212, 21609, 30023, 30024, 30032, 30034),
        (Action.HOLD, None, Scope.SENDER, Alert.BREAKER, False, False),
    ),
    **dict.fromkeys((20003, 10001, 30002), (Action.HOLD, None, Scope.ENVIRONMENT, Alert.BREAKER, False, False)),
    **dict.fromkeys(
        (20429, 20503, 63018, 30001, 30500, 21611, 30003, 30008, 30022, 30027),
        (Action.RETRY, None, None, None, False, False),
    ),
    30004: (Action.FAILED, ReportStatus.BLOCKED_NUMBER, None, None, False, False),
    30005: (Action.FAILED, ReportStatus.NONEXISTENT, None, None, True, False),
    30006: (Action.FAILED, UNREACHABLE, None, None, True, False),
    30007: (Action.FAILED, ReportStatus.SPAM, None, Alert.RATE, False, False),
    30036: (Action.EXPIRED, OTHER, None, None, False, False),
    **dict.fromkeys(
        (30410, 30009, 30010, 30450, 30610, 30640), (Action.FAILED, OTHER, None, Alert.CONFIGURATION, False, False)
    ),
}


@pytest.mark.parametrize("code", list(TABLE))
def test_the_table(code: int) -> None:
    for answer in (code, Refused(code=code, http_status=400)):
        found = policy(answer, CONTEXT)
        assert (found.action, found.status, found.breaker, found.alert, found.number_bad, found.opt_out) == TABLE[code]
        assert found.code == code


def test_the_table_is_complete() -> None:
    assert set(CODES) == set(TABLE)


@pytest.mark.parametrize("answer", [99999, 0, Refused(code=12345, http_status=400), Refused(code=0, http_status=404)])
def test_unmapped_codes_fail_for_good_with_an_alert(answer: int | Refused) -> None:
    found = policy(answer, CONTEXT)
    assert (found.action, found.status, found.alert) == (Action.FAILED, OTHER, Alert.UNMAPPED)


def test_http_statuses_without_a_code() -> None:
    assert policy(Refused(code=0, http_status=429), CONTEXT).action is Action.RETRY
    assert policy(Refused(code=14107, http_status=429), CONTEXT).action is Action.RETRY
    for status in (401, 403):
        found = policy(Refused(code=0, http_status=status), CONTEXT)
        assert (found.action, found.breaker) == (Action.HOLD, Scope.ENVIRONMENT)


def test_accepted_and_ambiguous() -> None:
    assert policy(Accepted(sid="SM", status="queued"), CONTEXT) == Outcome(action=Action.ACCEPTED)
    assert policy(Ambiguous(why="read_timeout"), CONTEXT) == Outcome(action=Action.UNKNOWN, why="read_timeout")


def test_not_sent_backs_off() -> None:
    waits = [policy(NotSent(why="not_connected"), replace(CONTEXT, attempt=attempt)).at for attempt in range(1, 9)]
    seconds = (2, 5, 15, 30, 60, 60, 60, 60)
    assert waits == [NOW + timedelta(seconds=wait) for wait in seconds]
    assert policy(NotSent(why="not_connected"), CONTEXT).why == "not_connected"


@pytest.mark.parametrize(
    ("code", "attempt", "wait"),
    [
        (20429, 1, BACKOFF[0]),
        (20429, 40, BACKOFF[-1]),
        (21611, 1, SLOWLY),
        (21611, 9, SLOWLY),
        (30003, 1, timedelta(seconds=60)),
        (30003, 2, timedelta(seconds=600)),
        (30003, 3, None),
        (30008, 1, timedelta(seconds=60)),
        (30008, 2, None),
        (30022, 5, NEXT_WINDOW),
    ],
)
def test_retries(code: int, attempt: int, wait: timedelta | None) -> None:
    found = policy(code, replace(CONTEXT, attempt=attempt))
    assert found.at == (None if wait is None else NOW + wait)
    assert found.action is (Action.FAILED if wait is None else Action.RETRY)
    assert found.status == (None if wait is not None else CODES[code].status)


def test_the_next_window_is_the_callers_where_known() -> None:
    assert policy(30027, replace(CONTEXT, window=NOW + timedelta(minutes=7))).at == NOW + timedelta(minutes=7)
    assert policy(30027, replace(CONTEXT, window=NOW - timedelta(minutes=7))).at == NOW


@pytest.mark.parametrize("answer", [20429, 21611, 30003, 30008, 30022, NotSent(why="not_connected"), 20003, 21606])
def test_no_retry_starts_once_the_text_is_useless(answer: int | NotSent) -> None:
    found = policy(answer, replace(CONTEXT, expires=NOW))
    assert found.action is Action.EXPIRED
    assert found.at is None
    assert found.status is not None


def test_a_retry_starts_before_the_expiry_not_at_it() -> None:
    assert policy(20429, replace(CONTEXT, expires=NOW + BACKOFF[0])).action is Action.EXPIRED
    assert policy(20429, replace(CONTEXT, expires=NOW + BACKOFF[0] + timedelta(seconds=1))).action is Action.RETRY


def test_a_full_queue_sheds_reminders_first() -> None:
    assert policy(21611, replace(CONTEXT, kind=Kind.REMINDER)).action is Action.RETRY
    assert policy(21611, replace(CONTEXT, kind=Kind.REMINDER, attempt=2)).action is Action.FAILED
    assert policy(21611, replace(CONTEXT, kind=Kind.CANCELED, attempt=2)).action is Action.RETRY


def test_a_breaker_is_tripped_even_by_a_text_that_is_useless_by_now() -> None:
    assert policy(20003, replace(CONTEXT, expires=NOW)).breaker is Scope.ENVIRONMENT


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
