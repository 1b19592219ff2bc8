"""What a gateway's error code means, in our words; pure.

Each gateway has a table of its own (`notifier/<gateway>/codes.py`) that translates its codes into `Failure`s; `notifier.outcomes`
acts on these and on nothing else. Codes are whole numbers, because they are stored as such, and no two gateways share one:
`notifier.gateways` finds the failure of a stored code whatever the gateway in use is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from scheduler.sms import HoldScope


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


class Handling(Enum):
    """What is done about a failure; the waits are in `notifier.outcomes`."""

    FINAL = "final"  # the text has failed for good
    RETRY = "retry"  # again after a short wait, as often as it is of use
    RETRY_SLOWLY = "retry_slowly"  # the sender's queue is full: long waits, and reminders give way
    RETRY_UNREACHABLE = "retry_unreachable"  # the handset is off: twice, minutes apart
    RETRY_ONCE = "retry_once"
    NEXT_WINDOW = "next_window"  # again when the carrier's limit opens
    BREAKER = "breaker"  # every other text would fail too: sending stops, this one waits
    EXPIRED = "expired"  # it became useless on the way


class Alert(StrEnum):
    """What a person should be told."""

    UNMAPPED = "unmapped"  # a code that no table knows
    CONFIGURATION = "configuration"  # the account or the template, not the patient
    RATE = "rate"  # alarming only in numbers
    BREAKER = "breaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One line of a gateway's table.

    Attributes:
        code: as it is stored, logged and shown; 0: the gateway gave none.
        meaning: what the gateway says with it, for docs/reference.
        name: how the gateway itself writes it, where that is not the number.
        status: shown in the report once the text has failed for good.
        breaker: what it stops; None: nothing.
        invalid_number: the number itself is to be marked unusable.
        opt_out: to be recorded as an opt-out of this sender.
        of_delivery: it tells of a text that was taken; otherwise of the answer to a create.
    """

    code: int
    meaning: str
    name: str = ""
    handling: Handling = Handling.FINAL
    status: ReportStatus = ReportStatus.OTHER
    breaker: HoldScope | None = None
    alert: Alert | None = None
    invalid_number: bool = False
    opt_out: bool = False
    of_delivery: bool = False


def unmapped(code: int, *, of_delivery: bool = False) -> Failure:
    """The failure of a code that no table knows: final, and a person is told once."""
    return Failure(code=code, meaning="not in the table", alert=Alert.UNMAPPED, of_delivery=of_delivery)
