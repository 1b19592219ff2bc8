"""Which texts to send about one appointment, when, and which not and why: one pure function (sms.md, One pure function decides).

Booking, rescheduling, cancelling, a config edit, a late booking and the recovery from an outage all use this code. `plan()`
returns every text that the appointment's present state requires, given its existing outbox rows; `diff()` returns the rows
that must change. A row that was attempted is never changed; a waiting row that is no longer needed is withdrawn with a reason.

Times: hours and minutes before a visit are elapsed time, days and weeks are wall clock in the clinic's zone. A wall-clock time that
does not exist shifts forward by the gap; if it exists twice, the earlier one counts. Every `due` is UTC on a whole minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from config.model import Reminder
from parser.timestamps import zone_of
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.policy import Policy
from scheduler.quiet_hours import is_quiet, last_permitted, next_opening
from scheduler.sms import Desired, PlannedRow, PlannedSms, Reason, SmsKind, SmsState, Suppressed

PROMPT = timedelta(minutes=5)
"""How late a reminder may be sent whose own time is less than `min_lead` before the visit, such as a video link 15 minutes
before."""

PASSES_QUIET = timedelta(hours=24)
"""A confirmation ignores quiet hours if the visit is this near."""

_RULE = {SmsKind.BOOKED: "scheduled", SmsKind.UPDATED: "updated", SmsKind.CANCELED: "canceled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsPlan:
    """The result of `plan()`.

    Attributes:
        appointment: with its confirmation window updated (its due time, and whether it has a text to send).
        desired: every text of the present state, to be sent or suppressed; past rows that are settled are left out.
    """

    appointment: Appointment
    desired: tuple[Desired, ...]


def plan(
    appointment: Appointment,
    policy: Policy,
    history: Sequence[PlannedRow],
    now: datetime,
    blocked: Reason | None = None,
) -> SmsPlan:
    """The texts of one appointment at `now`.

    Args:
        history: the appointment's outbox rows.
        now: UTC: the receipt of the message that changed it, or the time of a config edit or recovery.
        blocked: why this patient cannot be texted at all (no_phone, landline, no_consent ...); None: the patient can be.
    """
    confirmation = _confirmation(appointment, policy, blocked)
    leaves = isinstance(confirmation, PlannedSms)
    appointment = appointment.with_window(confirmation.due if confirmation else None, text=leaves)
    desired: list[Desired] = [confirmation] if confirmation else []
    if appointment.unseen_edit:
        desired.append(_nothing_to_see(appointment))
    if appointment.status is AppointmentStatus.NOT_BOOKED:
        desired += _not_booked(appointment, policy, history)
    told_at = [past.due for past in history if past.kind.is_confirmation and past.may_have_reached and past.due]
    if leaves and confirmation and confirmation.due:
        told_at.append(confirmation.due)
    desired += _reminders(appointment, policy, history, now, blocked, told_at)
    desired += _taken_back(appointment, policy, history, desired)
    return SmsPlan(appointment=appointment, desired=tuple(desired))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplannedTexts:
    """Attributes:
    appointment: as planned.
    changes: the rows to write.
    """

    appointment: Appointment
    changes: tuple[PlannedRow, ...]


def replan(
    appointment: Appointment,
    policy: Policy,
    history: Sequence[PlannedRow],
    now: datetime,
    blocked: Reason | None = None,
) -> ReplannedTexts:
    """Plan, and compare with the existing rows. Only this function turns a plan into rows. Arguments as `plan`."""
    planned = plan(appointment, policy, history, now, blocked)
    return ReplannedTexts(appointment=planned.appointment, changes=tuple(diff(planned.desired, history)))


def diff(desired: Iterable[Desired], history: Sequence[PlannedRow]) -> list[PlannedRow]:
    """The rows to write: new rows, and waiting or suppressed rows whose plan changed. Attempted rows are never included."""
    before = {past.identity: past for past in history}
    changes = []
    for wanted in desired:
        row = _row(wanted)
        old = before.get(row.identity)
        if old == row or (old is not None and old.gone):
            continue
        changes.append(row)
    return changes


def _row(wanted: Desired) -> PlannedRow:
    if isinstance(wanted, PlannedSms):
        state, expires = SmsState.DUE, wanted.expires
    else:
        state, expires = SmsState.SUPPRESSED, None
    return PlannedRow(
        kind=wanted.kind,
        rule=wanted.rule,
        revision=wanted.revision,
        due=wanted.due,
        expires=expires,
        state=state,
        reason=wanted.reason,
    )


# Confirmations


def _confirmation(appointment: Appointment, policy: Policy, blocked: Reason | None) -> Desired | None:
    """The open window's text; None: no window is open."""
    revision = appointment.window_revision
    if revision is None:
        return None
    last_notified, deadline = appointment.last_notified, appointment.deadline
    due = whole_minute(appointment.changed_at + policy.sms.debounce)
    if last_notified is None and appointment.status is AppointmentStatus.CANCELED:
        return Suppressed(
            kind=SmsKind.BOOKED, rule=_RULE[SmsKind.BOOKED], revision=revision, reason=Reason.CANCELED, due=due
        )
    visit, over, zone = appointment.start, deadline, appointment.zone
    if last_notified is None:
        kind = SmsKind.BOOKED
    elif appointment.status is AppointmentStatus.CANCELED:
        kind, zone = SmsKind.CANCELED, appointment.last_notified_zone
        visit, over = last_notified.start or visit, appointment.last_notified_deadline or over
    else:
        kind, ahead = SmsKind.UPDATED, appointment.last_notified_deadline
        if visit is not None and last_notified.start is not None and ahead is not None and ahead > due:
            visit = min(visit, last_notified.start)
    silence: Reason | None = None
    if over is None or visit is None:
        silence = Reason.PAST
    else:
        due = _out_of_quiet(due, visit, zone_of(zone), policy)
        if due >= over:
            silence = Reason.PAST
    if silence is None and not getattr(policy.sms.confirmation, _RULE[kind]):
        silence = Reason.SWITCHED_OFF
    silence = silence or blocked
    if silence is not None or over is None:
        return Suppressed(kind=kind, rule=_RULE[kind], revision=revision, reason=silence or Reason.PAST, due=due)
    # A change or a cancellation is useful to the patient until the visit; the patient knows of a booking anyway.
    expires = min(over, due + policy.sms.max_lateness) if kind is SmsKind.BOOKED else over
    return PlannedSms(
        kind=kind, rule=_RULE[kind], revision=revision, due=due, expires=expires, reason=Reason(kind.value)
    )


