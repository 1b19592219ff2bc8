"""One step in an appointment's life, and how a line of the log or a row of the outbox becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from carebell.inquiries.trace_steps import TraceStep
from carebell.sms_words import WHY
from journal.read import Line, instant_of
from notifier.gateways import failure_of
from scheduler.sms import Reason, SmsState
from scheduler.writeback import LATER_ANSWER
from store.outbox_row import FINAL, OutboxRow

Clock = Callable[[datetime], str]
"""Writes an instant at the clinic's clock."""


_RANK: Final = {
    TraceStep.MESSAGE: 0,
    TraceStep.REFUSED: 0,
    TraceStep.REPEATED: 0,
    TraceStep.NOT_STORED: 0,
    TraceStep.PLANNED: 1,
    TraceStep.MOVED: 2,
}
_OTHER_RANK: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEntry:
    """A row of `trace --json`.

    Attributes:
        at: UTC.
        appointment: as staff know it; None: the message named none, or it was refused.
        state: of the text after this step; of a message its answer.
        reason: of a text that is not sent, or the effect of a message.
        code: ours for a message, the gateway's for a text.
        detail: a sentence for people, with times at the clinic's clock.
        text_id, revision: of the text, to find its row; control_id: of the message. Not printed.
    """

    at: datetime
    what: TraceStep
    environment: str | None = None
    appointment: str | None = None
    kind: str | None = None
    rule: str | None = None
    state: str | None = None
    reason: str | None = None
    code: str | int | None = None
    detail: str = ""
    text_id: str | None = None
    revision: int | None = None
    control_id: str | None = None

    def is_of(self, row: OutboxRow) -> bool:
        """Whether this step is one of that text. A silence that was decided before its text had an id is known by its revision."""
        if self.text_id is not None:
            return self.text_id == row.id
        return (self.kind, self.rule, self.revision) == (row.kind.value, row.rule, row.revision)

    @property
    def order(self) -> tuple[datetime, int, datetime]:
        """By time. Within a second a message comes before what it planned: its line is written after the commit."""
        return self.at.replace(microsecond=0), _RANK.get(self.what, _OTHER_RANK), self.at


def code_words(code: int) -> str:
    """`Unreachable phone number: the handset is off (code 7)`."""
    failure = failure_of(code)
    return f"{failure.status.value}: {failure.meaning} (code {code})"


# From the log

_EFFECTS: Final[Mapping[str, str]] = {
    "stored": "stored",
    "older": "a newer message had come before, so nothing changed",
    "ignored": "it is about free slots, not about an appointment",
}
_OF_LATER_ANSWERS: Final[Mapping[str, str]] = {
    "stored": "the EHR's answer to what went back to it",
    "ignored": "an answer of the EHR that changed nothing of what went back",
}
_SOURCES: Final[Mapping[str, str]] = {
    "message": "decided when the message was planned",
    "configuration": "decided after a change of the configuration",
    "invalid_number": "decided when the number proved unusable",
    "given_back": "decided when an unsent text was planned again",
    "claim": "decided at its time",
    "gateway": "decided by the gateway's answer",
}


def entry_of(line: Line, clock: Clock) -> TraceEntry | None:
    """The step that a line tells; None: it is of another kind."""
    teller = _LINES.get(line.event)
    if teller is None:
        return None
    what, tell = teller
    fields = line.fields
    noted = {
        name: fields.get(name) for name in ("environment", "appointment", "kind", "rule", "state", "reason", "code")
    }
    if line.event == "message_accepted":
        noted |= {"state": fields.get("answer"), "reason": fields.get("effect")}
    elif line.event.startswith("message_"):
        noted |= {"state": fields.get("answer")}
    return TraceEntry(
        at=instant_of(line),
        what=what,
        detail=tell(fields, clock),
        text_id=fields.get("sms"),
        revision=fields.get("revision"),
        control_id=fields.get("control_id"),
        **noted,
    )


def _message(fields: Mapping[str, Any], clock: Clock) -> str:
    effects = _OF_LATER_ANSWERS if fields.get("trigger") == LATER_ANSWER else _EFFECTS
    parts = [_named(fields), _answered(fields), effects.get(str(fields.get("effect")), "")]
    counts = (("planned", "to be sent"), ("withdrawn", "withdrawn"), ("suppressed", "not to be sent"))
    parts += [
        f"{fields[name]} {'text' if fields[name] == 1 else 'texts'} {words}"
        for name, words in counts
        if fields.get(name)
    ]
    if fields.get("number_fault"):
        parts.append(f"the number cannot be used ({fields['number_fault']})")
    if fields.get("replaces"):
        parts.append(f"it replaces {fields['replaces']}")
    return ", ".join(part for part in parts if part)


def _named(fields: Mapping[str, Any]) -> str:
    trigger = f"{fields['trigger']} " if fields.get("trigger") else ""
    return f"{trigger}{fields.get('control_id') or 'without a usable control id'}"


def _answered(fields: Mapping[str, Any]) -> str:
    code = f" {fields['code']}" if fields.get("code") else ""
    return f"answered {fields.get('answer')}{code}"


