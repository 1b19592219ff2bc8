"""What became of a message: by the log's lines, or by what the replay memory has of it."""

from __future__ import annotations

from functools import partial

from carebell.inquiries.source import Source
from carebell.inquiries.trace_entries import TraceEntry, entry_of
from carebell.inquiries.trace_log import LoggedSteps
from carebell.inquiries.trace_steps import TraceStep
from carebell.times import Zones
from store import appointments
from store.appointments import AnsweredMessage


def message_entries(source: Source, control_id: str, environment: str | None, logged: LoggedSteps) -> list[TraceEntry]:
    """The steps of the messages with this control id."""
    zones = Zones(source.loaded)
    entries = [
        entry
        for line in logged.lines
        if (entry := entry_of(line, partial(zones.clock, environment=line.fields.get("environment")))) is not None
    ]
    return entries or [remembered_entry(message) for message in remembered_messages(source, control_id, environment)]


def remembered_messages(source: Source, control_id: str, environment: str | None) -> list[AnsweredMessage]:
    """The verified messages of the last days with this control id, whichever node received them."""
    with source.store.read() as conn:
        return appointments.answered(conn, control_id=control_id, environment=environment)


def remembered_entry(message: AnsweredMessage) -> TraceEntry:
    """The step of a message whose line is not in the log here."""
    event = f"{message.event} " if message.event else ""
    code = f" {message.code}" if message.code else ""
    return TraceEntry(
        at=message.received_at,
        what=TraceStep.MESSAGE,
        environment=message.environment,
        appointment=message.reference,
        state=message.answer,
        code=message.code,
        detail=f"{event}{message.control_id}, answered {message.answer}{code}",
        control_id=message.control_id,
    )


def refusal_words(source: Source, entry: TraceEntry) -> str:
    """The answer, that nothing of the message was stored, and the answer's own words in config/answers.yaml."""
    code = "" if entry.code is None else str(entry.code)
    row = source.loaded.answer_rows.get(code)
    words = "" if row is None else f" {row['meaning']} What to do: {row['advice']}"
    return f"{entry.state}{code and f' {code}'}: nothing of it was stored, so no text was planned.{words}"