def _out_of_quiet(due: datetime, visit: datetime, zone: ZoneInfo, policy: Policy) -> datetime:
    hours = policy.sms.quiet_hours
    if hours is None or visit - due <= PASSES_QUIET or not is_quiet(due, hours, zone):
        return due
    return next_opening(due, hours, zone)


def _nothing_to_see(appointment: Appointment) -> Suppressed:
    kind = SmsKind.CANCELED if appointment.status is AppointmentStatus.CANCELED else SmsKind.UPDATED
    return Suppressed(kind=kind, rule=_RULE[kind], revision=appointment.revision, reason=Reason.NO_VISIBLE_CHANGE)


def _not_booked(appointment: Appointment, policy: Policy, history: Sequence[PlannedRow]) -> list[Suppressed]:
    """A suppressed text for the message that left the visit waitlisted or held, and for each reminder that its time would have."""
    kind = SmsKind.BOOKED if appointment.last_notified is None else SmsKind.UPDATED
    reason = Reason.NOT_BOOKED
    silences = [Suppressed(kind=kind, rule=_RULE[kind], revision=appointment.revision, reason=reason)]
    revision, start = appointment.planned_revision, appointment.start
    known = {row.rule for row in history if row.kind is SmsKind.REMINDER and row.revision == revision}
    for rule in policy.sms.reminders:
        if start is not None and rule.rule not in known and _applies(rule, appointment):
            due = None if appointment.date_only else reminder_due(rule, start, zone_of(appointment.zone))
            silences.append(
                Suppressed(kind=SmsKind.REMINDER, rule=rule.rule, revision=revision, reason=reason, due=due)
            )
    return silences


