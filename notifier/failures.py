"""What a gateway's error code means in Carebell's terms; pure.

Each gateway has a table (`notifier/<gateway>/codes.py`) that translates its codes into `Failure`s; `notifier.outcomes` uses only
these. Codes are stored as whole numbers, and no two gateways share one, so `notifier.gateways` finds the failure of a stored
code whatever gateway is in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from scheduler.sms import BreakerScope


class ReportStatus(StrEnum):
    """The Status column of the report, in the product's vocabulary. The first two are Carebell's, for texts without a failure."""

    DELIVERED = "Delivered"
    SENT = "Sent"
    INVALID = "Invalid phone number"
    UNREACHABLE = "Unreachable phone number"
    NONEXISTENT = "Phone number doesn't exist"
    BLOCKED_NUMBER = "Blocked phone number"
    BLOCKED_BY_RECIPIENT = "Blocked by recipient"
    SPAM = "Spam detected"
    OTHER = "Other error"


class Handling(Enum):
    """How a failure is handled. The waits are in `notifier.outcomes`."""

    FINAL = "final"  # the text has failed for good
    RETRY = "retry"  # again after a short wait, as long as the text is useful
    RETRY_SLOWLY = "retry_slowly"  # the sender's queue is full: long waits, and reminders are given up first
    RETRY_UNREACHABLE = "retry_unreachable"  # the handset is off: twice, minutes apart
    RETRY_ONCE = "retry_once"
    NEXT_WINDOW = "next_window"  # again when the carrier's limit opens
    BREAKER = "breaker"  # every other text would fail too: sending stops, this text waits
    EXPIRED = "expired"  # it became useless before delivery


class Alert(StrEnum):
    """The alarms for a person."""

    UNMAPPED = "unmapped"  # a code that is in no table
    CONFIGURATION = "configuration"  # the account or the template, not the patient
    RATE = "rate"  # an alarm only if there are many
    BREAKER = "breaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One line of a gateway's table.

    Attributes:
        code: the number that is stored, logged and shown; 0: the gateway gave none.
        meaning: its meaning at the gateway, for docs/reference.
        name: how the gateway writes it, if not as the number.
        status: shown in the report after a final failure.
        breaker: what it stops; None: nothing.
        invalid_number: the number must be marked unusable.
        opt_out: must be recorded as an opt-out from this sender.
        of_delivery: it concerns the delivery of an accepted text; otherwise the answer to a create.
    """

    code: int
    meaning: str
    name: str = ""
    handling: Handling = Handling.FINAL
    status: ReportStatus = ReportStatus.OTHER
    breaker: BreakerScope | None = None
    alert: Alert | None = None
    invalid_number: bool = False
    opt_out: bool = False
    of_delivery: bool = False


def unmapped(code: int, *, of_delivery: bool = False) -> Failure:
    """The failure of a code that is in no table: final, with one alarm for a person."""
    return Failure(code=code, meaning="not in the table", alert=Alert.UNMAPPED, of_delivery=of_delivery)
