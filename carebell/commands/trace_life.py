"""Put one appointment's life together: from the outbox, the appointment, opt-outs, holds, the audit log and the log's lines."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from carebell.commands.open_store import Opened
from carebell.commands.recipients import TextRecipient, recipients_of, wait_explainer_for
from carebell.commands.timeline import title_of
from carebell.commands.trace_answer import STOPPED, answer
from carebell.commands.trace_entries import Clock, TraceEntry, TraceStep, entries_of, entry_of
from carebell.commands.wait_explainer import Wait, WaitExplainer, Waiting, cap_text, moved_from
from carebell.commands.zones import Zones
from config.model import Environment
from journal.lines import plain
from journal.read import Line, Wanted, instant_of
from journal.rotated import read_log, rotated_names
from scheduler.sms import Cap, Reason, SmsState
from store import appointments, audit, holds, optouts
from store import outbox as store_outbox
from store.appointments import AnsweredMessage, AppointmentFacts
from store.audit import AuditAction, AuditEntry
from store.claims import DAY, WEEK
from store.engine import Transaction
from store.outbox_row import OutboxRow

_NO_LOG: Final = (
    "The log is not in a file here: refusals, older messages, attempts and statuses on the way are not shown."
)
_AUDITED: Final[Mapping[str, tuple[TraceStep, str]]] = {
    AuditAction.HOLD_PLACE: (TraceStep.HELD, "texts are held"),
    AuditAction.HOLD_RELEASE: (TraceStep.RELEASED, "texts are sent again"),
    AuditAction.BREAKER_OPEN: (TraceStep.BREAKER_OPENED, "the gateway refused account or sender, so sending stopped"),
    AuditAction.BREAKER_CLOSE: (TraceStep.BREAKER_CLOSED, "sending resumed"),
}
_OPTOUT_SOURCES: Final[Mapping[str, str]] = {
    "webhook": "by a STOP reply",
    "words": "by a reply with STOP among other words",
    "refusal": "as the gateway says",
    "cli": "recorded by staff",
    "portal": "recorded by staff",
}
_OF_A_NUMBER: Final[Mapping[str, tuple[TraceStep, str]]] = {
    "opt_out_recorded": (TraceStep.OPTED_OUT, "a number with these last four digits texted STOP"),
    "opt_out_restored": (TraceStep.OPTED_IN, "a number with these last four digits texted START"),
    "reply_unclear": (
        TraceStep.REPLY,
        "a number with these last four digits texted something with STOP in it, not taken for a STOP",
    ),
}
_MESSAGES: Final = ("message_refused", "message_repeated", "message_failed")
_SLACK: Final = timedelta(minutes=1)


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
class AppointmentTrace:
    """Attributes:
    answer: the sentence at the top. entries: by time.
    """

    facts: AppointmentFacts
    answer: str
    entries: Sequence[TraceEntry]
    now: datetime

    @property
    def answer_entry(self) -> TraceEntry:
        """The sentence as the last row for programs."""
        return TraceEntry(
            at=self.now,
            what=TraceStep.ANSWER,
            environment=self.facts.environment,
            appointment=self.facts.reference,
            detail=self.answer,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeReader:
    """Reads lives at one moment."""

    session: Opened
    zones: Zones
    now: datetime
    environment: str | None

    @classmethod
    def of(cls, session: Opened, environment: str | None) -> LifeReader:
        return cls(session=session, zones=Zones(session.loaded), now=session.now(), environment=environment)

    # The log

    def logged(self, ids: Collection[str]) -> LoggedSteps:
        """The lines about these appointments, and those about their messages."""
        with self.session.store.read() as conn:
            facts = appointments.facts(conn, ids)
            numbers = recipients_of(conn, self.session, ids, self.now)
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

    def logged_of_message(self, control_id: str) -> LoggedSteps:
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

    def _lines(self, wanted: Wanted | None = None) -> Iterator[Line]:
        file = self.session.log_file
        if file is not None and (file.is_file() or rotated_names(file)):
            yield from read_log(file, wanted or Wanted(), _warn_unreadable)

    def _notes(self) -> list[str]:
        file = self.session.log_file
        return [] if file is not None and (file.is_file() or rotated_names(file)) else [_NO_LOG]

    def _sends(self, line: Line, names: Collection[tuple[str, str]]) -> bool:
        """Whether the sender that the reply went to is one of these appointments' environments."""
        environments = self.session.loaded.configuration.environments
        senders = {environments[name].sms.sender for name, _ in names if name in environments}
        return line.fields.get("sender") in senders

    # The database

    def traces(self, ids: Collection[str], logged: LoggedSteps) -> list[AppointmentTrace]:
        """The lives of these appointments, by the visits' start."""
        traces = []
        with self.session.store.read() as conn:
            numbers = recipients_of(conn, self.session, ids, self.now)
            for facts in appointments.facts(conn, ids):
                if self.environment in (None, facts.environment):
                    traces.append(self._trace(conn, facts, numbers.get(facts.id), logged))
        return traces

    def _trace(
        self, conn: Transaction, facts: AppointmentFacts, number: TextRecipient | None, logged: LoggedSteps
    ) -> AppointmentTrace:
        rows = list(store_outbox.rows(conn, appointment=facts.id))
        environment = self.session.loaded.configuration.environments.get(facts.environment)
        clock = partial(self.zones.clock, environment=facts.environment)
        steps = [entry for line in _of_appointment(logged.lines, facts) if (entry := entry_of(line, clock)) is not None]
        explainer = wait_explainer_for(conn, self.zones, self.now, rows, {} if number is None else {facts.id: number})
        key = number.key if number is not None else next((row.phone_key for row in rows if row.phone_key), None)
        waiting = {row.id: explainer.why(row, environment, key) for row in rows if row.state is SmsState.DUE}
        details = dict(self._details(conn, rows, environment, key, explainer, clock))
        for name, why in waiting.items():
            if why.wait is Wait.CAP:
                waiting[name] = replace(why, text=f"will not go: {details[name]}")
        entries = list(steps)
        for row in rows:
            own_steps = [step for step in steps if step.is_of(row)]
            moved = moved_from(row, environment) if environment is not None else None
            entries += entries_of(row, own_steps, moved, clock)
        entries = [_with_more(entry, rows, details) for entry in entries]
        with_line = {entry.control_id for entry in steps if entry.what is TraceStep.MESSAGE}
        messages = appointments.answered(conn, references=facts.references, environment=facts.environment)
        entries += [remembered_entry(message) for message in messages if message.control_id not in with_line]
        entries += self._forgotten(facts, steps)
        entries += _numbers(logged.lines, facts)
        entries += self._opted_out(conn, facts, key, environment)
        began = min((entry.at for entry in entries), default=facts.changed_at)
        entries += self._holds(conn, facts, began)
        entries += [self._waits(row, waiting[row.id]) for row in rows if row.id in waiting]
        entries.sort(key=lambda entry: entry.order)
        sentence = answer(facts, rows, waiting, details, clock)
        return AppointmentTrace(facts=facts, answer=sentence, entries=entries, now=self.now)

    def _details(
        self,
        conn: Transaction,
        rows: Sequence[OutboxRow],
        environment: Environment | None,
        key: str | None,
        explainer: WaitExplainer,
        clock: Clock,
    ) -> Iterator[tuple[str, str]]:
        """More about a reason: since when a number is out, which cap it was and which texts used it up."""
        if environment is None or key is None:
            return
        since = optouts.since_when(conn, {(key, environment.sms.sender)}).get((key, environment.sms.sender))
        for row in rows:
            if row.reason is Reason.OPTED_OUT and since is not None:
                yield row.id, f"the number has opted out since {clock(since)}"
            decided = row.final_at if row.reason is Reason.CAP else None
            at = explainer.earliest(row) if row.state is SmsState.DUE else decided
            if at is not None and (cap := explainer.cap_at(row, environment, key, at)) is not None:
                used = self._used_up(conn, key, cap, at, clock)
                yield row.id, f"{cap_text(cap, environment.sms.caps)}; used up by {used}"

    def _used_up(self, conn: Transaction, key: str, cap: Cap, at: datetime, clock: Clock) -> str:
        span = DAY if cap is Cap.PER_DAY else WEEK
        counted = [
            row
            for row in store_outbox.rows(conn, phone_key=key)
            if row.claimed_at is not None and at - span < row.claimed_at <= at and row.state is not SmsState.SUPPRESSED
        ]
        texts = [
            f"{title_of(row.kind.value, row.rule)} of {row.reference} {clock(row.claimed_at or at)}"
            for row in sorted(counted, key=lambda row: row.claimed_at or at)
        ]
        return ", ".join(texts) or "texts that are no longer stored"

    def _waits(self, row: OutboxRow, waiting: Waiting) -> TraceEntry:
        return TraceEntry(
            at=self.now,
            what=TraceStep.WILL_NOT_GO if waiting.wait in STOPPED else TraceStep.WAITS,
            environment=row.environment,
            appointment=row.reference,
            kind=row.kind.value,
            rule=row.rule,
            state=row.state.value,
            reason=waiting.wait.value,
            code=row.code,
            detail=f"due {self.zones.clock(row.due, row.environment)}: {waiting.text}",
        )

    def _forgotten(self, facts: AppointmentFacts, steps: Sequence[TraceEntry]) -> list[TraceEntry]:
        if facts.forgotten_at is None or any(step.what is TraceStep.FORGOTTEN for step in steps):
            return []
        return [
            TraceEntry(
                at=facts.forgotten_at,
                what=TraceStep.FORGOTTEN,
                environment=facts.environment,
                appointment=facts.reference,
                detail="the number was deleted",
            )
        ]

    def _opted_out(
        self, conn: Transaction, facts: AppointmentFacts, key: str | None, environment: Environment | None
    ) -> Iterator[TraceEntry]:
        if key is None or environment is None:
            return
        for optout in optouts.listed(conn):
            if optout.phone_key == key and optout.sender in (environment.sms.sender, optouts.EVERY_SENDER):
                whose = "every sender" if optout.sender == optouts.EVERY_SENDER else optout.sender
                yield TraceEntry(
                    at=optout.since,
                    what=TraceStep.OPTED_OUT,
                    environment=facts.environment,
                    appointment=facts.reference,
                    reason=optout.source,
                    detail=f"from {whose}, {_OPTOUT_SOURCES.get(optout.source, optout.source)}",
                )

    def _holds(self, conn: Transaction, facts: AppointmentFacts, began: datetime) -> Iterator[TraceEntry]:
        """Holds and breakers since the appointment is known, and those that stood before and still stand."""
        with closing(audit.entries(conn, audit.AuditFilter(since=began - _SLACK))) as entries:
            for entry in entries:
                if entry.action in _AUDITED and entry.environment in (None, facts.environment):
                    yield _audited(entry, facts)
        for hold in holds.held(conn):
            if hold.since < began - _SLACK and hold.name in ("", facts.environment):
                yield TraceEntry(
                    at=hold.since,
                    what=TraceStep.HELD,
                    environment=hold.name or None,
                    appointment=facts.reference,
                    detail=f"texts are held by {hold.actor}: {hold.reason}",
                )