# Reminders


def _applies(rule: Reminder, appointment: Appointment) -> bool:
    return not rule.visit_modes or (appointment.visit_mode or "in-person") in rule.visit_modes


@dataclass(slots=True)
class _Reminding:
    """A reminder while the rules are applied: when it would be sent, or why not."""

    rule: Reminder
    own_due: datetime
    due: datetime
    silence: Reason | None = None


def _reminders(
    appointment: Appointment,
    policy: Policy,
    history: Sequence[PlannedRow],
    now: datetime,
    blocked: Reason | None,
    told_at: list[datetime],
) -> list[Desired]:
    start, deadline = appointment.start, appointment.deadline
    if appointment.status is not AppointmentStatus.ACTIVE or start is None or deadline is None:
        return []
    known = {
        past.rule: _is_settled(past, now)
        for past in history
        if past.kind is SmsKind.REMINDER and past.revision == appointment.planned_revision
    }
    reminding = []
    for rule in policy.sms.reminders:
        if known.get(rule.rule) or not _applies(rule, appointment):
            continue
        since = appointment.planned_at if rule.rule in known else now  # a rule that a config edit added
        reminding.append(_judged(rule, appointment, policy, since, told_at))
    _one_a_minute(reminding)
    return [_as_desired(reminder, appointment, policy, blocked, deadline) for reminder in reminding]


def _is_settled(past: PlannedRow, now: datetime) -> bool:
    """Whether the plan may no longer change a reminder's row: it was attempted, or its time has passed and it was not waiting."""
    if past.gone or past.reason in (Reason.LATE_BOOKING, Reason.LATE_RULE):
        return True
    return past.state is SmsState.SUPPRESSED and past.due is not None and past.due <= now


def _judged(
    rule: Reminder, appointment: Appointment, policy: Policy, since: datetime, told_at: list[datetime]
) -> _Reminding:
    assert appointment.start is not None
    own_due = reminder_due(rule, appointment.start, zone_of(appointment.zone))
    reminder = _Reminding(rule=rule, own_due=own_due, due=own_due)
    if appointment.date_only:
        reminder.silence = Reason.NO_TIME
    elif own_due <= since:
        reminder.silence = Reason.LATE_BOOKING if own_due <= appointment.planned_at else Reason.LATE_RULE
    else:
        _move_out_of_quiet(reminder, appointment, policy, since)
    if reminder.silence is None and reminder.due >= appointment.start:
        reminder.silence = Reason.PAST
    if (
        reminder.silence is None
        and not rule.always
        and any(abs(reminder.due - at) < policy.sms.min_gap for at in told_at)
    ):
        reminder.silence = Reason.TOO_CLOSE
    return reminder


def reminder_due(rule: Reminder, start: datetime, zone: ZoneInfo) -> datetime:
    """When a reminder is due by its own rule, before quiet hours are applied. UTC, whole minute."""
    if not rule.wall_clock:
        return whole_minute(start - rule.offset)
    return _days_before(start, rule.offset, rule.at, zone)


@lru_cache(maxsize=4096)  # many visits begin at one time
def _days_before(start: datetime, offset: timedelta, at: time | None, zone: ZoneInfo) -> datetime:
    local = start.astimezone(zone)
    clock = at if at is not None else local.time()
    return whole_minute(datetime.combine(local.date() - offset, clock, tzinfo=zone).astimezone(UTC))


