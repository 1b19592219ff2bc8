"""The planner's types: kinds and reasons of a text, and the two values that a plan consists of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


class SmsKind(StrEnum):
    BOOKED = "booked"
    UPDATED = "updated"
    CANCELED = "canceled"
    REMINDER = "reminder"
    ANSWER = "answer"

    @property
    def is_confirmation(self) -> bool:
        """Whether it tells the patient what the appointment is now."""
        return self not in (SmsKind.REMINDER, SmsKind.ANSWER)


class Reason(StrEnum):
    """Why a text is sent or not; recorded for every text (sms.md)."""

    BOOKED = "booked"
    UPDATED = "updated"
    CANCELED = "canceled"  # if sent: the text tells the cancellation; if suppressed: the visit was cancelled before
    REMINDER = "reminder"
    ANSWER = "answer"  # the patient replied; not in sms.md
    OPTED_OUT = "opted_out"
    LATE_BOOKING = "late_booking"
    QUIET_HOURS = "quiet_hours"
    TOO_CLOSE = "too_close"
    NO_PHONE = "no_phone"
    INVALID_PHONE = "invalid_phone"
    LANDLINE = "landline"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NOT_ALLOW_LISTED = "not_allow_listed"
    NOT_APPROVED = "not_approved"
    NO_CONSENT = "no_consent"
    NO_VISIBLE_CHANGE = "no_visible_change"
    SUPERSEDED = "superseded"
    CAP = "cap"
    PAST = "past"
    EXPIRED = "expired"
    PURGED = "purged"
    DECEASED = "deceased"  # PID-30 or PID-29; not in sms.md
    SWITCHED_OFF = "switched_off"  # sms.confirmation.* is false; not in sms.md
    NO_TEXT = "no_text"  # the templates give no text for these values; not in sms.md
    NO_TIME = "no_time"  # the start is a date without a time of day; not in sms.md
    NO_RULE = "no_rule"  # sms.reminders has no such reminder for this visit any more; not in sms.md
    LATE_RULE = "late_rule"  # its time had passed when sms.reminders first had it for this visit; not in sms.md
    NOT_BOOKED = "not_booked"  # waitlisted, pending, held or blocked; not in sms.md


class Cap(StrEnum):
    """Which of `sms.caps` a text would have passed; the values are its keys."""

    PER_DAY = "per_day"
    PER_WEEK = "per_week"


class HoldScope(StrEnum):
    """Which texts a hold or an open breaker stops. A breaker never has the scope `all` or `approval`.

    approval: an environment's texts, until an approver has approved what it is connected to. Nobody releases it otherwise.
    """

    ALL = "all"
    ENVIRONMENT = "environment"
    SENDER = "sender"
    APPROVAL = "approval"


BreakerScope = Literal[HoldScope.ALL, HoldScope.ENVIRONMENT, HoldScope.SENDER]
"""What the events about a breaker may name; an approval is none."""


class SmsState(StrEnum):
    """The state of an outbox row (sms.md, Sending)."""

    DUE = "due"
    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSms:
    """A text to be sent.

    Attributes:
        rule: a reminder's offset as written (`7d@10:00`), a confirmation's switch (`scheduled`, `updated`, `canceled`), or an
            `AnswerRule`.
        revision: kind, rule and revision together identify the outbox row.
        due: UTC, whole minute.
        expires: UTC: after this it is no longer sent but recorded as `expired`.
    """

    kind: SmsKind
    rule: str
    revision: int
    due: datetime
    expires: datetime
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A text that is not sent, and why.

    Attributes:
        due: when it would have been sent, UTC; None if it has no time.
    """

    kind: SmsKind
    rule: str
    revision: int
    reason: Reason
    due: datetime | None = None


Desired = PlannedSms | Suppressed


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """An outbox row as the planner uses it: what was planned, and its state."""

    kind: SmsKind
    rule: str
    revision: int
    due: datetime | None
    expires: datetime | None
    state: SmsState
    reason: Reason

    @property
    def identity(self) -> tuple[SmsKind, str, int]:
        return self.kind, self.rule, self.revision

    @property
    def gone(self) -> bool:
        """Whether an attempt was made. Then the patient counts as told, whatever the result."""
        return self.state not in (SmsState.DUE, SmsState.SUPPRESSED)

    @property
    def may_have_reached(self) -> bool:
        """Whether the patient may have it, or will: an attempt was made, and nobody says that it failed."""
        return self.gone and self.state not in (SmsState.FAILED, SmsState.UNDELIVERED)