def message_entries(session: Opened, control_id: str, environment: str | None, logged: LoggedSteps) -> list[TraceEntry]:
    """What became of a message: the log's lines, or what the replay memory has of it."""
    zones = Zones(session.loaded)
    entries = [
        entry
        for line in logged.lines
        if (entry := entry_of(line, partial(zones.clock, environment=line.fields.get("environment")))) is not None
    ]
    return entries or [remembered_entry(message) for message in remembered_messages(session, control_id, environment)]


def remembered_messages(session: Opened, control_id: str, environment: str | None) -> list[AnsweredMessage]:
    """The verified messages of the last days with this control id, whichever node received them."""
    with session.store.read() as conn:
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


def _of_appointment(lines: Sequence[Line], facts: AppointmentFacts) -> Iterator[Line]:
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


def _numbers(lines: Sequence[Line], facts: AppointmentFacts) -> Iterator[TraceEntry]:
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


def _with_more(entry: TraceEntry, rows: Sequence[OutboxRow], details: Mapping[str, str]) -> TraceEntry:
    """A silence with what is known about its reason beyond the word."""
    if entry.what is not TraceStep.NOT_SENT:
        return entry
    more = next((details[row.id] for row in rows if row.id in details and entry.is_of(row)), None)
    return entry if more is None else replace(entry, detail=f"{entry.reason}: {more}")


def _audited(entry: AuditEntry, facts: AppointmentFacts) -> TraceEntry:
    what, words = _AUDITED[entry.action]
    more = f": {entry.after or entry.before}" if entry.after or entry.before else ""
    return TraceEntry(
        at=entry.at,
        what=what,
        environment=entry.environment,
        appointment=facts.reference,
        detail=f"{words}, by {entry.actor}{more}",
    )


def _warn_unreadable(file: Path, why: str) -> None:
    print(plain(f"carebell: warning: {file}: {why}; its lines are missing"), file=sys.stderr)
