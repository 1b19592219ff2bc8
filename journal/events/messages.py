"""Messages: one line for each received message."""

import logging
from typing import Literal

from journal.events.base import Event, event
from journal.events.shared import ErrorTrace, SentAnswer


@event(
    logging.INFO,
    "Nothing to do. `warnings` name what was odd; `carebell explain` shows it on a copy of the message. `order_doubtful`: "
    "often means that the sender should write MSH-7 to the second and with its offset. `shares_id_with`: look in the hospital's "
    "own system whether the older visit is still on; if not, cancel it there (docs/explanation/planning.md). `number_fault`: "
    "correct the number in the hospital's own system; where junk was sent (`UNKNOWN`), a number that was known stays in use; "
    "a number that is not to be texted (`DO NOT TEXT`, a fax, an extension) is given up.",
)
class MessageAccepted(Event):
    """A message was verified, committed and answered."""

    environment: str
    control_id: str | None
    trigger: str | None
    appointment: str | None
    revision: int | None
    effect: Literal["stored", "older", "ignored"]
    answer: SentAnswer
    planned: int
    withdrawn: int
    suppressed: int
    milliseconds: float
    peer: str
    thumbprint: str | None
    warnings: str | None
    order_doubtful: str | None
    replaces: str | None = None
    shares_id_with: str | None = None
    number_fault: str | None


@event(logging.WARNING, "See the event that `of` names. Metrics count every refusal.")
class RefusalsRepeated(Event):
    """`repeats` more refusals or closed connections were not logged line by line: the same event (`of`), reason, address and
    certificate, within half a minute. Without `of`: of all kinds, above the number of kinds that are counted separately."""

    of: str | None = None
    peer: str | None = None
    listener: str | None = None
    environment: str | None = None
    reason: str | None = None
    code: str | None = None
    thumbprint: str | None = None
    path: str | None = None
    repeats: int


@event(
    logging.WARNING,
    "Look `code` up in docs/reference: it says whose fault it is. Usually the sender's interface must be changed.",
)
class MessageRefused(Event):
    """A message was answered with an error and nothing was stored. Without `environment`: the port serves several, and nothing in
    the message proves which one is meant."""

    listener: str | None
    environment: str | None
    control_id: str | None
    code: str | None
    err3: str
    answer: SentAnswer
    text: str
    peer: str
    thumbprint: str | None
    digest: str | None
    milliseconds: float


@event(logging.INFO, "Nothing to do. If it happens often, the sender does not get our answers in time.")
class MessageRepeated(Event):
    """A message that was stored before came again; the stored answer was given, without a second effect."""

    environment: str
    control_id: str | None
    answer: SentAnswer
    peer: str
    digest: str
    milliseconds: float


@event(
    logging.ERROR,
    "See `reason` (database, disk, shutting down) and the lines around it. Nothing is lost, nothing was stored.",
)
class MessageFailed(Event):
    """A valid message could not be stored because of a fault of Carebell; the sender will send it again."""

    environment: str | None
    control_id: str | None
    reason: Literal["COMMIT", "COMMIT_REJECTED", "COMMIT_TRANSIENT", "COMMIT_STOPPED", "COMMIT_OVERLOADED"]
    answer: SentAnswer
    peer: str
    digest: str
    trace: ErrorTrace
    milliseconds: float


@event(logging.WARNING, "Ask the sender to make MSH-10 unique.")
class ControlIdReused(Event):
    """Another message with the same MSH-10 was processed, as `reuse_of_control_id: warn` asks."""

    environment: str
    control_id: str | None
    peer: str
    digest: str


@event(
    logging.WARNING,
    "Nothing to do: the sender will send the message again and get the stored answer. Often: raise the sender's time-out.",
)
class AnswerUndelivered(Event):
    """The sender hung up before it got its answer."""

    environment: str | None
    control_id: str | None
    answer: SentAnswer | None
    peer: str
