"""The code table of the HTTP gateway line by line, and what an answer without a word means."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notifier.failures import Alert, ReportStatus
from notifier.gateway import DeliveryStatus
from notifier.http_json.codes import FAILURES, STATUSES, UNKNOWN_CODE, delivery_failure_of, refusal_of
from notifier.outcomes import Context, DeliveryAction, outcome_of
from scheduler.sms import HoldScope, SmsKind
from tests.notifier.samples import NOW

CONTEXT = Context(kind=SmsKind.BOOKED, attempt=1, now=NOW, expires=NOW + timedelta(hours=8))
INVALID, OTHER, UNREACHABLE = ReportStatus.INVALID, ReportStatus.OTHER, ReportStatus.UNREACHABLE
FAILED, HOLD, RETRY = DeliveryAction.FAILED, DeliveryAction.HOLD, DeliveryAction.RETRY

# word -> (number, action, status, breaker, alert, invalid_number, opt_out)
TABLE = {
    "invalid_number": (101, FAILED, INVALID, None, None, True, False),
    "landline": (102, FAILED, INVALID, None, None, True, False),
    "nonexistent_number": (103, FAILED, ReportStatus.NONEXISTENT, None, None, True, False),
    "opted_out": (104, FAILED, ReportStatus.BLOCKED_BY_RECIPIENT, None, None, False, True),
    "country_not_allowed": (105, FAILED, UNREACHABLE, None, Alert.CONFIGURATION, False, False),
    "unreachable": (106, FAILED, UNREACHABLE, None, None, False, False),
    "blocked_number": (107, FAILED, ReportStatus.BLOCKED_NUMBER, None, None, False, False),
    "spam": (110, FAILED, ReportStatus.SPAM, None, Alert.RATE, False, False),
    "too_long": (111, FAILED, OTHER, None, Alert.CONFIGURATION, False, False),
    "invalid_request": (112, FAILED, OTHER, None, Alert.CONFIGURATION, False, False),
    "undelivered": (113, FAILED, OTHER, None, None, False, False),
    "expired": (114, DeliveryAction.EXPIRED, OTHER, None, None, False, False),
    "sender_not_allowed": (120, HOLD, None, HoldScope.SENDER, Alert.BREAKER, False, False),
    "unauthorized": (130, HOLD, None, HoldScope.ENVIRONMENT, Alert.BREAKER, False, False),
    "account_suspended": (131, HOLD, None, HoldScope.ENVIRONMENT, Alert.BREAKER, False, False),
    "wrong_address": (132, HOLD, None, HoldScope.ENVIRONMENT, Alert.BREAKER, False, False),
    "rate_limited": (140, RETRY, None, None, None, False, False),
    "unavailable": (141, RETRY, None, None, None, False, False),
    "queue_full": (142, RETRY, None, None, None, False, False),
}
ON_DELIVERY = {"sender_not_allowed": 220, "unauthorized": 230, "account_suspended": 231, "wrong_address": 232}


@pytest.mark.parametrize("word", TABLE)
def test_the_table(word: str) -> None:
    outcome = outcome_of(refusal_of(word, 400), CONTEXT)
    assert (
        outcome.code,
        outcome.action,
        outcome.status,
        outcome.breaker,
        outcome.alert,
        outcome.invalid_number,
        outcome.opt_out,
    ) == TABLE[word]
    on_delivery = outcome_of(delivery_failure_of(word), CONTEXT)
    assert on_delivery.code == ON_DELIVERY.get(word, outcome.code)
    assert (on_delivery.action, on_delivery.status, on_delivery.breaker) == (
        outcome.action,
        outcome.status,
        outcome.breaker,
    )


def test_the_table_is_complete() -> None:
    assert set(FAILURES) == {line[0] for line in TABLE.values()} | set(ON_DELIVERY.values())
    assert {failure.code for failure in FAILURES.values() if failure.of_delivery} == set(ON_DELIVERY.values())


@pytest.mark.parametrize(
    ("http_status", "word"),
    [
        (301, "wrong_address"),
        (308, "wrong_address"),
        (401, "unauthorized"),
        (402, "account_suspended"),
        (403, "unauthorized"),
        (404, "wrong_address"),
        (405, "wrong_address"),
        (410, "wrong_address"),
        (413, "too_long"),
        (425, "unavailable"),
        (429, "rate_limited"),
    ],
)
@pytest.mark.parametrize("given", [None, "", "teapot"], ids=["none", "empty", "unknown"])
def test_without_a_known_word_the_http_status_decides(http_status: int, word: str, given: str | None) -> None:
    assert refusal_of(given, http_status) == refusal_of(word, 400)


def test_a_known_word_decides_over_the_http_status() -> None:
    assert refusal_of("opted_out", 403).name == "opted_out"


@pytest.mark.parametrize("word", [None, "teapot"])
def test_a_refusal_that_nobody_knows_is_final_and_alarmed(word: str | None) -> None:
    failure = refusal_of(word, 418)
    assert (failure.code, failure.alert) == (UNKNOWN_CODE, Alert.UNMAPPED)
    assert outcome_of(failure, CONTEXT).action is FAILED
    assert UNKNOWN_CODE not in FAILURES


def test_statuses_are_our_own() -> None:
    assert {word: status.value for word, status in STATUSES.items()} == {
        word: word for word in ("accepted", "sent", "delivered", "undelivered", "failed")
    }
    assert set(STATUSES.values()) == set(DeliveryStatus)