def _move_out_of_quiet(reminder: _Reminding, appointment: Appointment, policy: Policy, since: datetime) -> None:
    """Move to the end of quiet hours if `min_lead` is then left; otherwise back to the last permitted minute; otherwise
    suppress."""
    assert appointment.start is not None
    hours, zone, lead = policy.sms.quiet_hours, zone_of(appointment.zone), policy.sms.min_lead
    if hours is None or reminder.rule.always or not is_quiet(reminder.own_due, hours, zone):
        return
    opening = next_opening(reminder.own_due, hours, zone)
    evening = last_permitted(reminder.own_due, hours, zone)
    if opening < appointment.start and appointment.start - opening >= lead:
        reminder.due = opening
    elif evening > since and appointment.start - evening >= lead:
        reminder.due = evening
    else:
        reminder.silence = Reason.QUIET_HOURS


def _one_a_minute(reminding: list[_Reminding]) -> None:
    """Of several reminders in one minute, keep the one nearest to the visit."""
    if len({reminder.due for reminder in reminding}) == len(reminding):
        return
    nearest: dict[datetime, _Reminding] = {}
    for reminder in sorted(
        (reminder for reminder in reminding if reminder.silence is None), key=lambda reminder: reminder.own_due
    ):
        farther = nearest.get(reminder.due)
        if farther is not None:
            farther.silence = Reason.SUPERSEDED
        nearest[reminder.due] = reminder


def _as_desired(
    reminder: _Reminding, appointment: Appointment, policy: Policy, blocked: Reason | None, deadline: datetime
) -> Desired:
    silence = reminder.silence or blocked
    revision = appointment.planned_revision
    if silence is not None:
        due = None if silence is Reason.NO_TIME else reminder.due
        return Suppressed(kind=SmsKind.REMINDER, rule=reminder.rule.rule, revision=revision, reason=silence, due=due)
    latest = min(reminder.due + policy.sms.max_lateness, deadline - policy.sms.min_lead)
    expires = latest if latest > reminder.due else min(reminder.due + PROMPT, deadline)
    return PlannedSms(
        kind=SmsKind.REMINDER,
        rule=reminder.rule.rule,
        revision=revision,
        due=reminder.due,
        expires=expires,
        reason=Reason.REMINDER,
    )


# Waiting texts that are no longer needed


def _taken_back(
    appointment: Appointment, policy: Policy, history: Sequence[PlannedRow], desired: Sequence[Desired]
) -> list[Suppressed]:
    if not history:
        return []
    wanted = {(text.kind, text.rule, text.revision) for text in desired}
    return [
        Suppressed(
            kind=past.kind,
            rule=past.rule,
            revision=past.revision,
            due=past.due,
            reason=_why_taken_back(past, appointment, policy),
        )
        for past in history
        if past.state is SmsState.DUE and past.kind is not SmsKind.ANSWER and past.identity not in wanted
    ]


def _why_taken_back(past: PlannedRow, appointment: Appointment, policy: Policy) -> Reason:
    if appointment.status is AppointmentStatus.NOT_BOOKED:
        return Reason.NOT_BOOKED
    if appointment.status in (AppointmentStatus.CANCELED, AppointmentStatus.DELETED):
        return Reason.CANCELED
    if appointment.status is AppointmentStatus.ENDED:
        return Reason.PAST
    if past.kind.is_confirmation and not appointment.window_open:
        return Reason.NO_VISIBLE_CHANGE
    if past.kind is SmsKind.REMINDER and past.revision == appointment.planned_revision:
        return Reason.NO_RULE  # the visit is as it was: a config edit, or its mode, took the rule away
    return Reason.SUPERSEDED


def whole_minute(instant: datetime) -> datetime:
    """The first whole minute at or after an instant."""
    if not instant.second and not instant.microsecond:
        return instant
    floor = instant.replace(second=0, microsecond=0)
    return floor if floor == instant else floor + timedelta(minutes=1)
