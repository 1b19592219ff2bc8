"""How an event changes an appointment, and which of two messages counts as the newer one; pure.

`apply()` applies a `SchedulingEvent` to an `Appointment`; `scheduler.plan.plan()` then says what to text. The service,
`carebell plan` and the tests all use these two functions.

Order (docs/explanation/planning.md): a message that is certainly older by its MSH-7 never overrides a newer one. It can only add
values that no newer message gave. So the final state is the same whatever the order of delivery. If MSH-7 leaves the order in doubt
(`scheduler.sent_period`), the message that arrives later counts as the newer one, but a cancellation stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from parser.event import (
    FORGET,
    INVALID_PHONE,
    Action,
    BadPhone,
    GivenPhone,
    SchedulingEvent,
    Status,
    UnreadablePhone,
)
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus, Visible
from scheduler.confirmation_window import close_if_over, is_revived, update_window
from scheduler.policy import Policy
from scheduler.sent_period import NEVER, SentPeriod

_KEPT = (
    "duration",
    "language",
    "consent",
    "visit_mode",
    "join_link",
    "facility",
    "provider",
    "location",
    "conference",
    "patient_name",
)


def _given(event: SchedulingEvent, before: Appointment | None) -> dict[str, Any]:
    """The appointment fields that this event gives. A field that it does not give keeps its value; so does the phone after a junk
    number."""
    given: dict[str, Any] = {name: value for name in _KEPT if (value := getattr(event, name)) is not None}
    if event.start is not None:
        given["start"] = event.start
    phone = _phone_given(event, before)
    if phone is not None and not isinstance(phone, UnreadablePhone):
        given["phone"] = phone
    if event.deceased:
        given["deceased"] = True
    status = _status(event)
    if status is not None:
        given["status"] = status
    return given


def _phone_given(event: SchedulingEvent, before: Appointment | None) -> GivenPhone:
    """What the event says about the phone, given what is stored: a stored number that the event condemns is given up."""
    if not _only_condemns(event):
        return event.phone
    if before is None or not _was_given(before, "phone"):
        return BadPhone(reason=INVALID_PHONE)
    if before.phone is not None and any(before.phone.same_digits(number) for number in event.condemned_phones):
        return BadPhone(reason=INVALID_PHONE)
    return event.phone


def _only_condemns(event: SchedulingEvent) -> bool:
    """Whether the event gives no number and speaks against some."""
    return bool(event.condemned_phones) and (event.phone is None or isinstance(event.phone, UnreadablePhone))


_CONDEMNED = "condemned_phones"
"""The stamp of the newest event that only condemns numbers. The numbers themselves are not stored, so an older event that arrives
after it brings no number: it may be one of them."""


_STATUS_OF_ACTION = {
    Action.CANCEL: AppointmentStatus.CANCELED,
    Action.DELETE: AppointmentStatus.DELETED,
    Action.NO_SHOW: AppointmentStatus.ENDED,
}
_STATUS_OF_STATUS = {
    Status.CANCELED: AppointmentStatus.CANCELED,
    Status.DELETED: AppointmentStatus.DELETED,
    Status.ARRIVED: AppointmentStatus.ENDED,
    Status.COMPLETED: AppointmentStatus.ENDED,
    Status.NO_SHOW: AppointmentStatus.ENDED,
    Status.PENDING: AppointmentStatus.NOT_BOOKED,
    Status.WAITLIST: AppointmentStatus.NOT_BOOKED,
    Status.BLOCKED: AppointmentStatus.NOT_BOOKED,
}


def _status(event: SchedulingEvent) -> AppointmentStatus | None:
    """The status that this event gives the appointment; None: the event does not change it."""
    if event.action is Action.RESOURCE:
        return None
    by_action = _STATUS_OF_ACTION.get(event.action)
    if by_action is not None:
        return by_action
    if event.status is Status.UNKNOWN and event.action in (Action.MODIFY, Action.ANNOUNCE):
        return None  # an edit that does not say "booked" does not revive a cancelled visit
    return _STATUS_OF_STATUS.get(event.status, AppointmentStatus.ACTIVE)


def _set(name: str, value: Any) -> dict[str, Any]:
    """The attributes of `Appointment` that one given field sets."""
    if name == "start":
        return {"start": value.instant, "zone": value.zone, "date_only": value.date_only}
    if name == "phone":
        phone, fault = _phone_of(value)
        return {"phone": phone, "phone_fault": fault}
    return {name: value}


def _phone_of(given: GivenPhone) -> tuple[PhoneNumber | None, str | None]:
    """The stored number and fault after an event that gives this."""
    if given is None or isinstance(given, PhoneNumber):
        return given, None
    return None, "no_phone" if given is FORGET else given.reason


_NO_STAMPS: Final[Mapping[str, SentPeriod]] = MappingProxyType({})


def create(event: SchedulingEvent, policy: Policy, *, id: str, zone: str) -> Appointment:  # noqa: A002 (its own name)
    """The appointment after its first message, with what the patient is assumed to know already (sms.md, First sight).

    Args:
        id: a fresh random id.
        zone: the environment's zone, for an event that gives no start.
    """
    now, start, given_status = event.received_at, event.start, _status(event)
    status = given_status or AppointmentStatus.ACTIVE
    phone, fault = _phone_of(_phone_given(event, None))
    stamps = {} if given_status is not None else {"status": NEVER}
    if phone is None and isinstance(event.phone, UnreadablePhone) and not _only_condemns(event):
        stamps["phone"] = NEVER
    if _only_condemns(event):
        stamps[_CONDEMNED] = sent_period(event)
    opens = status is AppointmentStatus.ACTIVE and event.action in (Action.BOOK, Action.RESCHEDULE)
    seen = Appointment(
        id=id,
        environment=event.environment,
        reference=event.reference,
        aliases=event.aliases,
        revision=1,
        event_at=event.occurred_at,
        event_until=event.occurred_at + event.occurred_within,
        status=status,
        start=None if start is None else start.instant,
        zone=zone if start is None else start.zone,
        date_only=start is not None and start.date_only,
        duration=event.duration,
        phone=phone,
        phone_fault=fault,
        language=event.language,
        deceased=event.deceased,
        consent=event.consent,
        visit_mode=event.visit_mode,
        join_link=event.join_link,
        facility=event.facility,
        provider=event.provider,
        location=event.location,
        conference=event.conference,
        patient_name=event.patient_name,
        last_notified=Visible(start=None) if opens and event.action is Action.RESCHEDULE else None,
        changed_at=now,
        window_revision=1 if opens else None,
        planned_at=now,
        stamps=MappingProxyType(stamps) if stamps else _NO_STAMPS,
    )
    if not seen.window_open and seen.status is not AppointmentStatus.NOT_BOOKED:
        if (
            event.action in (Action.CANCEL, Action.MODIFY)
            and seen.status is AppointmentStatus.CANCELED
            and seen.start is not None
        ):
            seen = replace(
                seen, last_notified=replace(seen, status=AppointmentStatus.ACTIVE).visible(policy), window_revision=1
            )
        else:
            seen = replace(seen, last_notified=seen.visible(policy))
    return _without_needless_phone(seen, now)


def apply(before: Appointment, event: SchedulingEvent, policy: Policy) -> Appointment | None:
    """The appointment after one more event; None: the event is certainly older than the stored state and adds nothing."""
    now, sent = event.received_at, sent_period(event)
    stale = sent.precedes(before.sent)
    before = close_if_over(before, policy, now)
    stamps = _stamps(before)
    changes: dict[str, Any] = {}
    for name, value in _given(event, before).items():
        known = stamps.get(name)
        if known is not None and sent.precedes(known):
            continue
        if isinstance(value, PhoneNumber) and _CONDEMNED in stamps and sent.precedes(stamps[_CONDEMNED]):
            continue
        if known is not None and _cancellation_stands(before, name, value, sent, known):
            stamps[name] = known.taken_after(sent)
            continue
        if _cancellation_waits(before, name, value):
            continue
        changes |= _set(name, value)
        stamps[name] = _taken_after(before, name, value, sent, known)
    if isinstance(event.phone, UnreadablePhone) and "phone" not in stamps:
        changes["phone_fault"] = event.phone.reason
        stamps["phone"] = NEVER
    condemned = stamps.get(_CONDEMNED)
    condemns = _only_condemns(event) and (condemned is None or not sent.precedes(condemned))
    if condemns:
        stamps[_CONDEMNED] = sent if condemned is None else sent.taken_after(condemned)
    if stale and not changes and not condemns and set(event.aliases) <= set(before.aliases):
        return None
    newest = before.sent if stale else sent.taken_after(before.sent)
    aliases = before.aliases + tuple(alias for alias in event.aliases if alias not in before.aliases)
    after = replace(
        before,
        **changes,
        aliases=aliases,
        revision=before.revision + 1,
        event_at=newest.earliest,
        event_until=newest.until,
        stamps=MappingProxyType(
            {name: stamp for name, stamp in stamps.items() if stamp != newest or name == _CONDEMNED}
        ),
        unseen_edit=False,
    )
    after = _replan_reminders(before, after, now)
    if (
        event.action is Action.BOOK
        and is_revived(before, after)
        and after.last_notified is not None
        and after.last_notified.canceled
    ):
        # the patient was told that the visit is cancelled, so the text is "booked", not "updated"
        after = replace(after, last_notified=None)
    last_notified = after.last_notified
    if (
        after.status is AppointmentStatus.CANCELED
        and last_notified is not None
        and last_notified.start is None
        and not last_notified.canceled
    ):
        # Moved before the first event and cancelled before the move was told: the cancellation is about this start.
        after = replace(after, last_notified=replace(last_notified, start=after.start, date_only=after.date_only))
    after = update_window(before, after, policy, now)
    return _without_needless_phone(after, now)


def _was_given(appointment: Appointment, name: str) -> bool:
    if name == "phone":
        return appointment.phone is not None or appointment.phone_fault is not None
    if name in ("status", "deceased"):
        return name == "status" or appointment.deceased
    return getattr(appointment, name) is not None  # a consent of False was given: the answer is "no"


def sent_period(event: SchedulingEvent) -> SentPeriod:
    """When the message was sent."""
    return SentPeriod(earliest=event.occurred_at, until=event.occurred_at + event.occurred_within)


def _stamps(appointment: Appointment) -> dict[str, SentPeriod]:
    """When each field's present value was sent. A field that was never given is missing."""
    stamps = {
        name: appointment.stamps.get(name, appointment.sent)
        for name in ("status", "start", "phone", "deceased", *_KEPT)
        if _was_given(appointment, name)
    }
    if _CONDEMNED in appointment.stamps:
        stamps[_CONDEMNED] = appointment.stamps[_CONDEMNED]
    return stamps


