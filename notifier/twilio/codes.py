"""Twilio's error codes (sms.md, "Sending") and message statuses in Carebell's terms; pure.

One table serves both the answer to the create and the later status callback. From 30000 on
a code concerns a delivery. Source: https://www.twilio.com/docs/api/errors and "Message status values".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from notifier.failures import Alert, Failure, Handling, ReportStatus, unmapped
from notifier.gateway import DeliveryStatus
from scheduler.sms import BreakerScope, HoldScope

STATUSES: Final[dict[str, DeliveryStatus]] = {
    "accepted": DeliveryStatus.ACCEPTED,
    "scheduled": DeliveryStatus.ACCEPTED,
    "queued": DeliveryStatus.ACCEPTED,
    "sending": DeliveryStatus.ACCEPTED,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
"""Twilio's status -> Carebell's status. Any other status is ignored."""

RATE_LIMITED: Final = 20429
NOT_YET_FINAL: Final = 20009
_FIRST_OF_DELIVERY: Final = 30_000


def _final(code: int, meaning: str, status: ReportStatus = ReportStatus.OTHER, alert: Alert | None = None) -> Failure:
    return Failure(code=code, meaning=meaning, status=status, alert=alert)


def _bad_number(code: int, meaning: str, status: ReportStatus) -> Failure:
    return Failure(code=code, meaning=meaning, status=status, invalid_number=True)


def _breaker(code: int, meaning: str, scope: BreakerScope) -> Failure:
    return Failure(code=code, meaning=meaning, handling=Handling.BREAKER, breaker=scope, alert=Alert.BREAKER)


def _passing(code: int, meaning: str, handling: Handling = Handling.RETRY) -> Failure:
    return Failure(code=code, meaning=meaning, handling=handling)


def _lines() -> Iterator[Failure]:
    # the number
    yield _bad_number(21211, "the recipient is no telephone number", ReportStatus.INVALID)
    yield _bad_number(21614, "the recipient cannot receive texts", ReportStatus.INVALID)
    yield _bad_number(21635, "the recipient is a landline", ReportStatus.INVALID)
    yield replace(
        _final(21610, "the recipient has replied STOP to this sender", ReportStatus.BLOCKED_BY_RECIPIENT), opt_out=True
    )
    yield _final(21408, "the region is not enabled in the account", ReportStatus.UNREACHABLE, Alert.CONFIGURATION)
    yield _final(21612, "no route from this sender to this recipient", ReportStatus.UNREACHABLE, Alert.CONFIGURATION)
    yield _final(21268, "a premium-rate number", ReportStatus.UNREACHABLE, Alert.CONFIGURATION)
    yield _final(21617, "the text is too long", alert=Alert.CONFIGURATION)
    yield _final(21608, "a trial account may text verified numbers only", alert=Alert.CONFIGURATION)
    # the sender and the account
    yield _breaker(21606, "the sender is not a number of the account that can text", HoldScope.SENDER)
    yield _breaker(21659, "the sender is not a number or short code of the account", HoldScope.SENDER)
    yield _breaker(21212, "the sender is no telephone number", HoldScope.SENDER)
    yield _breaker(21609, "the callback address is not valid", HoldScope.SENDER)
    yield _breaker(30023, "the carrier's daily limit for the brand", HoldScope.SENDER)
    yield _breaker(30024, "the sender is not provisioned by the carrier", HoldScope.SENDER)
    yield _breaker(30032, "the toll-free sender is not verified", HoldScope.SENDER)
    yield _breaker(30034, "the sender belongs to no registered campaign", HoldScope.SENDER)
    yield _breaker(20003, "wrong account or token", HoldScope.ENVIRONMENT)
    yield _breaker(10001, "the account is not active", HoldScope.ENVIRONMENT)
    yield _breaker(30002, "the account is suspended", HoldScope.ENVIRONMENT)
    # passing trouble
    yield _passing(RATE_LIMITED, "too many requests")
    yield _passing(20503, "the service is unavailable for a moment")
    yield _passing(63018, "the sender's rate limit")
    yield _passing(30001, "the queue overflowed")
    yield _passing(30500, "an internal failure at the gateway")
    yield _passing(21611, "the sender's queue is full", Handling.RETRY_SLOWLY)
    yield replace(
        _passing(30003, "the handset cannot be reached: off, or out of coverage", Handling.RETRY_UNREACHABLE),
        status=ReportStatus.UNREACHABLE,
    )
    yield _passing(30008, "delivery failed without a given reason", Handling.RETRY_ONCE)
    yield _passing(30022, "the carrier's rate limit for the campaign", Handling.NEXT_WINDOW)
    yield _passing(30027, "the carrier's daily limit for the campaign", Handling.NEXT_WINDOW)
    # the carrier's last word
    yield _final(30004, "the recipient's number is blocked for texts", ReportStatus.BLOCKED_NUMBER)
    yield _bad_number(30005, "the number does not exist or is no longer in use", ReportStatus.NONEXISTENT)
    yield _bad_number(30006, "a landline, or a carrier that cannot be reached", ReportStatus.UNREACHABLE)
    yield _final(30007, "the carrier filtered it as spam", ReportStatus.SPAM, Alert.RATE)
    yield _passing(30036, "its validity period ended before delivery", Handling.EXPIRED)
    yield _final(30410, "the provider timed out", alert=Alert.CONFIGURATION)
    yield _final(30009, "a part of the text is missing", alert=Alert.CONFIGURATION)
    yield _final(30010, "the text costs more than the limit given", alert=Alert.CONFIGURATION)
    yield _final(30450, "not delivered; see the dictionary", alert=Alert.CONFIGURATION)
    yield _final(30610, "not delivered; see the dictionary", alert=Alert.CONFIGURATION)
    yield _final(30640, "not delivered; see the dictionary", alert=Alert.CONFIGURATION)


FAILURES: Final[dict[int, Failure]] = {
    line.code: replace(line, of_delivery=line.code >= _FIRST_OF_DELIVERY) for line in _lines()
}

_NO_CODE: Final = unmapped(0)
_NO_ACCESS: Final = _breaker(0, "wrong account or token", HoldScope.ENVIRONMENT)


def failure_of(code: int) -> Failure:
    """The table's line, or an unmapped failure."""
    return FAILURES.get(code) or unmapped(code, of_delivery=code >= _FIRST_OF_DELIVERY)


def refusal_of(code: int, http_status: int) -> Failure:
    """The failure in an answer to a create. If its code is unknown, the HTTP status decides: 429 waits, 401 and 403 stop
    everything."""
    if code in FAILURES:
        return FAILURES[code]
    if http_status == 429:
        return replace(FAILURES[RATE_LIMITED], code=code or RATE_LIMITED)
    if code == 0:
        return _NO_ACCESS if http_status in (401, 403) else _NO_CODE
    return unmapped(code, of_delivery=code >= _FIRST_OF_DELIVERY)
