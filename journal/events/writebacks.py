"""What goes back to the EHR."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from journal.events.base import Event, FieldGroup, event
from scheduler.writeback import WritebackChannel, WritebackEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackIdentity(FieldGroup):
    """The write-back that a line is about."""

    environment: str
    appointment: str
    writeback: str
    about: WritebackEvent
    channel: WritebackChannel


@event(logging.DEBUG)
class WritebackSent(Event):
    """A message goes out to the EHR; its answer is awaited."""

    identity: WritebackIdentity
    attempt: int


@event(logging.INFO)
class WritebackAcknowledged(Event):
    """The EHR took what went back."""

    identity: WritebackIdentity
    attempt: int
    answer: str
    milliseconds: float


@event(logging.INFO)
class WritebackProcessed(Event):
    """The EHR's application processed what its engine had stored before (CA): its later answer is AA."""

    identity: WritebackIdentity
    attempt: int
    answer: str


@event(
    logging.WARNING,
    "`unknown`: do test and production answer to each other's listener, or does another system's answer come here? `decided`: "
    "`carebell writeback show ID` has the answer that counts.",
)
class WritebackAnswerIgnored(Event):
    """A later answer of the EHR's application changed nothing: nothing that went back from this environment has the id that it
    names (`unknown`), or what became of it is decided (`decided`)."""

    environment: str
    writeback: str | None
    answer: str
    reason: Literal["unknown", "decided"]


@event(
    logging.WARNING,
    "`carebell writeback show ID` says it in words. Put right what it names (out-map, or their table), then `carebell writeback "
    "retry ID`.",
)
class WritebackRefused(Event):
    """The EHR does not want what went back, at once or by its application's later answer, or no message could be made of it; it is
    not sent again."""

    identity: WritebackIdentity
    attempt: int
    answer: str | None
    code: str
    err3: str | None


@event(
    logging.INFO, "If it stays so: does the engine run, and does it reach this machine? `/health` shows how many wait."
)
class WritebackRetried(Event):
    """There was no answer that counts, or one that says to try again; the same message is sent again at `next_at`."""

    identity: WritebackIdentity
    attempt: int
    answer: str | None
    code: str
    err3: str | None
    next_at: datetime


@event(
    logging.WARNING,
    "Look whether the EHR has it; `carebell writeback retry ID` only if it has not, because a repetition makes a second one.",
)
class WritebackDoubtful(Event):
    """It was sent to a server that takes no condition, and no answer came: nobody knows whether the EHR has it."""

    identity: WritebackIdentity
    attempt: int
    code: str


@event(logging.WARNING, "The EHR does not know it. Tell the clinic if it matters, or `carebell writeback retry ID`.")
class WritebackExpired(Event):
    """Nobody took it in time; it is not sent any more."""

    identity: WritebackIdentity
    attempt: int
    code: str | None


@event(
    logging.WARNING,
    "Everything behind it waits. Put right what `code` names, then `carebell writeback retry ID`.",
)
class WritebackBlocked(Event):
    """With `ordering: strict` a refused message stops all others of its environment, until it is retried or its time is over."""

    identity: WritebackIdentity
    code: str
