"""Decide the outcome of a text after an answer of the gateway: one policy for all gateways; pure.

`outcome_of()` turns the answer to a create, or the failure of a delivery, into an `Outcome`. The delivery recorder carries it
out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from notifier.failures import Alert, Failure, Handling, ReportStatus
from notifier.gateway import Accepted, Ambiguous, NotSent, Receipt, Refused
from scheduler.sms import BreakerScope, SmsKind

BACKOFF: Final = tuple(timedelta(seconds=seconds) for seconds in (2, 5, 15, 30, 60))
"""Waits after temporary faults; the last one repeats while the text is useful."""
SLOWLY: Final = timedelta(seconds=120)
UNREACHABLE_RETRIES: Final = (timedelta(seconds=60), timedelta(seconds=600))
ONCE_AFTER: Final = timedelta(seconds=60)
SHED_AFTER: Final = 2
"""After this many attempts with a full queue a reminder is given up in favour of confirmations."""
NEXT_WINDOW: Final = timedelta(hours=1)
"""The wait until the next window if the caller knows none."""


class DeliveryAction(Enum):
    """What becomes of the text."""

    ACCEPTED = "accepted"  # accepted; webhooks report the rest
    FAILED = "failed"  # for good
    RETRY = "retry"  # a new create at `Outcome.at` is safe
    HOLD = "hold"  # a new create is safe after the breaker closes; it does not count as a retry
    UNKNOWN = "unknown"  # it may have been taken: look it up, do not create it again
    EXPIRED = "expired"  # a retry would come too late to be useful


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Facts about the text of the answer.

    Attributes:
        attempt: the create that was answered, 1 for the first.
        now: UTC.
        expires: UTC; no retry starts at or after it.
        window: UTC, when the carrier's limit is over or quiet hours end; None: not known.
    """

    kind: SmsKind
    attempt: int
    now: datetime
    expires: datetime
    window: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What to do.

    Attributes:
        at: for RETRY: when, UTC, always before the text expires.
        status: for FAILED and EXPIRED: the status in the report.
        breaker: open this breaker, whatever the action.
        code: the failure's code; None: there was no failure.
        why: the transport's word for NotSent and Ambiguous.
    """

    action: DeliveryAction
    at: datetime | None = None
    status: ReportStatus | None = None
    breaker: BreakerScope | None = None
    alert: Alert | None = None
    invalid_number: bool = False
    opt_out: bool = False
    code: int | None = None
    why: str | None = None


def outcome_of(answer: Receipt | Failure, context: Context) -> Outcome:
    """The outcome of a create (a receipt) or of a delivery (its failure)."""
    match answer:
        case Accepted():
            return Outcome(action=DeliveryAction.ACCEPTED)
        case Ambiguous():
            return Outcome(action=DeliveryAction.UNKNOWN, why=answer.why)
        case NotSent():
            outcome = _retry(_backoff(context.attempt), ReportStatus.OTHER, context, None)
            return replace(outcome, why=answer.why)
        case Refused():
            return _apply(answer.failure, context, answer.retry_after)
    return _apply(answer, context, None)


def _apply(failure: Failure, context: Context, retry_after: timedelta | None) -> Outcome:
    wait: timedelta
    match failure.handling:
        case Handling.FINAL:
            return _failed(failure)
        case Handling.BREAKER:
            useful = context.now < context.expires
            return Outcome(
                action=DeliveryAction.HOLD if useful else DeliveryAction.EXPIRED,
                status=None if useful else failure.status,
                breaker=failure.breaker,
                alert=failure.alert,
                code=failure.code,
            )
        case Handling.EXPIRED:
            return Outcome(action=DeliveryAction.EXPIRED, status=failure.status, code=failure.code)
        case Handling.RETRY:
            wait = _backoff(context.attempt)
        case Handling.RETRY_SLOWLY:
            if context.kind is SmsKind.REMINDER and context.attempt >= SHED_AFTER:
                return _failed(failure)
            wait = SLOWLY
        case Handling.RETRY_UNREACHABLE:
            if context.attempt > len(UNREACHABLE_RETRIES):
                return _failed(failure)
            wait = UNREACHABLE_RETRIES[context.attempt - 1]
        case Handling.RETRY_ONCE:
            if context.attempt > 1:
                return _failed(failure)
            wait = ONCE_AFTER
        case Handling.NEXT_WINDOW:
            wait = NEXT_WINDOW if context.window is None else max(context.window - context.now, timedelta(0))
    return _retry(max(wait, retry_after or wait), failure.status, context, failure.code)


def _backoff(attempt: int) -> timedelta:
    return BACKOFF[min(max(attempt, 1), len(BACKOFF)) - 1]


def _failed(failure: Failure) -> Outcome:
    return Outcome(
        action=DeliveryAction.FAILED,
        status=failure.status,
        alert=failure.alert,
        invalid_number=failure.invalid_number,
        opt_out=failure.opt_out,
        code=failure.code,
    )


def _retry(wait: timedelta, status: ReportStatus, context: Context, code: int | None) -> Outcome:
    at = context.now + wait
    if at >= context.expires:
        return Outcome(action=DeliveryAction.EXPIRED, status=status, code=code)
    return Outcome(action=DeliveryAction.RETRY, at=at, code=code)
