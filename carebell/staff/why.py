"""What the page Why no text? asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from carebell.inquiries.messages import advice, refusals
from carebell.inquiries.remedies import remedy_of, remedy_of_failure, remedy_of_retry
from carebell.inquiries.source import KeyedSource
from carebell.inquiries.trace import Traced, Tracer, countries_of
from carebell.inquiries.trace_entries import TraceEntry
from carebell.inquiries.trace_life import AppointmentTrace
from carebell.inquiries.trace_steps import STEP_WORDS, TraceStep
from carebell.sms_words import TITLES, title_of
from carebell.staff.own_environments import own_environments
from carebell.times import Zones
from journal.lines import plain
from parser.phone_number import PhoneNumber
from parser.typed_phone import numbers_meant
from portal.pages.why import LikelyCause, WhyAnswer, WhyLife, WhyStep
from portal.people import Browser, Session
from portal.rendering import distance
from store import audit, outbox
from store.audit import AuditAction, Author

_LATELY: Final = timedelta(days=1)
_UNKNOWN: Final = "an unknown id"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyInquiry:
    """`portal.pages.why.WhyDesk`.

    Attributes:
        author: who asks, for the audit log.
    """

    source: KeyedSource
    author: Callable[[Session, Browser], Author]

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]:
        return own_environments(self.source.loaded, scope)

    def by_name(self, by: Session, name: str, environments: Sequence[str] | None, browser: Browser) -> WhyAnswer:
        subjects: list[str] = []
        notes: list[str] = []
        traces = [self._named(tracer, name, subjects) for tracer in self._tracers(environments, notes)]
        known = [subject for subject in subjects if _UNKNOWN not in subject]
        self._record(by, browser, environments, (known or [_UNKNOWN])[0])
        return self._answer(traces, environments, notes)

    def by_number(self, by: Session, number: str, environments: Sequence[str] | None, browser: Browser) -> WhyAnswer:
        phone = PhoneNumber(number)
        self._record(by, browser, environments, phone.masked)
        notes: list[str] = []
        traces = [
            tracer.by_number(phone, _is_recorded, nullcontext(_counts_nothing))
            for tracer in self._tracers(environments, notes)
        ]
        answer = replace(self._answer(traces, environments, notes), number=phone.masked)
        if answer.known:
            return answer
        forgotten = LikelyCause(
            question="Is the visit over?",
            answer="A telephone number is deleted when its visit begins. Look for the appointment's number instead.",
        )
        return replace(answer, causes=[forgotten, *answer.causes[:2]])

    def numbers(self, written: str, environments: Sequence[str] | None) -> Sequence[str]:
        """Read as the environments' messages are."""
        return [number.e164() for number in numbers_meant(written, countries_of(self.source.loaded, environments))]

    # Looking

    def _tracers(self, environments: Sequence[str] | None, notes: list[str]) -> Iterator[Tracer]:
        def unreadable(file: Path, why: str) -> None:
            note = f"A file of the log cannot be read ({plain(file.name)}: {why}); its lines are missing."
            if note not in notes:
                notes.append(note)

        for environment in [None] if environments is None else environments:
            yield Tracer.of(self.source, environment, unreadable)

    def _named(self, tracer: Tracer, name: str, subjects: list[str]) -> Traced:
        traced = tracer.by_appointment(name, subjects.append)
        return traced if traced.known else tracer.by_control_id(name, subjects.append)

    def _record(self, by: Session, browser: Browser, environments: Sequence[str] | None, subject: str) -> None:
        """An entry of the audit log; without it nothing is shown."""
        environment = environments[0] if environments is not None and len(environments) == 1 else None
        with self.source.store.write() as conn:
            author, now = self.author(by, browser), self.source.now()
            audit.append(conn, author, AuditAction.TRACE, subject=subject, environment=environment, at=now)

    # Answering

    def _answer(self, traces: Sequence[Traced], environments: Sequence[str] | None, notes: Sequence[str]) -> WhyAnswer:
        known = [traced for traced in traces if traced.known]
        lives = [self._life(trace) for traced in known for trace in traced.traces]
        # a number's opt-outs belong to no environment: each tracer has them
        loose = dict.fromkeys(entry for traced in known for entry in traced.loose)
        all_notes = dict.fromkeys([*notes, *(note for traced in traces for note in traced.notes)])
        return WhyAnswer(
            lives=lives,
            loose=[self._step(entry) for entry in sorted(loose, key=lambda entry: entry.order)],
            loose_answer=next((traced.loose_answer for traced in known if traced.loose_answer), ""),
            causes=() if known else list(self._causes(environments)),
            notes=list(all_notes),
        )

    def _life(self, trace: AppointmentTrace) -> WhyLife:
        facts = trace.facts
        return WhyLife(
            reference=facts.reference,
            environment=facts.environment,
            answer=trace.answer,
            remedy=trace.remedy,
            zone=ZoneInfo(Zones(self.source.loaded).of(facts.environment)),
            steps=[self._step(entry) for entry in trace.entries],
        )

    def _step(self, entry: TraceEntry) -> WhyStep:
        remedy = ""
        if entry.what in (TraceStep.NOT_SENT, TraceStep.WILL_NOT_GO):
            remedy = remedy_of(entry.reason)
        elif entry.what in (TraceStep.FAILED, TraceStep.RETRY) and isinstance(entry.code, int):
            remedy = (remedy_of_failure if entry.what is TraceStep.FAILED else remedy_of_retry)(entry.code)
        elif entry.what is TraceStep.REFUSED:
            remedy = advice(self.source.loaded, None if entry.code is None else str(entry.code))
        return WhyStep(
            at=entry.at,
            verdict=STEP_WORDS[entry.what],
            title=title_of(entry.kind, entry.rule or "") if entry.kind is not None and entry.kind in TITLES else "",
            detail=plain(entry.detail),
            remedy=remedy,
        )

    def _causes(self, environments: Sequence[str] | None) -> Iterator[LikelyCause]:
        """What was looked at, and what came out."""
        now = self.source.now()
        refused = [refusal for refusal in refusals(self.source.log_file, environments) if refusal.at > now - _LATELY]
        if refused:
            newest = refused[0]
            number = f"{len(refused)} messages were" if len(refused) > 1 else "1 message was"
            words = f"{number} refused in the last 24 hours, the newest with"
            todo = advice(self.source.loaded, newest.code)
            yield LikelyCause(
                question="Was its message refused?",
                answer=f"{words} {newest.code or newest.answer}. {todo}".strip(),
                path="/messages?answer=refused",
                link="See the refused messages",
            )
        else:
            answer = "No message was refused in the last 24 hours, by this machine's log."
            if self.source.log_file is None:
                answer = "That is not known here: the service writes no log file."
            yield LikelyCause(question="Was its message refused?", answer=answer)
        yield LikelyCause(question="Is the feed silent?", answer=" ".join(self._feeds(environments, now)))
        yield LikelyCause(
            question="Is it another number?",
            answer="Compare it with the EHR. Carebell knows an appointment by the ids of its messages, not by the patient's "
            "record number, and a message by MSH-10 for some days.",
        )

    def _feeds(self, environments: Sequence[str] | None, now: datetime) -> Iterator[str]:
        names = own_environments(self.source.loaded, None if environments is None else frozenset(environments))
        with self.source.store.read() as conn:
            received = {name: outbox.last_received(conn, name) for name in names}
        for name, at in received.items():
            if at is None:
                yield f"{name}: no message came in the last days."
            else:
                yield f"{name}: the newest message came {distance(now - at)}."


def _is_recorded(subject: str) -> None:
    """The look was recorded before."""


def _counts_nothing(steps: int) -> None:
    """A page shows no progress."""
