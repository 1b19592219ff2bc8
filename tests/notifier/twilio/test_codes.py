"""Twilio's code table line by line, and what an answer without a known code means."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notifier.failures import Alert, Failure, ReportStatus
from notifier.gateway import DeliveryStatus, Refused
from notifier.outcomes import Context, DeliveryAction, outcome_of
from notifier.twilio.codes import FAILURES, STATUSES, failure_of, refusal_of
from scheduler.sms import HoldScope, SmsKind
from tests.notifier.samples import NOW

CONTEXT = Context(kind=SmsKind.BOOKED, attempt=1, now=NOW, expires=NOW + timedelta(hours=8))
INVALID, OTHER, UNREACHABLE = ReportStatus.INVALID, ReportStatus.OTHER, ReportStatus.UNREACHABLE

# sms.md, "Sending", the table: code -> (action, status, breaker, alert, invalid_number, opt_out)
TABLE: dict[int, tuple[DeliveryAction, ReportStatus | None, HoldScope | None, Alert | None, bool, bool]] = {
    **dict.fromkeys((21211, 21614, 21635), (DeliveryAction.FAILED, INVALID, None, None, True, False)),
    21610: (DeliveryAction.FAILED, ReportStatus.BLOCKED_BY_RECIPIENT, None, None, False, True),
    **dict.fromkeys(
        (21408, 21612, 21268), (DeliveryAction.FAILED, UNREACHABLE, None, Alert.CONFIGURATION, False, False)
    ),
    **dict.fromkeys((21617, 21608), (DeliveryAction.FAILED, OTHER, None, Alert.CONFIGURATION, False, False)),
    **dict.fromkeys(
        (21606, 21659, 21212, 21609, 30023, 30024, 30032, 30034),
        (DeliveryAction.HOLD, None, HoldScope.SENDER, Alert.BREAKER, False, False),
    ),
    **dict.fromkeys(
        (20003, 10001, 30002), (DeliveryAction.HOLD, None, HoldScope.ENVIRONMENT, Alert.BREAKER, False, False)
    ),
    **dict.fromkeys(
        (20429, 20503, 63018, 30001, 30500, 21611, 30003, 30008, 30022, 30027),
        (DeliveryAction.RETRY, None, None, None, False, False),
    ),
    30004: (DeliveryAction.FAILED, ReportStatus.BLOCKED_NUMBER, None, None, False, False),
    30005: (DeliveryAction.FAILED, ReportStatus.NONEXISTENT, None, None, True, False),
    30006: (DeliveryAction.FAILED, UNREACHABLE, None, None, True, False),
    30007: (DeliveryAction.FAILED, ReportStatus.SPAM, None, Alert.RATE, False, False),
    30036: (DeliveryAction.EXPIRED, OTHER, None, None, False, False),
    **dict.fromkeys(
        (30410, 30009, 30010, 30450, 30610, 30640),
        (DeliveryAction.FAILED, OTHER, None, Alert.CONFIGURATION, False, False),
    ),
}


@pytest.mark.parametrize("code", list(TABLE))
def test_the_table(code: int) -> None:
    for answer in (failure_of(code), Refused(failure=refusal_of(code, 400))):
        outcome = outcome_of(answer, CONTEXT)
        assert (
            outcome.action,
            outcome.status,
            outcome.breaker,
            outcome.alert,
            outcome.invalid_number,
            outcome.opt_out,
        ) == TABLE[code]
        assert outcome.code == code


def test_the_table_is_complete() -> None:
    assert set(FAILURES) == set(TABLE)


def test_codes_from_30000_on_tell_of_a_delivery() -> None:
    assert {code for code, failure in FAILURES.items() if failure.of_delivery} == {c for c in TABLE if c >= 30_000}
    assert (failure_of(29_999).of_delivery, failure_of(30_000).of_delivery) == (False, True)


@pytest.mark.parametrize("failure", [failure_of(99999), failure_of(0), refusal_of(12345, 400), refusal_of(0, 404)])
def test_unmapped_codes_fail_for_good_with_an_alert(failure: Failure) -> None:
    outcome = outcome_of(failure, CONTEXT)
    assert (outcome.action, outcome.status, outcome.alert) == (DeliveryAction.FAILED, OTHER, Alert.UNMAPPED)


def test_http_statuses_without_a_code() -> None:
    assert (outcome_of(refusal_of(0, 429), CONTEXT).action, refusal_of(0, 429).code) == (DeliveryAction.RETRY, 20429)
    assert (outcome_of(refusal_of(14107, 429), CONTEXT).action, refusal_of(14107, 429).code) == (
        DeliveryAction.RETRY,
        14107,
    )
    for status in (401, 403):
        outcome = outcome_of(refusal_of(0, status), CONTEXT)
        assert (outcome.action, outcome.breaker, outcome.code) == (DeliveryAction.HOLD, HoldScope.ENVIRONMENT, 0)
        assert refusal_of(12345, status).breaker is None


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("accepted", DeliveryStatus.ACCEPTED),
        ("scheduled", DeliveryStatus.ACCEPTED),
        ("queued", DeliveryStatus.ACCEPTED),
        ("sending", DeliveryStatus.ACCEPTED),
        ("sent", DeliveryStatus.SENT),
        ("delivered", DeliveryStatus.DELIVERED),
        ("read", DeliveryStatus.DELIVERED),
        ("undelivered", DeliveryStatus.UNDELIVERED),
        ("failed", DeliveryStatus.FAILED),
        ("canceled", DeliveryStatus.FAILED),
        ("receiving", None),
        ("teleported", None),
    ],
)
def test_statuses(word: str, expected: DeliveryStatus | None) -> None:
    assert STATUSES.get(word) is expected
