"""Forgetting: numbers, keys and the gateway's copies."""

import logging
from typing import Literal

from journal.events.base import Event, event
from journal.events.shared import ErrorTrace


@event(logging.INFO)
class PhoneForgotten(Event):
    """An appointment's number was deleted: the appointment started, ended or was cancelled. `suppressed` of its texts still waited
    and will not be sent (`purged`)."""

    environment: str
    appointment: str
    reason: Literal["due"]
    suppressed: int


@event(logging.INFO)
class PurgeFinished(Event):
    """A round of deletion is done; `count` day keys were destroyed."""

    appointments: int
    messages: int
    count: int
    seconds: float


@event(logging.CRITICAL, "Resolve it at once (disk, database), then run `carebell purge`.")
class PurgeFailed(Event):
    """Numbers that had to be deleted could not be deleted."""

    reason: str
    trace: ErrorTrace
    repeats: int | None = None


@event(logging.INFO)
class DayKeyDestroyed(Event):
    """The keys of `count` past days were destroyed; copies of their numbers are unreadable."""

    count: int


@event(logging.DEBUG)
class GatewayCopyDeleted(Event):
    """The gateway's own copy of a text is deleted."""

    sid: str


@event(logging.WARNING, "Delete it in the gateway's console by its `sid`.")
class GatewayCopyKept(Event):
    """The gateway's own copy of a text could not be deleted for 14 days; it is not tried any more."""

    sid: str
