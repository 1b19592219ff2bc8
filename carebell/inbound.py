"""A frame's way to its ACK. The page to read first.

    frame ─> who signed it?  ─> what does it say? ─> what changes?          ─> answer
             certs.verify       parser.siu           scheduler + store, one    parser.ack
                                                     transaction per group

`judge()` is everything up to the database and touches nothing: `carebell verify` is `judge()` with a replay memory of its own.
`commit_group()` is given what queued while the last group was being synced: replay memory, appointments and outbox rows go into one
transaction, and only after it do the answers leave. Where it runs is the committer's business (docs/decisions/0012). A fault of
ours gets no answer at all: the connection is reset and the sender's engine sends again (signing.md, section 9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from carebell.desk import Desk
from certs.message import Msh, Refusal, VerifiedMessage
from certs.msh import read_msh
from certs.verify import Verifier
from parser import siu
from parser.ack import ACCEPTED, Answer
from parser.answers import AnswerTable
from parser.event import Action, Rejection, SchedulingEvent
from parser.siu import Rules
from scheduler.appointment import Appointment, Life, advance, first_sight, same_visit
from scheduler.messages import Kind, Past, Reason, State
from scheduler.plan import diff, plan
from store import usage
from store.engine import Transaction
from store.inbound import Found, MessageKey, Remembered, Save, find, known, save
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is known of a frame before the database is asked.

    Attributes:
        msh: for the answer; header bytes only.
        environment: whose certificate signed it; None where that is not known.
        verified: None: refused before or by verification.
        event: None: refused, or not to be acted on.
        refused: the answer, where it is already certain.
        thumbprint, digest: short prefixes for the log line.
    """

    msh: Msh = field(repr=False)
    environment: str | None
    received_at: datetime
    verified: VerifiedMessage | None = None
    event: SchedulingEvent | None = None
    refused: Answer | None = None
    thumbprint: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatekeeper:
    """Judges the frames of one listener.

    Attributes:
        rules: environment -> how its messages are read.
        answers: environment -> its table of answers; "" is the table for messages of no known environment.
    """

    verifier: Verifier
    rules: Mapping[str, Rules]
    answers: Mapping[str, AnswerTable]

    def judge(self, content: bytes, received_at: datetime, peer_thumbprint: str | None = None) -> Judged:
        """Verify and read one frame's content. Never raises for anything a sender can send."""
        outcome = self.verifier.verify(content, received_at=received_at, peer_thumbprint=peer_thumbprint)
        if isinstance(outcome, Refusal):
            table = self._table(outcome.environment)
            return Judged(
                msh=outcome.msh,
                environment=outcome.environment,
                received_at=received_at,
                refused=table.answer(outcome.code, outcome.err3, outcome.text),
                thumbprint=outcome.thumbprint,
                digest=outcome.digest,
            )
        read = siu.read(outcome, self.rules[outcome.environment])
        event, refused = (read, None) if isinstance(read, SchedulingEvent) else (None, self._rejected(outcome, read))
        return Judged(
            msh=outcome.msh,
            environment=outcome.environment,
            received_at=received_at,
            verified=outcome,
            event=event,
            refused=refused,
            thumbprint=outcome.thumbprint[:8],
            digest=outcome.digest.hex()[:16],
        )

    def answer(self, judged: Judged, code: str, text: str | None = None) -> Answer:
        """The environment's answer to a failure found after judging (SIG10, UNSEEN, TRANSIENT ...)."""
        return self._table(judged.environment).answer(code, text=text)

    def too_long(self, head: bytes, received_at: datetime) -> Judged:
        """A frame over the size limit, of which only the first bytes were read."""
        return Judged(
            msh=read_msh(head), environment=None, received_at=received_at, refused=self._table(None).answer("SIZE")
        )

    def _rejected(self, message: VerifiedMessage, rejection: Rejection) -> Answer:
        table = self._table(message.environment)
        return table.answer(rejection.code, rejection.err3, rejection.text, rejection.location)

    def _table(self, environment: str | None) -> AnswerTable:
        return self.answers.get(environment or "", self.answers[""])


# The transaction