_OFF = (AppointmentStatus.CANCELED, AppointmentStatus.DELETED)


def _cancellation_stands(appointment: Appointment, name: str, value: Any, sent: SentPeriod, known: SentPeriod) -> bool:
    """Whether a cancelled visit stays cancelled, because it is not certain that this message is the newer one.

    A reminder of a cancelled visit sends a patient to the clinic for nothing. If the visit really takes place, its next message
    says so.
    """
    off = name == "status" and appointment.status in _OFF and value not in _OFF
    return off and sent.in_doubt_with(known)


def _cancellation_waits(appointment: Appointment, name: str, value: Any) -> bool:
    """Whether a patient must still be told that the visit is cancelled: a waiting list does not take that text away."""
    known = appointment.last_notified
    waits = (
        appointment.status is AppointmentStatus.CANCELED
        and appointment.window_open
        and known is not None
        and not known.canceled
    )
    return name == "status" and value is AppointmentStatus.NOT_BOOKED and waits


def _taken_after(
    appointment: Appointment, name: str, value: Any, sent: SentPeriod, known: SentPeriod | None
) -> SentPeriod:
    """When the field's new value was sent. A second cancellation makes the doubt that the first one left no smaller."""
    if known is None:
        return sent
    newest = sent.taken_after(known)
    if name == "status" and appointment.status in _OFF and value in _OFF:
        return replace(newest, until=max(newest.until, known.until))
    return newest