def _refused(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"{_named(fields)}, {_answered(fields)}: {fields.get('text')}; nothing was stored"


def _repeated(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"{_named(fields)} came again and got the same answer, {fields.get('answer')}; nothing changed"


def _not_stored(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"{_named(fields)}: Carebell could not store it ({fields.get('reason')}); the sender sends it again"


def _sent(fields: Mapping[str, Any], clock: Clock) -> str:
    late = fields.get("late_seconds")
    lateness = f", {round(late)} s late" if isinstance(late, int | float) and late >= 60 else ""
    attempt = f", attempt {fields['attempt']}" if fields.get("attempt") not in (None, 1) else ""
    return f"the gateway took it for {fields.get('to')} as {fields.get('sid')}{attempt}{lateness}"


def _retry(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"attempt {fields.get('attempt')} failed, {_why(fields)}; tried again {_clock(fields.get('next_at'), clock)}"


def _unknown(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"attempt {fields.get('attempt')}: not known whether the gateway took it ({fields.get('reason')}); it is looked up"


def _resolved(fields: Mapping[str, Any], clock: Clock) -> str:
    if fields.get("source") == "not_in_gateway_list":
        return "the gateway does not have it, so it is sent once more"
    return f"the gateway has it as {fields.get('sid')}"


def _status(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"the gateway says {fields.get('state')}{_coded(fields)}"


def _failed(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"it will not reach the patient, {_why(fields)}; not tried again"


def _not_sent(fields: Mapping[str, Any], clock: Clock) -> str:
    source = _SOURCES.get(str(fields.get("source")), "")
    return f"{reason_words(str(fields.get('reason')))}{f'; {source}' if source else ''}"


def _planned_again(fields: Mapping[str, Any], clock: Clock) -> str:
    return f"planned again for {_clock(fields.get('due'), clock)}: the confirmation beside it did not arrive"


def _forgotten(fields: Mapping[str, Any], clock: Clock) -> str:
    waiting = fields.get("suppressed")
    return f"the number was deleted{f'; {waiting} waiting texts were withdrawn' if waiting else ''}"


def _alarm(fields: Mapping[str, Any], clock: Clock) -> str:
    return str(fields.get("problem"))


def _why(fields: Mapping[str, Any]) -> str:
    code = fields.get("code")
    return code_words(code) if isinstance(code, int) else str(fields.get("reason") or "without a reason")


def _coded(fields: Mapping[str, Any]) -> str:
    code = fields.get("code")
    return f", {code_words(code)}" if isinstance(code, int) and code else ""


def _clock(written: object, clock: Clock) -> str:
    return clock(datetime.fromisoformat(written)) if isinstance(written, str) else "at once"


_LINES: Final[Mapping[str, tuple[TraceStep, Callable[[Mapping[str, Any], Clock], str]]]] = {
    "message_accepted": (TraceStep.MESSAGE, _message),
    "message_refused": (TraceStep.REFUSED, _refused),
    "message_repeated": (TraceStep.REPEATED, _repeated),
    "message_failed": (TraceStep.NOT_STORED, _not_stored),
    "sms_sent": (TraceStep.SENT, _sent),
    "sms_retry": (TraceStep.RETRY, _retry),
    "sms_unknown": (TraceStep.UNKNOWN, _unknown),
    "sms_resolved": (TraceStep.RESOLVED, _resolved),
    "sms_status": (TraceStep.STATUS, _status),
    "sms_failed": (TraceStep.FAILED, _failed),
    "sms_suppressed": (TraceStep.NOT_SENT, _not_sent),
    "reminder_replanned": (TraceStep.PLANNED, _planned_again),
    "phone_forgotten": (TraceStep.FORGOTTEN, _forgotten),
    "alarm_raised": (TraceStep.ALARM, _alarm),
}


# From the outbox


def reason_words(reason: str) -> str:
    """`quiet_hours: it was due in quiet hours and could not be moved out of them`."""
    try:
        return f"{reason}: {WHY[Reason(reason)]}"
    except (ValueError, KeyError):
        return reason


def entries_of(
    row: OutboxRow, lines: list[TraceEntry], moved_from: datetime | None, clock: Clock
) -> Iterator[TraceEntry]:
    """The steps that the row itself tells and the log's lines of this text do not.

    Args:
        lines: the log's steps of this text.
        moved_from: its rule's own time, if quiet hours moved it.
    """
    known = {line.what for line in lines}
    decided = row.final_at or min(
        (line.at for line in lines if line.what is TraceStep.NOT_SENT), default=row.created_at
    )
    never_planned = row.state is SmsState.SUPPRESSED and (decided - row.created_at).total_seconds() < 1
    if row.due is not None and not never_planned:
        yield _of_row(row, row.created_at, TraceStep.PLANNED, f"for {clock(row.due)}")
        if moved_from is not None:
            detail = f"from {clock(moved_from)} to {clock(row.due)}, quiet hours"
            yield _of_row(row, row.created_at, TraceStep.MOVED, detail)
    if row.state is SmsState.SUPPRESSED:
        if TraceStep.NOT_SENT not in known:
            yield _of_row(row, decided, TraceStep.NOT_SENT, reason_words(row.reason.value))
        return
    if row.sent_at is not None and TraceStep.SENT not in known:
        attempts = f" in {row.attempts} attempts" if row.attempts > 1 else ""
        yield _of_row(row, row.sent_at, TraceStep.SENT, f"the gateway took it{attempts}")
    said = {line.state for line in lines if line.what in (TraceStep.STATUS, TraceStep.FAILED, TraceStep.SENT)}
    if row.state in FINAL and row.final_at is not None and row.state.value not in said:
        failed = row.state is not SmsState.DELIVERED
        words = f", {code_words(row.code)}" if failed and row.code is not None else ""
        yield _of_row(row, row.final_at, TraceStep.STATUS, f"{row.state.value}{words}")


def _of_row(row: OutboxRow, at: datetime, what: TraceStep, detail: str) -> TraceEntry:
    return TraceEntry(
        at=at,
        what=what,
        environment=row.environment,
        appointment=row.reference,
        kind=row.kind.value,
        rule=row.rule,
        state=SmsState.DUE.value if what in (TraceStep.PLANNED, TraceStep.MOVED) else row.state.value,
        reason=row.reason.value,
        code=row.code if what is TraceStep.STATUS else None,
        detail=detail,
        text_id=row.id,
        revision=row.revision,
    )
