"""The code table of the HTTP gateway: the words of the protocol, and the meaning of an answer without a word; pure.

A gateway names a failure by a word, such as `invalid_number`; Carebell stores and shows its number. From 200 on a code concerns a
delivery. This matters for codes that open a breaker: after a delivery failure an accepted create proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from notifier.failures import Alert, Failure, Handling, ReportStatus, unmapped
from notifier.gateway import DeliveryStatus
from scheduler.sms import BreakerScope, HoldScope

STATUSES: Final[dict[str, DeliveryStatus]] = {status.value: status for status in DeliveryStatus}
"""The protocol's status words are those of Carebell. Any other word gives no new status."""

UNKNOWN_CODE: Final = 199
_ON_DELIVERY: Final = 100
"""Added to the number of a word that comes with a status."""


def _final(code: int, name: str, meaning: str, status: ReportStatus, alert: Alert | None = None) -> Failure:
    return Failure(code=code, name=name, meaning=meaning, status=status, alert=alert)


def _bad_number(code: int, name: str, meaning: str, status: ReportStatus) -> Failure:
    return Failure(code=code, name=name, meaning=meaning, status=status, invalid_number=True)


def _breaker(code: int, name: str, meaning: str, scope: BreakerScope) -> Failure:
    return Failure(code=code, name=name, meaning=meaning, handling=Handling.BREAKER, breaker=scope, alert=Alert.BREAKER)


def _passing(code: int, name: str, meaning: str, handling: Handling = Handling.RETRY) -> Failure:
    return Failure(code=code, name=name, meaning=meaning, handling=handling)


def _lines() -> Iterator[Failure]:
    # rejected for good: the number
    yield _bad_number(101, "invalid_number", "the recipient is no telephone number", ReportStatus.INVALID)
    yield _bad_number(102, "landline", "the recipient cannot receive texts", ReportStatus.INVALID)
    yield _bad_number(103, "nonexistent_number", "the number is not in use", ReportStatus.NONEXISTENT)
    yield replace(
        _final(104, "opted_out", "the recipient wants no texts from this sender", ReportStatus.BLOCKED_BY_RECIPIENT),
        opt_out=True,
    )
    yield _final(
        105,
        "country_not_allowed",
        "the gateway does not text this country",
        ReportStatus.UNREACHABLE,
        Alert.CONFIGURATION,
    )
    yield _final(106, "unreachable", "the handset or its carrier cannot be reached", ReportStatus.UNREACHABLE)
    yield _final(107, "blocked_number", "the number is blocked for texts", ReportStatus.BLOCKED_NUMBER)
    # rejected for good: the text
    yield _final(110, "spam", "the carrier filtered it as spam", ReportStatus.SPAM, Alert.RATE)
    yield _final(111, "too_long", "the text is too long", ReportStatus.OTHER, Alert.CONFIGURATION)
    yield _final(112, "invalid_request", "the gateway does not understand it", ReportStatus.OTHER, Alert.CONFIGURATION)
    yield _final(113, "undelivered", "delivery failed for another reason", ReportStatus.OTHER)
    yield _passing(114, "expired", "its time ended before delivery", Handling.EXPIRED)
    # the sender and the account: nothing else would be taken either
    yield _breaker(120, "sender_not_allowed", "the account may not text from this sender", HoldScope.SENDER)
    yield _breaker(130, "unauthorized", "the token is wrong, or may not send", HoldScope.ENVIRONMENT)
    yield _breaker(131, "account_suspended", "the account is suspended, or has no credit", HoldScope.ENVIRONMENT)
    yield _breaker(132, "wrong_address", "nobody takes texts at this address, or it has moved", HoldScope.ENVIRONMENT)
    # retried later
    yield _passing(140, "rate_limited", "too many requests")
    yield _passing(141, "unavailable", "it cannot take texts now, and has not taken this one")
    yield _passing(142, "queue_full", "the sender's queue is full", Handling.RETRY_SLOWLY)


_BY_NAME: Final = {line.name: line for line in _lines()}
_BY_NAME_ON_DELIVERY: Final = {
    line.name: replace(line, code=line.code + _ON_DELIVERY, of_delivery=True)
    for line in _lines()
    if line.handling is Handling.BREAKER
}
FAILURES: Final[dict[int, Failure]] = {line.code: line for line in (*_BY_NAME.values(), *_BY_NAME_ON_DELIVERY.values())}
"""By number."""

_BY_STATUS: Final[dict[int, str]] = {
    401: "unauthorized",
    402: "account_suspended",
    403: "unauthorized",
    404: "wrong_address",
    405: "wrong_address",
    410: "wrong_address",
    413: "too_long",
    425: "unavailable",
    429: "rate_limited",
}
"""HTTP status of a refusal without a known word -> the word that it means."""


def refusal_of(name: str | None, http_status: int) -> Failure:
    """The failure of a create that was answered with a 3xx or 4xx: by its word, otherwise by its HTTP status."""
    if name is not None and name in _BY_NAME:
        return _BY_NAME[name]
    if 300 <= http_status < 400:
        return _BY_NAME["wrong_address"]
    if http_status in _BY_STATUS:
        return _BY_NAME[_BY_STATUS[http_status]]
    return unmapped(UNKNOWN_CODE)


def delivery_failure_of(name: str) -> Failure:
    """The failure in a status: the line of its word, or an unmapped failure."""
    return _BY_NAME_ON_DELIVERY.get(name) or _BY_NAME.get(name) or unmapped(UNKNOWN_CODE, of_delivery=True)
