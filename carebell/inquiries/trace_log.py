"""The log's lines about appointments and about messages, with the rotated files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from carebell.inquiries.recipients import recipients_of
from carebell.inquiries.source import KeyedSource
from carebell.inquiries.trace_entries import TraceEntry
from carebell.inquiries.trace_steps import TraceStep
from journal.read import Line, Wanted, instant_of
from journal.rotated import OnUnreadable, read_log, rotated_names
from store import appointments
from store.appointments import AppointmentFacts

NO_LOG: Final = (
    "The log is not in a file here: refusals, older messages, attempts and statuses on the way are not shown."
)
_OF_A_NUMBER: Final[Mapping[str, tuple[TraceStep, str]]] = {
    "opt_out_recorded": (TraceStep.OPTED_OUT, "a number with these last four digits texted STOP"),
    "opt_out_restored": (TraceStep.OPTED_IN, "a number with these last four digits texted START"),
    "reply_unclear": (
        TraceStep.REPLY,
        "a number with these last four digits texted something with STOP in it, not taken for a STOP",
    ),
}
_MESSAGES: Final = ("message_refused", "message_repeated", "message_failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSteps:
    """What the log says.

    Attributes:
        lines: oldest first.
        appointments: (environment, reference) that the lines name.
        notes: what the reader of the trace should know about the log.
    """

    lines: Sequence[Line] = ()
    notes: Sequence[str] = ()
    appointments: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLog:
    """Reads the log.

    Attributes:
        on_unreadable: called with a rotated file that cannot be read completely.
    """

    source: KeyedSource
    now: datetime
    environment: str | None
    on_unreadable: OnUnreadable

    def of_appointments(self, ids: Collection[str]) -> LoggedSteps:
        """The lines about these appointments, and those about their messages."""
        if not ids:
            return LoggedSteps(notes=self._notes())
        with self.source.store.read() as conn:
            facts = appointments.facts(conn, ids)
            numbers = recipients_of(conn, self.source, ids, self.now)
        names = {(known.environment, reference) for known in facts for reference in known.references}
        ends = {number.recipient for number in numbers.values()}
        lines: list[Line] = []
        control_ids: set[tuple[object, object]] = set()
        about_messages: list[Line] = []  # whose appointment only the message's own line knows
        about_numbers: list[Line] = []  # whose number only the texts' lines know, where it is forgotten
        references = {reference for _, reference in names}
        for line in self._lines(Wanted(words=frozenset({*references, *_MESSAGES, *_OF_A_NUMBER}))):
            named = {(line.fields.get("environment"), line.fields.get(name)) for name in ("appointment", "replaces")}
            if not named.isdisjoint(names):
                lines.append(line)
                if line.event == "message_accepted":
                    control_ids.add((line.fields.get("environment"), line.fields.get("control_id")))
                elif line.event == "sms_sent":
                    ends.add(str(line.fields.get("to")))
            elif line.event in _MESSAGES:
                about_messages.append(line)
            elif line.event in _OF_A_NUMBER:
                about_numbers.append(line)
        lines += [
            line
            for line in about_messages
            if (line.fields.get("environment"), line.fields.get("control_id")) in control_ids
        ]
        lines += [line for line in about_numbers if line.fields.get("to") in ends and self._sends(line, names)]
        return LoggedSteps(lines=lines, notes=self._notes())

    def of_message(self, control_id: str) -> LoggedSteps:
        """The lines about this message."""
        lines = [
            line
            for line in self._lines(Wanted(control_id=control_id))
            if line.event.startswith("message_") and self.environment in (None, line.fields.get("environment"))
        ]
        named = {
            (str(line.fields.get("environment")), str(line.fields["appointment"]))
            for line in lines
            if line.fields.get("appointment")
        }
        return LoggedSteps(lines=lines, notes=self._notes(), appointments=frozenset(named))

    def _lines(self, wanted: Wanted) -> Iterator[Line]:
        file = self.source.log_file
        if file is not None and (file.is_file() or rotated_names(file)):
            yield from read_log(file, wanted, self.on_unreadable)

    def _notes(self) -> list[str]:
        file = self.source.log_file
        return [] if file is not None and (file.is_file() or rotated_names(file)) else [NO_LOG]

    def _sends(self, line: Line, names: Collection[tuple[str, str]]) -> bool:
        """Whether the sender that the reply went to is one of these appointments' environments."""
        environments = self.source.loaded.configuration.environments
        senders = {environments[name].sms.sender for name, _ in names if name in environments}
        return line.fields.get("sender") in senders


def lines_of(lines: Sequence[Line], facts: AppointmentFacts) -> Iterator[Line]:
    """The lines about this appointment and about its messages."""
    control_ids: set[object] = set()
    for line in lines:
        if line.fields.get("environment") == facts.environment and line.fields.get("appointment") in facts.references:
            control_ids.add(line.fields.get("control_id") or "")
    for line in lines:
        fields = line.fields
        if line.event in _OF_A_NUMBER or fields.get("environment") != facts.environment:
            continue
        named = fields.get("appointment")
        own = named in facts.references or fields.get("replaces") in facts.references
        if own or (named is None and fields.get("control_id") in control_ids):
            yield line


def number_entries(lines: Sequence[Line], facts: AppointmentFacts) -> Iterator[TraceEntry]:
    """The steps of replies from a number that ends as this appointment's does."""
    for line in lines:
        if line.event in _OF_A_NUMBER:
            what, words = _OF_A_NUMBER[line.event]
            yield TraceEntry(
                at=instant_of(line),
                what=what,
                environment=facts.environment,
                appointment=facts.reference,
                reason=str(line.fields.get("source") or ""),
                detail=f"{words} ({line.fields.get('to')}, to {line.fields.get('sender')})",
            )
