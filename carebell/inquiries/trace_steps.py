"""What may happen in an appointment's life, as rows of `trace --json` name it and as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class TraceStep(StrEnum):
    """What happened; stable."""

    MESSAGE = "message"
    REFUSED = "refused"
    REPEATED = "repeated"
    NOT_STORED = "not_stored"
    PLANNED = "planned"
    MOVED = "moved"
    NOT_SENT = "not_sent"
    SENT = "sent"
    RETRY = "retry"
    UNKNOWN = "unknown"
    RESOLVED = "resolved"
    STATUS = "status"
    FAILED = "failed"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    REPLY = "reply"
    HELD = "held"
    RELEASED = "released"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_CLOSED = "breaker_closed"
    ALARM = "alarm"
    FORGOTTEN = "forgotten"
    WAITS = "waits"
    WILL_NOT_GO = "will_not_go"
    ANSWER = "answer"


STEP_WORDS: Final[Mapping[TraceStep, str]] = {
    TraceStep.MESSAGE: "message",
    TraceStep.REFUSED: "refused",
    TraceStep.REPEATED: "came again",
    TraceStep.NOT_STORED: "not stored",
    TraceStep.PLANNED: "planned",
    TraceStep.MOVED: "moved",
    TraceStep.NOT_SENT: "does not go",
    TraceStep.SENT: "sent",
    TraceStep.RETRY: "try again",
    TraceStep.UNKNOWN: "unknown",
    TraceStep.RESOLVED: "found out",
    TraceStep.STATUS: "status",
    TraceStep.FAILED: "failed",
    TraceStep.OPTED_OUT: "opted out",
    TraceStep.OPTED_IN: "opted in",
    TraceStep.REPLY: "reply",
    TraceStep.HELD: "held",
    TraceStep.RELEASED: "released",
    TraceStep.BREAKER_OPENED: "stopped",
    TraceStep.BREAKER_CLOSED: "resumed",
    TraceStep.ALARM: "alarm",
    TraceStep.FORGOTTEN: "forgotten",
    TraceStep.WAITS: "waits",
    TraceStep.WILL_NOT_GO: "will not go",
}
"""For people; the answer has none, it is a sentence."""
