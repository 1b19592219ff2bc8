"""Put one appointment's life together: from the outbox, the appointment, opt-outs, holds, the audit log and the log's lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from carebell.inquiries.recipients import TextRecipient, recipients_of, wait_explainer_for
from carebell.inquiries.source import KeyedSource
from carebell.inquiries.trace_answer import STOPPED, answer, reason_of, remedy
from carebell.inquiries.trace_entries import Clock, TraceEntry, entries_of, entry_of
from carebell.inquiries.trace_log import LoggedSteps, lines_of, number_entries
from carebell.inquiries.trace_messages import remembered_entry
from carebell.inquiries.trace_replies import last_reply, reply_entry
from carebell.inquiries.trace_steps import TraceStep
from carebell.inquiries.wait_explainer import Wait, WaitExplainer, Waiting, cap_text, moved_from
from carebell.sms_words import WHY, title_of
from carebell.times import Zones
from config.model import Environment
from scheduler.sms import Cap, Reason, SmsState
from store import appointments, audit, holds, optouts, patient_replies
from store import outbox as store_outbox
from store.appointments import AppointmentFacts
from store.audit import AuditAction, AuditEntry
from store.claims import DAY, WEEK
from store.engine import Transaction
from store.outbox_row import OutboxRow

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
_SLACK: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentTrace:
    """Attributes:
    answer: the sentence at the top. entries: by time.
    reason: the `Reason` or `Wait` that the answer is about, if something needs an explanation.
    remedy: what to do about what the answer begins with; empty: nothing.
    """

    facts: AppointmentFacts
    answer: str
    entries: Sequence[TraceEntry]
    now: datetime
    reason: str | None = None
    remedy: str = ""

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

    source: KeyedSource
    zones: Zones
    now: datetime
    environment: str | None

    def traces(self, ids: Collection[str], logged: LoggedSteps) -> list[AppointmentTrace]:
        """The lives of these appointments, by the visits' start."""
        traces = []
        with self.source.store.read() as conn:
            numbers = recipients_of(conn, self.source, ids, self.now)
            for facts in appointments.facts(conn, ids):
                if self.environment in (None, facts.environment):
                    traces.append(self._trace(conn, facts, numbers.get(facts.id), logged))
        return traces

    def _trace(
        self, conn: Transaction, facts: AppointmentFacts, number: TextRecipient | None, logged: LoggedSteps
    ) -> AppointmentTrace:
        rows = list(store_outbox.rows(conn, appointment=facts.id))
        environment = self.source.loaded.configuration.environments.get(facts.environment)
        clock = partial(self.zones.clock, environment=facts.environment)
        steps = [entry for line in lines_of(logged.lines, facts) if (entry := entry_of(line, clock)) is not None]
        explainer = wait_explainer_for(conn, self.zones, self.now, rows, {} if number is None else {facts.id: number})
        key = number.key if number is not None else next((row.phone_key for row in rows if row.phone_key), None)
        waiting = {row.id: explainer.why(row, environment, key) for row in rows if row.state is SmsState.DUE}
        details = dict(_configured(rows)) | dict(self._details(conn, rows, environment, key, explainer, clock))
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
        entries += number_entries(logged.lines, facts)
        entries += self._opted_out(conn, facts, key, environment)
        answered = patient_replies.of_appointment(conn, facts.id)
        entries += [reply_entry(reply, facts.environment, facts.reference) for reply in answered]
        began = min((entry.at for entry in entries), default=facts.changed_at)
        entries += self._holds(conn, facts, began)
        entries += [self._waits(row, waiting[row.id]) for row in rows if row.id in waiting]
        entries.sort(key=lambda entry: entry.order)
        sentence = " ".join([answer(facts, rows, waiting, details, clock), *last_reply(answered, clock)])
        return AppointmentTrace(
            facts=facts,
            answer=sentence,
            entries=entries,
            now=self.now,
            reason=reason_of(facts, rows, waiting),
            remedy=remedy(facts, rows, waiting),
        )

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
        for optout in optouts.listed(conn, phone_keys={key}):
            if optout.sender in (environment.sms.sender, optouts.EVERY_SENDER):
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


def _configured(rows: Sequence[OutboxRow]) -> Iterator[tuple[str, str]]:
    """Which version of the configuration took a reminder away, or asked for it after its time."""
    for row in rows:
        if row.reason in (Reason.NO_RULE, Reason.LATE_RULE):
            yield row.id, f"{WHY[row.reason]} (version {row.config_version})"


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
