"""What an answer of the gateway means for the text: the code table of sms.md as data, and the policy over it; pure.

One table serves both moments at which Twilio speaks: the answer to the create, and the status callback after it (30xxx).
`policy()` turns a receipt or a code into an `Outcome`; the dispatcher and the callbacks act on it and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Final

from notifier.gateway import Accepted, Ambiguous, NotSent, Receipt, Refused
from scheduler.messages import Kind


class ReportStatus(StrEnum):
    """The Status column of the report, in the product's vocabulary; the first two are ours for texts that got through."""

    DELIVERED = "Delivered"
    SENT = "Sent"
    INVALID = "Invalid phone number"
    UNREACHABLE = "Unreachable phone number"
    NONEXISTENT = "Phone number doesn't exist"
    BLOCKED_NUMBER = "Blocked phone number"
    BLOCKED_BY_RECIPIENT = "Blocked by recipient"
    SPAM = "Spam detected"
    OTHER = "Other error"


class Action(Enum):
    """What becomes of the text."""

    ACCEPTED = "accepted"  # on its way; callbacks tell the rest
    FAILED = "failed"  # for good
    RETRY = "retry"  # a new create at `Outcome.at` is safe
    HOLD = "hold"  # a new create is safe once the breaker closes; spends no retry
    UNKNOWN = "unknown"  # it may have been taken: look it up, never a blind create
    EXPIRED = "expired"  # a retry would come too late to be of use


class Scope(Enum):
    """What a breaker stops."""

    SENDER = "sender"
    ENVIRONMENT = "environment"


class Alert(StrEnum):
    """What a person should be told."""

    UNMAPPED = "unmapped"  # a code that the table does not know
    CONFIGURATION = "configuration"  # the account or the template, not the patient
    RATE = "rate"  # alarming only in numbers
    BREAKER = "breaker"


class _Kind(Enum):
    PERMANENT = "permanent"
    RETRY = "retry"
    SLOW = "slow"
    UNREACHABLE = "unreachable"
    ONCE = "once"
    WINDOW = "window"
    BREAKER = "breaker"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table.

    Attributes:
        status: shown in the report once the text has failed for good.
        breaker: what it stops; None: nothing.
        number_bad: the number itself is to be marked unusable.
        opt_out: to be recorded as an opt-out of this sender.
    """

    kind: _Kind
    status: ReportStatus = ReportStatus.OTHER
    breaker: Scope | None = None
    alert: Alert | None = None
    number_bad: bool = False
    opt_out: bool = False


def _permanent(status: ReportStatus, alert: Alert | None = None, *, bad: bool = False, opt_out: bool = False) -> Rule:
    return Rule(kind=_Kind.PERMANENT, status=status, alert=alert, number_bad=bad, opt_out=opt_out)


_BREAK_SENDER: Final = Rule(kind=_Kind.BREAKER, breaker=Scope.SENDER, alert=Alert.BREAKER)
_BREAK_ENVIRONMENT: Final = Rule(kind=_Kind.BREAKER, breaker=Scope.ENVIRONMENT, alert=Alert.BREAKER)
_RETRY: Final = Rule(kind=_Kind.RETRY)
_ALERT: Final = _permanent(ReportStatus.OTHER, Alert.CONFIGURATION)
_UNMAPPED: Final = _permanent(ReportStatus.OTHER, Alert.UNMAPPED)

CODES: Final[dict[int, Rule]] = {
    # the number
    21211: _permanent(ReportStatus.INVALID, bad=True),
    21614: _permanent(ReportStatus.INVALID, bad=True),
    21635: _permanent(ReportStatus.INVALID, bad=True),
    21610: _permanent(ReportStatus.BLOCKED_BY_RECIPIENT, opt_out=True),
    21408: _permanent(ReportStatus.UNREACHABLE, Alert.CONFIGURATION),  # region not enabled in the account
    21612: _permanent(ReportStatus.UNREACHABLE, Alert.CONFIGURATION),  # no route from this sender
    21268: _permanent(ReportStatus.UNREACHABLE, Alert.CONFIGURATION),  # premium number
    21617: _ALERT,  # body too long
    21608: _ALERT,  # trial account
    # the sender and the account
    **dict.fromkeys((21606, 21659, 21212, 21609, 30023, 30024, 30032, 30034), _BREAK_SENDER),
    **dict.fromkeys((20003, 10001, 30002), _BREAK_ENVIRONMENT),
    # passing trouble
    **dict.fromkeys((20429, 20503, 63018, 30001, 30500), _RETRY),
    21611: Rule(kind=_Kind.SLOW),  # the sender's queue is full
    30003: Rule(kind=_Kind.UNREACHABLE, status=ReportStatus.UNREACHABLE),  # handset off
    30008: Rule(kind=_Kind.ONCE),
    30022: Rule(kind=_Kind.WINDOW),  # the carrier's limit of the day or minute
    30027: Rule(kind=_Kind.WINDOW),
    # the carrier's last word
    30004: _permanent(ReportStatus.BLOCKED_NUMBER),
    30005: _permanent(ReportStatus.NONEXISTENT, bad=True),
    30006: _permanent(ReportStatus.UNREACHABLE, bad=True),
    30007: _permanent(ReportStatus.SPAM, Alert.RATE),
    30036: Rule(kind=_Kind.EXPIRED),
    **dict.fromkeys((30410, 30009, 30010, 30450, 30610, 30640), _ALERT),
}

BACKOFF: Final = tuple(timedelta(seconds=seconds) for seconds in (2, 5, 15, 30, 60))
"""Waits after passing trouble; the last one repeats while the text is useful."""
SLOWLY: Final = timedelta(seconds=120)
UNREACHABLE_RETRIES: Final = (timedelta(seconds=60), timedelta(seconds=600))
ONCE_AFTER: Final = timedelta(seconds=60)
SHED_AFTER: Final = 2
"""Attempts against a full queue after which a reminder gives way to confirmations."""
NEXT_WINDOW: Final = timedelta(hours=1)
"""Until the next window where the caller knows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Of the text the answer is about.

    Attributes:
        attempt: the create that was answered, 1 for the first.
        now: UTC.
        expires: UTC; no retry starts at or after it.
        window: UTC, when the carrier's limit opens again or quiet hours end; None: not known.
    """

    kind: Kind
    attempt: int
    now: datetime
    expires: datetime
    window: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What to do.

    Attributes:
        at: for RETRY: when, UTC, always before the text expires.
        status: for FAILED and EXPIRED: what the report shows.
        breaker: trip this one, whatever the action.
        code: Twilio's; None where there was none.
        why: the transport's word for NotSent and Ambiguous.
    """

    action: Action
    at: datetime | None = None
    status: ReportStatus | None = None
    breaker: Scope | None = None
    alert: Alert | None = None
    number_bad: bool = False
    opt_out: bool = False
    code: int | None = None
    why: str | None = None


