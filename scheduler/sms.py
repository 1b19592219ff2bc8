"""The planner's vocabulary: kinds, reasons, and the two values a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SmsKind(StrEnum):
    BOOKED = "booked"
    UPDATED = "updated"
    CANCELED = "canceled"
    REMINDER = "reminder"


class Reason(StrEnum):
    """Why a text goes or does not; recorded for every text and every silence (sms.md)."""

    BOOKED = "booked"
    UPDATED = "updated"
    CANCELED = "canceled"  # of a text: it tells the cancellation; of a silence: the visit was cancelled first
    REMINDER = "reminder"
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
    DECEASED = "deceased"  # ours: PID-30 or PID-29
    SWITCHED_OFF = "switched_off"  # ours: sms.confirmation.* is false
    NO_TEXT = "no_text"  # ours: the templates give no text for these values
    NO_TIME = "no_time"  # ours: the start is a date without a time of day
    NOT_BOOKED = "not_booked"  # ours: waitlisted, pending, held or blocked


class HoldScope(StrEnum):
    """Which texts a hold or an open breaker keeps back; a breaker is never for all."""

    ALL = "all"
    ENVIRONMENT = "environment"
    SENDER = "sender"


class SmsState(StrEnum):
    """Where an outbox row stands (sms.md, Sending)."""

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
    """A text that should leave.

    Attributes:
        rule: a reminder's offset as written (`7d@10:00`), a confirmation's switch (`scheduled`, `updated`, `canceled`).
        revision: with kind and rule the outbox row's identity.
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
    """A text that does not leave, and why.

    Attributes:
        due: when it would have left, UTC; None where there was no such time.
    """

    kind: SmsKind
    rule: str
    revision: int
    reason: Reason
    due: datetime | None = None


Desired = PlannedSms | Suppressed


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """An outbox row as the planner sees it: what was planned before, and what became of it."""

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
        """Whether an attempt was made: it counts as told, whatever became of it."""
        return self.state not in (SmsState.DUE, SmsState.SUPPRESSED)
