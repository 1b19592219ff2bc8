"""From a frame to its ACK. Read this module first.

    frame ─> who signed it?  ─> what does it say? ─> what changes?          ─> answer
             certs.verify       parser.siu           scheduler + store, one    parser.ack
                                                     transaction per group

`MessageValidator.validate()` is everything up to the database and touches nothing: `carebell verify` is the same with a replay
memory of its own.
`commit_group()` gets the messages that queued while the last group was being synced. Replay memory, appointments and outbox rows go
into one transaction, and the answers are sent only after it. The committer decides on which thread it runs (docs/decisions/0012).
If Carebell itself fails, it sends no answer: it resets the connection, and the sender's engine sends again (signing.md, section 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from carebell.environment_policy import EnvironmentPolicy
from carebell.inbound.patient_id_plans import keep_patient_ids
from carebell.inbound.unit_of_work import AppointmentChange, UnitOfWork, wanted_aliases
from carebell.inbound.validate import ValidatedMessage
from carebell.outbound.proof_codes import codes_in, note_codes
from carebell.outbound.silences import Silence
from carebell.outbound.visit_plans import changes_of, keep_visits
from carebell.writeback.later_answers import LaterAnswerEffect, LaterAnswers
from journal.events.visits import VisitChanged
from parser.ack import ACCEPTED, Answer
from parser.event import Action, SchedulingEvent
from scheduler.apply_event import apply, create, doubtful_fields
from scheduler.succession import succeed
from scheduler.writeback import LATER_ANSWER
from store import usage
from store.appointment_repository import MessageKey, Remembered, find, known, save
from store.engine import Transaction
from store.sending import SendingText
from store.vault import Vault

USE_PRECISION: Final = timedelta(seconds=5)
"""How often it is noted at most that a certificate is in use: people retire the other one by it, and it costs a row each time."""


class ProcessingOutcome(Enum):
    """The result for a message that was verified and read."""

    STORED = "stored"
    OLDER = "older"  # a newer message was here before, and this one adds nothing
    IGNORED = "ignored"  # S23, S24: about slots, not about an appointment; or a later answer that changes nothing
    REPEATED = "repeated"  # the same bytes were here before
    REUSED = "reused"  # its control id was used for another message, which configuration refuses


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingResult:
    """The effect of a committed message, for its answer and its log line.

    Attributes:
        appointment: the hospital's reference; None: no appointment.
        appointment_ids: ours, of every appointment that the message is about: its answer waits for texts of theirs that are on
            their way to the gateway, also where the message itself changed nothing (it may repeat one that did).
        sending: texts of these appointments that some process was sending when the message was committed.
        reused: the control id had been used for another message, which configuration lets through.
        planned, withdrawn, suppressed: how many texts now wait, were taken back, are recorded as silences.
        silences: texts that will not leave, taken back ones included, as far as that is news.
        replaces: the reference under which the visit was known before this S13 gave it another id.
        shares_id_with: references of visits that share a placer or visit number with an S13 under a new id, and stay.
        visits: what the group that it came in changed of video visits; with the last message that was stored.
        later_answer: the effect of an answer to what went back.
        doubtful: the fields that it decided although MSH-7 does not say whether it is newer than what was known.
    """

    outcome: ProcessingOutcome
    answer: Answer
    appointment: str | None = None
    appointment_ids: tuple[str, ...] = ()
    sending: tuple[SendingText, ...] = ()
    reused: bool = False
    revision: int | None = None
    planned: int = 0
    withdrawn: int = 0
    suppressed: int = 0
    silences: tuple[Silence, ...] = ()
    visits: tuple[VisitChanged, ...] = ()
    later_answer: LaterAnswerEffect | None = None
    doubtful: tuple[str, ...] = ()
    replaces: str | None = None
    shares_id_with: tuple[str, ...] = ()


class MessageProcessor:
    """Commits groups of validated messages: the committer's `work`.

    Args:
        policies: returns the environments' present policies; called once for each group, so that a reload takes effect.
        new_id: 32 random hex digits.
    """

    def __init__(
        self, vault: Vault, policies: Callable[[], Mapping[str, EnvironmentPolicy]], new_id: Callable[[], str]
    ) -> None:
        self._vault = vault
        self._policies = policies
        self._new_id = new_id
        self._noted: dict[tuple[str, str], datetime] = {}

    def commit_group(self, conn: Transaction, jobs: Sequence[ValidatedMessage]) -> list[ProcessingResult]:
        """Apply the messages in their order. The caller commits. After any exception nothing of the group is stored."""
        policies = self._policies()
        now = max(job.received_at for job in jobs)
        keys = [_key(job) for job in jobs]
        digests = [(key, job.verified.digest) for key, job in zip(keys, jobs, strict=True) if job.verified is not None]
        memory = known(conn, digests)
        wanted = [
            (job.event.environment, wanted_aliases(job.event))
            for job in jobs
            if job.event is not None and job.event.action is not Action.SLOT
        ]
        unit = UnitOfWork(stored for appointments in find(conn, self._vault, wanted, now) for stored in appointments)
        said = [job.later_answer for job in jobs if job.later_answer is not None]
        later = LaterAnswers(conn, said) if said else None
        fresh: list[Remembered] = []
        results = []
        for key, job in zip(keys, jobs, strict=True):
            result, remembered = self._apply(conn, job, key, policies, memory, unit, later)
            results.append(result)
            if remembered is not None:
                memory.setdefault(remembered.key, []).append(remembered)
                fresh.append(remembered)
        self._note_usage(conn, jobs, now)
        save(conn, self._vault, unit.saves(policies), fresh, now, new_id=self._new_id)
        results = self._keep_visits(conn, unit, policies, results, now)
        keep_patient_ids(conn, self._vault, policies, unit, now)
        self._note_codes(conn, jobs, results, policies, now)
        return [_with_sending(result, unit) for result in results] if unit.sending else results

    def rehearse_group(self, conn: Transaction, events: Sequence[SchedulingEvent]) -> list[ProcessingResult]:
        """As `commit_group`, for a rehearsal in memory: the messages were read without a signature, and none is a repetition."""
        policies = self._policies()
        now = max(event.received_at for event in events)
        wanted = [(event.environment, wanted_aliases(event)) for event in events if event.action is not Action.SLOT]
        unit = UnitOfWork(stored for appointments in find(conn, self._vault, wanted, now) for stored in appointments)
        results = [self._process(event, policies[event.environment], unit) for event in events]
        save(conn, self._vault, unit.saves(policies), [], now, new_id=self._new_id)
        return results

    def _keep_visits(
        self,
        conn: Transaction,
        unit: UnitOfWork,
        policies: Mapping[str, EnvironmentPolicy],
        results: list[ProcessingResult],
        now: datetime,
    ) -> list[ProcessingResult]:
        """The video visits of the appointments that were saved; what changed stands with the last stored message."""
        changes = changes_of(
            keep_visits(conn, self._vault, policies, unit.appointments(), now, taken_over=unit.taken_over())
        )
        if changes:
            last = max(at for at, result in enumerate(results) if result.outcome is ProcessingOutcome.STORED)
            results[last] = replace(results[last], visits=tuple(changes))
        return results

    def _note_usage(self, conn: Transaction, jobs: Sequence[ValidatedMessage], now: datetime) -> None:
        """Record that these certificates are in use, to `USE_PRECISION`: in the transaction of the messages themselves."""
        signers = {(job.verified.environment, job.verified.thumbprint) for job in jobs if job.verified is not None}
        for signer in sorted(signers):  # in one order on every node (`store.lock_order`)
            noted = self._noted.get(signer)
            if noted is None or not noted <= now < noted + USE_PRECISION:
                usage.note(conn, *signer, now)
                self._noted[signer] = now

    def _note_codes(
        self,
        conn: Transaction,
        jobs: Sequence[ValidatedMessage],
        results: Sequence[ProcessingResult],
        policies: Mapping[str, EnvironmentPolicy],
        now: datetime,
    ) -> None:
        """Who proves access to an EHR by a message of it (`proof_codes`). A repeated message proves nothing."""
        for job, result in zip(jobs, results, strict=True):
            policy = None if job.verified is None else policies.get(job.verified.environment)
            if policy is None or job.verified is None or job.event is None or not policy.environment.approval.required:
                continue
            if result.outcome in (ProcessingOutcome.REPEATED, ProcessingOutcome.REUSED):
                continue
            codes = codes_in(job.verified.payload)
            if codes:
                note_codes(conn, self._vault.ring, policy, codes, now)

    def _apply(
        self,
        conn: Transaction,
        job: ValidatedMessage,
        key: MessageKey,
        policies: Mapping[str, EnvironmentPolicy],
        memory: Mapping[MessageKey, Sequence[Remembered]],
        unit: UnitOfWork,
        later: LaterAnswers | None,
    ) -> tuple[ProcessingResult, Remembered | None]:
        event, message = job.event, job.verified
        assert message is not None
        policy = policies[message.environment]
        before = memory.get(key, ())
        for remembered in before:
            if remembered.digest == message.digest:
                return ProcessingResult(
                    outcome=ProcessingOutcome.REPEATED,
                    answer=_as_answered(remembered, policy),
                    appointment_ids=() if event is None else unit.ids(event),
                ), None
        if before and policy.refuses_reuse:
            return ProcessingResult(outcome=ProcessingOutcome.REUSED, answer=policy.reused()), None
        if event is None:
            assert later is not None
            result = self._take_later_answer(conn, job, policy, later)
        else:
            result = self._process(event, policy, unit)
        if before:
            result = replace(result, reused=True)
        memorized = Remembered(
            key=key,
            digest=message.digest,
            answer=result.answer.answer,
            code=result.answer.code,
            err3=result.answer.err3,
            text=result.answer.text,
            received_at=job.received_at,
            forget_after=job.received_at + policy.remembers_for,
            event=LATER_ANSWER if event is None else event.event,
            reference=result.appointment,
            reuses=bool(before),
        )
        return result, memorized

    def _take_later_answer(
        self, conn: Transaction, job: ValidatedMessage, policy: EnvironmentPolicy, later: LaterAnswers
    ) -> ProcessingResult:
        """It is about what went back, so it plans nothing and changes no appointment."""
        assert job.later_answer is not None
        hl7 = policy.environment.writeback.hl7
        strict = hl7 is not None and hl7.ordering == "strict"
        effect = later.take(conn, job.later_answer, policy.name, strict=strict, at=job.received_at)
        return ProcessingResult(
            outcome=ProcessingOutcome.STORED if effect.changed else ProcessingOutcome.IGNORED,
            answer=ACCEPTED,
            appointment=effect.reference,
            later_answer=effect,
        )

    def _process(self, event: SchedulingEvent, policy: EnvironmentPolicy, unit: UnitOfWork) -> ProcessingResult:
        if event.action is Action.SLOT:
            return ProcessingResult(outcome=ProcessingOutcome.IGNORED, answer=ACCEPTED)
        change, duplicates = unit.for_event(event)
        answer = ACCEPTED
        doubtful: tuple[str, ...] = ()
        replaced: AppointmentChange | None = None
        shares: list[AppointmentChange] = []
        withdrawn_silences: list[Silence] = []
        if change is None:
            change, replaced, shares, withdrawn_silences = self._open(event, policy, unit)
            if event.action in (Action.CANCEL, Action.DELETE, Action.NO_SHOW):
                answer = policy.answers.answer("UNSEEN")
        else:
            doubtful = doubtful_fields(change.appointment, event)
            after = apply(change.appointment, event, policy.planning)
            if after is None:
                reference = change.appointment.reference
                return ProcessingResult(
                    outcome=ProcessingOutcome.OLDER,
                    answer=answer,
                    appointment=reference,
                    appointment_ids=unit.ids(event),
                )
            change.appointment = after
        merged = [silence for duplicate in duplicates for silence in change.merge(duplicate)]
        unit.index(change)
        if event.patient_id is not None:
            change.note_patient_id(event.occurred_at, event.patient_id)
        planned, withdrawn, suppressed, silences = change.replan(policy, event.received_at)
        return ProcessingResult(
            outcome=ProcessingOutcome.STORED,
            answer=answer,
            appointment=change.appointment.reference,
            appointment_ids=(
                change.appointment.id,
                *[changed.appointment.id for changed in (*duplicates, *([replaced] if replaced else []))],
            ),
            revision=change.appointment.revision,
            planned=planned,
            withdrawn=withdrawn,
            suppressed=suppressed,
            silences=(*withdrawn_silences, *merged, *silences),
            doubtful=doubtful,
            replaces=None if replaced is None else replaced.appointment.reference,
            shares_id_with=tuple(other.appointment.reference for other in shares),
        )

    def _open(
        self, event: SchedulingEvent, policy: EnvironmentPolicy, unit: UnitOfWork
    ) -> tuple[AppointmentChange, AppointmentChange | None, list[AppointmentChange], list[Silence]]:
        """The new appointment, the one that it replaces, those that share an id with it and stay, and what is taken back."""
        known = unit.replaced_by(event)
        seen = None if known is None else succeed(known.appointment, event, policy.planning, id=self._new_id())
        if known is not None and seen is not None:
            change = unit.open(seen)
            return change, known, [], unit.take_over(change, known, event)
        shares = unit.sharing(event)
        change = unit.open(create(event, policy.planning, id=self._new_id(), zone=policy.zone))
        unit.mark_series(change)
        return change, None, shares, []


def _with_sending(result: ProcessingResult, unit: UnitOfWork) -> ProcessingResult:
    texts = tuple(text for own_id in result.appointment_ids for text in unit.sending.get(own_id, ()))
    return replace(result, sending=texts) if texts else result


def _as_answered(before: Remembered, policy: EnvironmentPolicy) -> Answer:
    if before.code is None:
        return ACCEPTED
    return policy.answers.answer(before.code, before.err3, before.text)


def _key(job: ValidatedMessage) -> MessageKey:
    msh = job.msh
    return MessageKey(
        job.environment or "",
        msh.sending_application.decode("latin-1"),
        msh.sending_facility.decode("latin-1"),
        msh.control_id.decode("latin-1"),
    )