def doubtful_fields(appointment: Appointment, event: SchedulingEvent) -> tuple[str, ...]:
    """The fields in which the event and the stored values differ, although it is not certain which of the two is newer.

    `apply()` lets the later arrival decide, and for the status a cancellation. A forgotten phone counts as equal to every phone.
    """
    sent, stamps = sent_period(event), _stamps(appointment)
    if appointment.phone_fault == "purged":
        stamps.pop("phone", None)
    return tuple(
        name
        for name, value in _given(event, appointment).items()
        if name in stamps
        and sent.in_doubt_with(stamps[name])
        and any(getattr(appointment, changed) != new for changed, new in _set(name, value).items())
    )


def _replan_reminders(before: Appointment, after: Appointment, now: datetime) -> Appointment:
    """After a new time or a revival, let the reminders be planned again."""
    moved = (before.start, before.date_only, before.zone) != (after.start, after.date_only, after.zone)
    if moved or is_revived(before, after):
        return replace(after, planned_at=now, planned_revision=after.revision)
    return after


def _without_needless_phone(appointment: Appointment, now: datetime) -> Appointment:
    """Keep a phone only for a future visit, or for a cancellation that the patient must still be told."""
    deadline = appointment.deadline
    over = deadline is None or deadline <= now
    done = appointment.status in (AppointmentStatus.DELETED, AppointmentStatus.ENDED)
    notified = appointment.status is AppointmentStatus.CANCELED and not appointment.window_open
    if not (over or done or notified):
        return replace(appointment, purged_at=None) if appointment.purged_at is not None else appointment
    fault = "purged" if appointment.phone is not None else appointment.phone_fault
    purged_at = appointment.purged_at or (now if appointment.phone is not None or over or done else None)
    return replace(appointment, phone=None, phone_fault=fault, purged_at=purged_at)
