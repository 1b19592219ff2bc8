"""What a patient answered, as a step of the appointment's life; nothing of the words themselves is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from carebell.inquiries.trace_entries import Clock, TraceEntry
from carebell.inquiries.trace_steps import TraceStep
from scheduler.reply import ReplyKind, ReplyReason
from store.patient_replies import PatientReply

_SAID: Final[Mapping[ReplyKind, str]] = {
    ReplyKind.CONFIRM: "the patient confirmed (C)",
    ReplyKind.CANNOT_COME: "the patient cannot come (N)",
    ReplyKind.CALL_ME: "the patient wants to be called (R)",
    ReplyKind.UNKNOWN: "the patient wrote something",
}
_WHY: Final[Mapping[ReplyReason, str]] = {
    ReplyReason.NO_WORD: "it is no word of sms.replies.words",
    ReplyReason.NO_QUESTION: "no text had asked that could still be answered",
    ReplyReason.WHICH_VISIT: "several visits were asked about, and it named none",
    ReplyReason.MOVED: "the visit had another time by then than the text had named",
}


def reply_entry(reply: PatientReply, environment: str, reference: str) -> TraceEntry:
    """A reply as a step."""
    why = "" if reply.reason is None else f"; it changed nothing ({reply.reason}): {_WHY[reply.reason]}"
    return TraceEntry(
        at=reply.at,
        what=TraceStep.REPLY,
        environment=environment,
        appointment=reference,
        state=reply.kind.value,
        reason=None if reply.reason is None else reply.reason.value,
        detail=f"{_SAID[reply.kind]}{why}",
        text_id=reply.question,
    )


def last_reply(replies: Sequence[PatientReply], clock: Clock) -> Iterator[str]:
    """A sentence about the last reply that took effect; none where there is none."""
    effective = [reply for reply in replies if reply.reason is None]
    if effective:
        said = _SAID[effective[-1].kind]
        yield f"{said[0].upper()}{said[1:]} {clock(effective[-1].at)}."
