"""Decide whether a due text may be sent now. The claiming transaction calls it and checks everything again (sms.md, Planning).

Pure except for the senders' budgets, which are charged for every text that may be sent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig
from carebell.outbound.recipient import Recipients
from carebell.outbound.render import NOTHING_ASKED, Asking, text_of, text_settings
from config.model import Caps
from notifier.text import Ask, ListedVisit, Rendered, TextSettings
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.confirmation_window import close_window
from scheduler.reply import AnswerRule, ReplyKind, free_number
from scheduler.sms import Cap, PlannedRow, Reason, SmsKind, SmsState
from store.claims import ClaimCandidate, Decision, Later, Send, Suppress

MOST_LISTED: Final = 9
"""Visits that one text lists."""
_ABOUT_A_TIME: Final = (AnswerRule.CONFIRMED, AnswerRule.CANNOT_COME)
"""Answers that are wrong once the visit has another time than when the patient replied."""
_HELD_FOR: Final = timedelta(seconds=30)
"""How often a held text is checked again."""


class Budgets(Protocol):
    """The senders' rates, in SMS segments."""

    def spend(self, sender: str, segments: int) -> datetime | None:
        """Charge a text. If the sender has no budget now, return when to try again, UTC."""


class SendPolicy:
    """One round's decisions.

    Args:
        now: the round's instant, UTC.
        budgets: charged with the segments of each text that may be sent.
        recipients: who was judged in this round already.
    """

    def __init__(
        self, runtime_config: RuntimeConfig, now: datetime, budgets: Budgets, recipients: Recipients | None = None
    ) -> None:
        self._policies = runtime_config.policies
        self._organization = runtime_config.organization
        self._now = now
        self._budgets = budgets
        self._recipients = recipients or Recipients(runtime_config)
        self._settings: dict[str, TextSettings] = {}  # by environment

    def __call__(self, candidate: ClaimCandidate) -> Decision:
        policy = self._policies[candidate.row.environment]
        reason = self._against(candidate)
        if reason is not None:
            too_late = reason in (Reason.PAST, Reason.EXPIRED)
            return Suppress(reason=reason, appointment=_settled(candidate, policy, too_late=too_late))
        cap = cap_reached(candidate.row.kind, policy.environment.sms.caps, candidate.day, candidate.week)
        if cap is not None:
            return Suppress(reason=Reason.CAP, appointment=_settled(candidate, policy), cap=cap)
        if candidate.hold is not None:
            return Later(until=self._now + _HELD_FOR)
        number, text = self._text(candidate, policy)
        if text is None:
            return Suppress(reason=Reason.NO_TEXT, appointment=_settled(candidate, policy))
        turn = self._budgets.spend(candidate.sender, text.segments)
        if turn is not None:
            return Later(until=turn)
        return Send(
            segments=text.segments,
            text=text.text,
            appointment=_settled(candidate, policy),
            question=number if text.asks else None,
            is_alone=_is_alone(candidate),
        )

    def _text(self, candidate: ClaimCandidate, policy: EnvironmentPolicy) -> tuple[int | None, Rendered | None]:
        """The text, and the number of what it asks. A list that is too long names the nearest visits."""
        row, appointment = candidate.row, candidate.appointment
        number = asked_number(candidate, policy)
        asking = [_asking(candidate, policy, number)]
        if asking[0].visits:
            asking = [replace(asking[0], visits=asking[0].visits[:size]) for size in range(MOST_LISTED, 0, -1)]
        settings = self._settings.get(policy.name)
        if settings is None:
            settings = self._settings[policy.name] = text_settings(self._organization, policy.environment.sms)
        for some in asking:
            text = text_of(
                appointment,
                row.kind,
                policy,
                self._organization,
                candidate.token,
                rule=row.rule,
                asking=some,
                settings=settings,
            )
            if text is not None:
                return number, text
        return number, None

    def _against(self, candidate: ClaimCandidate) -> Reason | None:
        """The first reason why this text must never be sent; None: there is none."""
        row, appointment, now = candidate.row, candidate.appointment, self._now
        past = row.past
        outdated = _outdated(past, appointment)
        if outdated is None and row.rule in _ABOUT_A_TIME and row.start != appointment.start:
            outdated = Reason.SUPERSEDED
        if outdated is not None:
            return outdated
        visit = _visit(appointment, row.kind)
        if visit is None or now >= visit:
            return Reason.PAST
        if row.expires is not None and now > row.expires:
            return Reason.EXPIRED
        blocked = self._recipients.blocked(appointment)
        if blocked is not None:
            return blocked
        if candidate.opted_out:
            return Reason.OPTED_OUT
        if row.kind is SmsKind.ANSWER:
            return None
        if row.kind is SmsKind.REMINDER and any(self._is_nearer(past, other) for other in candidate.history):
            return Reason.SUPERSEDED
        return None

    def _is_nearer(self, reminder: PlannedRow, other: PlannedRow) -> bool:
        """Whether another overdue reminder is nearer to the visit. Of several, only the nearest is sent."""
        return (
            other.kind is SmsKind.REMINDER
            and other.state is SmsState.DUE
            and other.due is not None
            and reminder.due is not None
            and reminder.due < other.due <= self._now
        )