def policy(answer: Receipt | int, context: Context) -> Outcome:
    """The outcome of a create (a receipt) or of a delivery (the callback's or log's error code)."""
    if isinstance(answer, Accepted):
        return Outcome(action=Action.ACCEPTED)
    if isinstance(answer, Ambiguous):
        return Outcome(action=Action.UNKNOWN, why=answer.why)
    if isinstance(answer, NotSent):
        outcome = _retry(_backoff(context.attempt), ReportStatus.OTHER, context, None)
        return Outcome(action=outcome.action, at=outcome.at, status=outcome.status, why=answer.why)
    code = answer.code if isinstance(answer, Refused) else answer
    return _apply(rule_of(answer), code, context)


def rule_of(answer: Refused | int) -> Rule:
    """The table's line; for an HTTP answer without a known code, its status decides: 429 waits, 401 and 403 stop everything."""
    if isinstance(answer, int):
        return CODES.get(answer, _UNMAPPED)
    if answer.code in CODES:
        return CODES[answer.code]
    if answer.http_status == 429:
        return _RETRY
    if answer.http_status in (401, 403) and answer.code == 0:
        return _BREAK_ENVIRONMENT
    return _UNMAPPED


def _apply(rule: Rule, code: int, context: Context) -> Outcome:
    match rule.kind:
        case _Kind.PERMANENT:
            return Outcome(
                action=Action.FAILED,
                status=rule.status,
                alert=rule.alert,
                number_bad=rule.number_bad,
                opt_out=rule.opt_out,
                code=code,
            )
        case _Kind.BREAKER:
            useful = context.now < context.expires
            return Outcome(
                action=Action.HOLD if useful else Action.EXPIRED,
                status=None if useful else rule.status,
                breaker=rule.breaker,
                alert=rule.alert,
                code=code,
            )
        case _Kind.EXPIRED:
            return Outcome(action=Action.EXPIRED, status=rule.status, code=code)
        case _Kind.RETRY:
            return _retry(_backoff(context.attempt), rule.status, context, code)
        case _Kind.SLOW:
            shed = context.kind is Kind.REMINDER and context.attempt >= SHED_AFTER
            return _failed(rule, code) if shed else _retry(SLOWLY, rule.status, context, code)
        case _Kind.UNREACHABLE:
            if context.attempt > len(UNREACHABLE_RETRIES):
                return _failed(rule, code)
            return _retry(UNREACHABLE_RETRIES[context.attempt - 1], rule.status, context, code)
        case _Kind.ONCE:
            return _failed(rule, code) if context.attempt > 1 else _retry(ONCE_AFTER, rule.status, context, code)
        case _Kind.WINDOW:
            wait = NEXT_WINDOW if context.window is None else max(context.window - context.now, timedelta(0))
            return _retry(wait, rule.status, context, code)


def _backoff(attempt: int) -> timedelta:
    return BACKOFF[min(max(attempt, 1), len(BACKOFF)) - 1]


def _failed(rule: Rule, code: int) -> Outcome:
    return Outcome(action=Action.FAILED, status=rule.status, alert=rule.alert, code=code)


def _retry(wait: timedelta, status: ReportStatus, context: Context, code: int | None) -> Outcome:
    at = context.now + wait
    if at >= context.expires:
        return Outcome(action=Action.EXPIRED, status=status, code=code)
    return Outcome(action=Action.RETRY, at=at, code=code)