_USAGE_PRECISION: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a committed message did, for its answer and its log line.

    Attributes:
        name: `stored`, `repeated`, `reused`, `older` (a newer message was here before) or `ignored` (S23, S24).
        appointment: the hospital's reference; None: no appointment.
        appointment_ids: ours, of every appointment that the message is about: its answer waits for texts of theirs that are on
            their way to the gateway, also where the message itself changed nothing (it may repeat one that did).
        reused: the control id had been used for another message, which configuration lets through.
        planned, withdrawn, suppressed: how many texts now wait, were taken back, are recorded as silences.
    """

    name: str
    answer: Answer
    appointment: str | None = None
    appointment_ids: tuple[str, ...] = ()
    reused: bool = False
    revision: int | None = None
    planned: int = 0
    withdrawn: int = 0
    suppressed: int = 0


class Registry:
    """Commits groups of judged messages: the committer's `work`.

    Args:
        desks: the environments' desks as configured now; asked once a group, so that a reload is seen.
        new_id: 32 random hex digits.
    """

    def __init__(self, vault: Vault, desks: Callable[[], Mapping[str, Desk]], new_id: Callable[[], str]) -> None:
        self._vault = vault
        self._desks = desks
        self._new_id = new_id
        self._noted: dict[tuple[str, str], datetime] = {}

    def commit_group(self, conn: Transaction, jobs: Sequence[Judged]) -> list[Effect]:
        """Apply the messages in their order. The caller commits; on any exception nothing of the group is kept."""
        desks = self._desks()
        now = max(job.received_at for job in jobs)
        memory = known(conn, [(_key(job), job.verified.digest) for job in jobs if job.verified is not None])
        wanted = [
            (job.event.environment, job.event.aliases)
            for job in jobs
            if job.event is not None and job.event.action is not Action.SLOT
        ]
        files = _Files(found for several in find(conn, self._vault, wanted, now) for found in several)
        fresh: list[Remembered] = []
        effects = []
        for job in jobs:
            effect, remembered = self._apply(job, desks, memory, files)
            effects.append(effect)
            if remembered is not None:
                memory.setdefault(remembered.key, []).append(remembered)
                fresh.append(remembered)
        self._note_usage(conn, jobs, now)
        save(conn, self._vault, files.saves(desks), fresh, now, new_id=self._new_id)
        return effects

    def _note_usage(self, conn: Transaction, jobs: Sequence[Judged], now: datetime) -> None:
        """Remember, to the hour, that these certificates are in use."""
        for job in jobs:
            if job.verified is None:
                continue
            signer = (job.verified.environment, job.verified.thumbprint)
            noted = self._noted.get(signer)
            if noted is None or not noted <= now < noted + _USAGE_PRECISION:
                usage.note(conn, *signer, now)
                self._noted[signer] = now

    def _apply(
        self, job: Judged, desks: Mapping[str, Desk], memory: Mapping[MessageKey, Sequence[Remembered]], files: _Files
    ) -> tuple[Effect, Remembered | None]:
        event, message = job.event, job.verified
        assert event is not None
        assert message is not None
        desk = desks[event.environment]
        key = _key(job)
        before = memory.get(key, ())
        for one in before:
            if one.digest == message.digest:
                return Effect(name="repeated", answer=_as_answered(one, desk), appointment_ids=files.ids(event)), None
        if before and desk.refuses_reuse:
            return Effect(name="reused", answer=desk.reused()), None
        effect = self._effect(event, desk, files)
        if before:
            effect = replace(effect, reused=True)
        remembered = Remembered(
            key=key,
            digest=message.digest,
            answer=effect.answer.answer,
            code=effect.answer.code,
            err3=effect.answer.err3,
            text=effect.answer.text,
            received_at=job.received_at,
            forget_after=job.received_at + desk.remembers_for,
            reuses=bool(before),
        )
        return effect, remembered

    def _effect(self, event: SchedulingEvent, desk: Desk, files: _Files) -> Effect:
        if event.action is Action.SLOT:
            return Effect(name="ignored", answer=ACCEPTED)
        folder, strangers = files.of(event)
        answer = ACCEPTED
        if folder is None:
            seen = first_sight(event, desk.policy, id=self._new_id(), zone=desk.zone)
            folder = files.open(seen)
            if event.action in (Action.CANCEL, Action.DELETE, Action.NO_SHOW):
                answer = desk.answers.answer("UNSEEN")
        else:
            after = advance(folder.appointment, event, desk.policy)
            if after is None:
                reference = folder.appointment.reference
                return Effect(name="older", answer=answer, appointment=reference, appointment_ids=files.ids(event))
            folder.appointment = after
        for stranger in strangers:
            folder.take_over(stranger)
        files.settle(folder)
        planned, withdrawn, suppressed = folder.replan(desk, event.received_at)
        return Effect(
            name="stored",
            answer=answer,
            appointment=folder.appointment.reference,
            appointment_ids=(folder.appointment.id, *(stranger.appointment.id for stranger in strangers)),
            revision=folder.appointment.revision,
            planned=planned,
            withdrawn=withdrawn,
            suppressed=suppressed,
        )


def _as_answered(before: Remembered, desk: Desk) -> Answer:
    if before.code is None:
        return ACCEPTED
    return desk.answers.answer(before.code, before.err3, before.text)


def _key(job: Judged) -> MessageKey:
    msh = job.msh
    parts = (msh.sending_application, msh.sending_facility, msh.control_id)
    return MessageKey(job.environment or "", *(part.decode("latin-1") for part in parts))


class _Folder:
    """One appointment while a group is applied: its state and rows, as they will be saved once."""

    def __init__(
        self, appointment: Appointment, rows: Sequence[Past], known_aliases: Sequence[str], first: bool
    ) -> None:
        self.appointment = appointment
        self.rows = {row.identity: row for row in rows}
        self.changes: dict[tuple[Kind, str, int], Past] = {}
        self.known_aliases = set(known_aliases)
        self.moved_aliases: set[str] = set()
        self.first = first
        self.touched = first

    def replan(self, desk: Desk, now: datetime) -> tuple[int, int, int]:
        """Plan anew; how many texts now wait, were taken back, are recorded as silences."""
        self.touched = True
        history = list(self.rows.values())
        found = plan(self.appointment, desk.policy, history, now, desk.blocked(self.appointment))
        self.appointment = found.appointment
        planned = withdrawn = suppressed = 0
        for row in diff(found.desired, history):
            identity = row.identity
            old = self.rows.get(identity)
            self.rows[identity] = self.changes[identity] = row
            if row.state is State.DUE:
                planned += 1
            elif old is not None and old.state is State.DUE:
                withdrawn += 1
            else:
                suppressed += 1
        return planned, withdrawn, suppressed

    def take_over(self, other: _Folder) -> None:
        """Two identities turned out to be one appointment: this one stays, the other ends and its waiting texts are taken back."""
        self.moved_aliases |= other.known_aliases
        known_aliases = tuple(alias for alias in other.appointment.aliases if alias not in self.appointment.aliases)
        self.appointment = replace(self.appointment, aliases=self.appointment.aliases + known_aliases)
        other.appointment = replace(
            other.appointment, life=Life.ENDED, aliases=(), phone=None, phone_fault="purged",
            window_revision=None, window_due=None, window_text=False,
        )  # fmt: skip
        other.touched = True
        for row in list(other.rows.values()):
            if row.state is State.DUE:
                taken = replace(row, state=State.SUPPRESSED, reason=Reason.SUPERSEDED, expires=None)
                other.rows[row.identity] = other.changes[row.identity] = taken

    def save(self, config_version: str) -> Save:
        known_aliases = self.known_aliases | self.moved_aliases
        new = tuple(alias for alias in self.appointment.aliases if alias not in known_aliases)
        return Save(
            appointment=self.appointment,
            changes=list(self.changes.values()),
            new_aliases=new,
            moved_aliases=tuple(self.moved_aliases),
            first_sight=self.first,
            config_version=config_version,
        )


class _Files:
    """The folders of one group, by appointment and by alias."""

    def __init__(self, found: Iterable[Found]) -> None:
        self._folders: dict[str, _Folder] = {}
        self._owners: dict[tuple[str, str], str] = {}
        for each in found:
            if each.appointment.id in self._folders:
                continue
            folder = _Folder(each.appointment, each.history, each.appointment.aliases, first=False)
            self._folders[each.appointment.id] = folder
            self._own(folder)

    def of(self, event: SchedulingEvent) -> tuple[_Folder | None, list[_Folder]]:
        """The appointment that an event is about, and others that turn out to be the same one."""
        owners = dict.fromkeys(
            owner for alias in event.aliases if (owner := self._owners.get((event.environment, alias))) is not None
        )
        same = [
            folder
            for owner in owners
            if same_visit((folder := self._folders[owner]).appointment.aliases, event.aliases)
        ]
        return (same[0], same[1:]) if same else (None, [])

    def ids(self, event: SchedulingEvent) -> tuple[str, ...]:
        """Our ids of the appointments that an event is about."""
        folder, strangers = self.of(event)
        return () if folder is None else (folder.appointment.id, *(stranger.appointment.id for stranger in strangers))

    def open(self, appointment: Appointment) -> _Folder:
        """A folder for a first sight. An alias that another appointment has stays with that one."""
        taken = [alias for alias in appointment.aliases if (appointment.environment, alias) in self._owners]
        folder = self._folders[appointment.id] = _Folder(appointment, [], taken, first=True)
        self._own(folder)
        return folder

    def saves(self, desks: Mapping[str, Desk]) -> list[Save]:
        return [
            folder.save(desks[folder.appointment.environment].config_version)
            for folder in self._folders.values()
            if folder.touched
        ]

    def settle(self, folder: _Folder) -> None:
        """Note the aliases that an event added to a folder."""
        self._own(folder)

    def _own(self, folder: _Folder) -> None:
        for alias in folder.appointment.aliases:
            self._owners.setdefault((folder.appointment.environment, alias), folder.appointment.id)