def asked_number(candidate: ClaimCandidate, policy: EnvironmentPolicy) -> int | None:
    """The number of the question that a text asks; None: it asks nothing. A visit keeps its number."""
    row, questions = candidate.row, candidate.questions
    if policy.replies is None:
        return None
    if row.kind is SmsKind.ANSWER:
        asks = row.rule == AnswerRule.MOVED
    else:
        asks = row.kind.value in policy.environment.sms.replies.ask_in and not candidate.confirmed
    if not asks:
        return None
    own = next((question for question in questions if question.appointment.id == candidate.appointment.id), None)
    return free_number([question.number for question in questions]) if own is None else own.number


def _is_alone(candidate: ClaimCandidate) -> bool:
    return all(question.appointment.id == candidate.appointment.id for question in candidate.questions)


def _asking(candidate: ClaimCandidate, policy: EnvironmentPolicy, number: int | None) -> Asking:
    if policy.replies is None:
        return NOTHING_ASKED
    row, shown = candidate.row, policy.replies.shown
    lists = AnswerRule(row.rule).lists if row.kind is SmsKind.ANSWER else None
    if lists is not None:
        visits = tuple(
            ListedVisit(
                start=question.appointment.start,
                zone=question.appointment.zone,
                date_only=question.appointment.date_only,
                ask=Ask(words=shown[lists], number=question.number),
            )
            for question in sorted(candidate.questions, key=lambda question: question.until)
        )
        return Asking(visits=visits, visit_count=len(visits))
    if number is None:
        return NOTHING_ASKED
    return Asking(ask=Ask(words=shown[ReplyKind.CONFIRM], number=None if _is_alone(candidate) else number))


def cap_reached(kind: SmsKind, caps: Caps, day: int, week: int) -> Cap | None:
    """Which cap keeps a text from leaving; a cancellation and an answer go over every cap.

    Args:
        day, week: texts taken for the number in the rolling 24 hours and 7 days.
    """
    if kind in (SmsKind.CANCELED, SmsKind.ANSWER):
        return None
    if day >= caps.per_day:
        return Cap.PER_DAY
    return Cap.PER_WEEK if week >= caps.per_week else None


_OUTDATED: Final = {
    AppointmentStatus.NOT_BOOKED: Reason.NOT_BOOKED,
    AppointmentStatus.ACTIVE: Reason.SUPERSEDED,
    AppointmentStatus.CANCELED: Reason.CANCELED,
    AppointmentStatus.DELETED: Reason.CANCELED,
    AppointmentStatus.ENDED: Reason.PAST,
}


def _outdated(row: PlannedRow, appointment: Appointment) -> Reason | None:
    """Why a row no longer belongs to the appointment's present state: it was under way when a newer message was planned."""
    status = appointment.status
    if status is not (AppointmentStatus.CANCELED if row.kind is SmsKind.CANCELED else AppointmentStatus.ACTIVE):
        return _OUTDATED[status]
    if row.kind is SmsKind.ANSWER:
        return None
    if row.kind is SmsKind.REMINDER:
        return Reason.SUPERSEDED if row.revision != appointment.planned_revision else None
    # If the window of a confirmation is closed, it was told once and is tried again. A newer window has its own text.
    newer = appointment.window_revision is not None and appointment.window_revision != row.revision
    return Reason.SUPERSEDED if newer else None


def _visit(appointment: Appointment, kind: SmsKind) -> datetime | None:
    """Until when a text is useful: a cancellation until the time that the patient knows."""
    last_notified = appointment.last_notified_deadline if kind is SmsKind.CANCELED else None
    return last_notified or appointment.deadline


def _settled(candidate: ClaimCandidate, policy: EnvironmentPolicy, *, too_late: bool = False) -> Appointment | None:
    """The appointment after its confirmation was sent or suppressed: the patient counts as told, unless it was too late."""
    row, appointment = candidate.row, candidate.appointment
    if not row.kind.is_confirmation or row.revision != appointment.window_revision:
        return None  # the window is closed, or belongs to another text
    return close_window(appointment, policy.planning, too_late=too_late)
