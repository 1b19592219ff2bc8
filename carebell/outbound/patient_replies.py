"""A patient's reply and all that comes of it, in one transaction.

Understood by the words of the environments that text from the number it was sent to, judged by the questions that are open for its
telephone (`scheduler.reply`), then written: the reply's row, what goes back to the EHR, and the text that answers. Later texts of a
confirmed visit do not ask, because each text is rendered when it is claimed. STOP, START and HELP are handled before, elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig
from carebell.outbound.recipient import recipient_of
from journal.events.base import Event
from journal.events.gateway import PatientReplied, ReplyNotUnderstood, ReplyRepeated
from notifier.replies import OptIn, Other
from notifier.reply_meaning import says_yes
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.reply import (
    NOT_UNDERSTOOD,
    AnswerRule,
    Judged,
    Meaning,
    ReplyKind,
    ReplyReason,
    answer_to,
    judge,
)
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from scheduler.writeback import WritebackEvent, intend
from store import answers, patient_replies, writebacks
from store.appointment_repository import Save, load, save
from store.engine import Transaction
from store.patient_replies import PatientReply
from store.questions import AskedQuestion, open_questions
from store.vault import Vault

A_DAY: Final = timedelta(days=1)
_OFTEN: Final = 3
"""How often a list or a moved time is said in a day, for a telephone that answers by itself. Thanks are said once."""
_EVENTS: Final = {
    ReplyKind.CONFIRM: WritebackEvent.CONFIRMED,
    ReplyKind.CANNOT_COME: WritebackEvent.CANNOT_COME,
    ReplyKind.CALL_ME: WritebackEvent.CALL_ME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderstoodReply:
    """A reply before anything is written. Its appointments are locked.

    Attributes:
        questions: open for its telephone.
        about: the appointment to which its row and its answer belong; None: there is none whose number is not forgotten.
        others: appointments of the same number, for what is said once a day.
    """

    meaning: Meaning
    judged: Judged[AskedQuestion]
    about: Appointment | None
    others: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardReply:
    """Attributes:
    kind: what took effect; None: nothing.
    events: to be logged after the commit.
    """

    kind: ReplyKind | None
    events: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientReplies:
    """Attributes:
    ids: new ids of rows. message_ids: of messages to the EHR (`carebell.ids.ControlIds`).
    """

    vault: Vault
    runtime_config: Callable[[], RuntimeConfig]
    ids: Callable[[], str]
    message_ids: Callable[[], str]

    def listens(self, reply: Other | OptIn) -> bool:
        """Whether any environment that texts from this sender takes replies."""
        return bool(self._policies(reply))

    def look(self, conn: Transaction, reply: Other | OptIn, now: datetime) -> UnderstoodReply:
        """What the reply means. Locks the appointments that it may be about."""
        policies = self._policies(reply)
        key = self.vault.ring.phone_key(reply.phone)
        senders = {policy.environment.sms.sender for policy in policies.values()}
        by_sender = open_questions(conn, self.vault, {key}, senders, now, recipient=self._recipient, lock=True)
        questions = [
            question for some in by_sender.values() for question in some if question.appointment.environment in policies
        ]
        meanings = {name: _meaning(reply, policy) for name, policy in policies.items()}
        meaning = next((meant for meant in meanings.values() if meant != NOT_UNDERSTOOD), NOT_UNDERSTOOD)
        judged = judge(meaning, [asked for asked in questions if meanings[asked.appointment.environment] == meaning])
        if judged.question is not None:
            return UnderstoodReply(meaning=meaning, judged=judged, about=judged.question.appointment, others=())
        lately = answers.texted_lately(conn, key, senders, policies)
        about = min((question.appointment for question in questions), key=_start_of, default=None)
        if about is None:
            about = self._reachable(conn, key, lately, now)
        return UnderstoodReply(meaning=meaning, judged=judged, about=about, others=lately)

    def write(self, conn: Transaction, reply: Other | OptIn, understood: UnderstoodReply, now: datetime) -> HeardReply:
        """Write a reply and its effects, once for each message of the gateway."""
        about, judged, kind = understood.about, understood.judged, understood.meaning.kind
        if reply.message_id is None:
            return HeardReply(kind=None, events=[_not_understood(reply, None, kind, "no_id")])
        before = {} if about is None else patient_replies.last_effective(conn, [about.id])
        row = PatientReply(
            id=self.ids(),
            environment=next(iter(self._policies(reply))) if about is None else about.environment,
            appointment=None if about is None else about.id,
            revision=None if about is None else about.revision,
            question=None if judged.question is None else judged.question.sms,
            kind=kind,
            reason=judged.reason,
            at=now,
        )
        if not patient_replies.add(conn, row, self.vault.ring.reply_key(reply.message_id)):
            repeated = ReplyRepeated(sender=reply.senders[0], to=reply.phone.masked, source="webhook")
            return HeardReply(kind=None, events=[repeated])
        if about is None:
            return HeardReply(kind=None, events=[_not_understood(reply, None, kind, judged.reason)])
        known = before.get(about.id)
        is_news = known is None or known.kind is not kind or not known.is_about(about)
        if judged.reason is None and is_news:
            self._write_back(conn, about, row, now)
        self._answer(conn, understood, about, now, is_news=judged.reason is None and is_news)
        if judged.reason is not None:
            return HeardReply(kind=None, events=[_not_understood(reply, about, kind, judged.reason)])
        heard = PatientReplied(
            environment=about.environment,
            appointment=about.reference,
            reply=kind,
            sms=row.question,
            to=reply.phone.masked,
            source="webhook",
        )
        return HeardReply(kind=kind, events=[heard])

    def _policies(self, reply: Other | OptIn) -> dict[str, EnvironmentPolicy]:
        return {
            name: policy
            for name, policy in self.runtime_config().policies.items()
            if policy.replies is not None and policy.environment.sms.sender in reply.senders
        }

    def _recipient(self, appointment: Appointment) -> PhoneNumber | None:
        return recipient_of(appointment, self.runtime_config())

    def _reachable(self, conn: Transaction, key: str, ids: Sequence[str], now: datetime) -> Appointment | None:
        """The appointment of the latest text to this number that is still to come, with a number that is not forgotten."""
        stored = load(conn, self.vault, ids, now, lock="skip", unreadable=set())
        for own_id in ids:
            if own_id not in stored:
                continue
            appointment = stored[own_id].appointment
            to, deadline = self._recipient(appointment), appointment.deadline
            is_ahead = appointment.status is AppointmentStatus.ACTIVE and deadline is not None and now < deadline
            if is_ahead and to is not None and self.vault.ring.phone_key(to) == key:
                return appointment
        return None

    def _write_back(self, conn: Transaction, about: Appointment, reply: PatientReply, now: datetime) -> None:
        if reply.kind is ReplyKind.CONFIRM:
            writebacks.take_back_question(conn, about.id, now)
        policy = self.runtime_config().policies[about.environment]
        asks = reply.kind is ReplyKind.CANNOT_COME and policy.environment.sms.replies.cannot_come == "ask_ehr"
        intent = intend(
            policy.writeback,
            _EVENTS[reply.kind],
            environment=about.environment,
            appointment=about.id,
            start=about.start,
            now=now,
            facts={"at": now.isoformat(), "by": "patient", "sms": reply.question, "ask": asks},
        )
        if intent is not None:
            writebacks.add(conn, intent, ids=self.message_ids, now=now)

    def _answer(
        self, conn: Transaction, understood: UnderstoodReply, about: Appointment, now: datetime, *, is_news: bool
    ) -> None:
        """Add the text that answers, unless it is switched off or was said often enough."""
        policy = self.runtime_config().policies[about.environment]
        settings, reason = policy.environment.sms.replies, understood.judged.reason
        rule = answer_to(understood.meaning.kind, reason)
        if reason is None and not settings.answer:
            return
        if rule is AnswerRule.UNKNOWN:
            of_number = {about.id, *understood.others}
            if settings.unknown == "never" or answers.count_since(conn, of_number, rule, now - A_DAY):
                return
        elif not is_news:
            most = 1 if reason is None else _OFTEN
            if answers.count_since(conn, [about.id], rule, now - A_DAY, start=about.start) >= most:
                return
        row = PlannedRow(
            kind=SmsKind.ANSWER,
            rule=rule.value,
            revision=answers.next_number(conn, about.id, rule),
            due=now,
            expires=now + policy.environment.sms.max_lateness,
            state=SmsState.DUE,
            reason=Reason.ANSWER,
        )
        added = Save(
            appointment=about, changes=[row], new_aliases=(), is_new=False, config_version=policy.config_version
        )
        save(conn, self.vault, [added], [], now, new_id=self.ids)


def _meaning(reply: Other | OptIn, policy: EnvironmentPolicy) -> Meaning:
    if isinstance(reply, OptIn):
        return Meaning(kind=ReplyKind.CONFIRM) if says_yes(reply.written) else NOT_UNDERSTOOD
    return NOT_UNDERSTOOD if policy.replies is None else policy.replies.meaning(reply.written)


def _start_of(appointment: Appointment) -> tuple[datetime, str]:
    assert appointment.deadline is not None  # its question is open
    return appointment.deadline, appointment.id


def _not_understood(
    reply: Other | OptIn, about: Appointment | None, kind: ReplyKind, reason: ReplyReason | str | None
) -> ReplyNotUnderstood:
    return ReplyNotUnderstood(
        environment=None if about is None else about.environment,
        appointment=None if about is None else about.reference,
        reply=kind,
        reason=str(reason),
        sender=reply.senders[0],
        to=reply.phone.masked,
        source="webhook",
    )
