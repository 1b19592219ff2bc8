"""An appointment as the planner uses it, and how an event changes it; pure.

`apply()` applies a `SchedulingEvent` to an `Appointment`; `scheduler.plan.plan()` then says what to text. The service,
`carebell plan` and the tests all use these two functions.

Order (docs/explanation/planning.md): a message that is certainly older by its MSH-7 never overrides a newer one. It can only add
values that no newer message gave. So the final state is the same whatever the order of delivery. If MSH-7 leaves the order in doubt
(`scheduler.order`), the message that arrives later counts as the newer one, but a cancellation stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from parser.event import FORGET, Action, BadPhone, SchedulingEvent, Status, UnreadablePhone
from parser.phone import PhoneNumber
from scheduler.order import NEVER, SECOND, SentPeriod
from scheduler.policy import Policy


class AppointmentStatus(Enum):
    """The appointment's status. Only ACTIVE has reminders; for CANCELED a cancellation text may still have to be sent."""

    NOT_BOOKED = "not_booked"  # waitlisted, pending, held, blocked: no text until it is booked
    ACTIVE = "active"
    CANCELED = "canceled"  # S15, S16, S14 with a cancelled status
    DELETED = "deleted"  # S17: no text
    ENDED = "ended"  # arrived, completed, no-show

    @property
    def silent(self) -> bool:
        """Whether no confirmation is sent, whatever changed. What the patient was told does not change."""
        return self in (AppointmentStatus.NOT_BOOKED, AppointmentStatus.DELETED, AppointmentStatus.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """What a patient can see of an appointment in a text. If two values are equal, there is nothing to tell.

    Attributes:
        start: UTC; None: unknown (the state before a first message that was not a booking).
        date_only: only the date is known.
        canceled: whether the patient was told, or must be told, that the visit is cancelled.
        details: (placeholder, value) of the further values that the environment's templates show. The zone is one of
            them, because in another zone the same instant is another time of day.
    """

    start: datetime | None
    date_only: bool = False
    visit_mode: str | None = None
    canceled: bool = False
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One appointment in its state after the newest event.

    Attributes:
        id: Carebell's own, 32 random hex digits; it is in no text and no URL.
        reference: the hospital's id, which staff use.
        aliases: see `SchedulingEvent.aliases`.
        revision: 1 after the first event, +1 with every applied event.
        event_at: MSH-7 of the newest applied event, UTC: the earliest instant that it can mean.
        event_until: the first instant after what that MSH-7 can mean; None: a second after `event_at`.
        start, zone, date_only: see `Start`; start None: not known yet.
        phone: None if unknown, purged or unusable; `phone_fault` says which of the last two.
        phone_fault: why there is no phone: None (none was ever given), no_phone (deleted by the sender), invalid_phone, landline,
            purged.
        told: what the patient was last told, or already knew before the first event; None: nothing yet.
        changed_at: receipt of the last edit that changed what the patient sees; the debounce begins there.
        window_revision: revision of the first event of the open confirmation window; None: none open.
        window_due: when the open window's text is due, UTC; None: none open.
        window_text: whether the plan has a text for the window and did not suppress it.
        planned_at: receipt of the message that planned the current reminders, UTC.
        planned_revision: its revision; the revision of the reminder rows.
        unseen_edit: the newest event changed nothing that the patient sees.
        stamps: for each field, when the event that gave it was sent, if that differs from `sent`.
        purged_at: when the phone was forgotten for good, UTC.
    """

    id: str
    environment: str
    reference: str
    aliases: tuple[str, ...]
    revision: int
    event_at: datetime
    event_until: datetime | None = None
    status: AppointmentStatus
    start: datetime | None
    zone: str
    date_only: bool = False
    duration: timedelta | None = None
    phone: PhoneNumber | None = None
    phone_fault: str | None = None
    language: str | None = None
    deceased: bool = False
    consent: bool | None = None
    visit_mode: str | None = None
    join_link: str | None = None
    facility: str | None = None
    provider: str | None = None
    location: str | None = None
    patient_name: str | None = None
    last_notified: Visible | None = None
    changed_at: datetime
    window_revision: int | None = None
    window_due: datetime | None = None
    window_text: bool = False
    planned_at: datetime
    planned_revision: int = 1
    unseen_edit: bool = False
    stamps: Mapping[str, SentPeriod] = field(default_factory=lambda: MappingProxyType({}))
    purged_at: datetime | None = None

    @property
    def sent(self) -> SentPeriod:
        """When the newest applied event was sent."""
        return SentPeriod(earliest=self.event_at, until=self.event_until or self.event_at + SECOND)

    @property
    def deadline(self) -> datetime | None:
        """When the visit begins and the phone must be deleted, UTC. For a date-only visit this is the end of its local day."""
        return _over(self.start, self.zone, self.date_only)

    @property
    def last_notified_deadline(self) -> datetime | None:
        """As `deadline`, for the start that the patient was told; None: no start was told."""
        return (
            None
            if self.last_notified is None
            else _over(self.last_notified.start, self.last_notified_zone, self.last_notified.date_only)
        )

    @property
    def last_notified_zone(self) -> str:
        """The zone in which the patient was told a time; the present zone if no time was told."""
        return dict(self.last_notified.details).get("zone", self.zone) if self.last_notified is not None else self.zone

    def visible(self, policy: Policy) -> Visible:
        """The values that a text sent now would show."""
        if self.status in (AppointmentStatus.CANCELED, AppointmentStatus.DELETED):
            return Visible(start=None, canceled=True)
        details = tuple((name, value) for name in policy.shown if (value := getattr(self, name)) is not None)
        if self.start is not None:
            details += (("zone", self.zone),)
        return Visible(start=self.start, date_only=self.date_only, visit_mode=self.visit_mode, details=details)

    @property
    def window_open(self) -> bool:
        return self.window_revision is not None


def _over(start: datetime | None, zone: str, date_only: bool) -> datetime | None:
    """When a visit has certainly begun: at its start, or at the midnight that ends its day."""
    if start is None or not date_only:
        return start
    clock = ZoneInfo(zone)
    tomorrow = start.astimezone(clock).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=clock).astimezone(UTC)


def same_visit(known: tuple[str, ...], said: tuple[str, ...]) -> bool:
    """Whether two sets of aliases name one appointment.

    Only the strongest kind of id that both have is compared: filler, then placer, then visit. So a placer or visit number that a
    hospital gives to a whole series does not merge appointments whose filler ids differ.
    """
    for kind in ("filler", "placer", "visit"):
        ours, theirs = _of_kind(known, kind), _of_kind(said, kind)
        if ours and theirs:
            return not ours.isdisjoint(theirs)
    return False


def _of_kind(aliases: tuple[str, ...], kind: str) -> set[str]:
    return {alias for alias in aliases if alias.split("|", 3)[2:3] == [kind]}


_KEPT = (
    "duration",
    "language",
    "consent",
    "visit_mode",
    "join_link",
    "facility",
    "provider",
    "location",
    "patient_name",
)


def _given(event: SchedulingEvent) -> dict[str, Any]:
    """The appointment fields that this event gives. A field that it does not give keeps its value; so does the phone after a junk
    number."""
    given: dict[str, Any] = {name: value for name in _KEPT if (value := getattr(event, name)) is not None}
    if event.start is not None:
        given["start"] = event.start
    if event.phone is not None and not isinstance(event.phone, UnreadablePhone):
        given["phone"] = event.phone
    if event.deceased:
        given["deceased"] = True
    status = _status(event)
    if status is not None:
        given["status"] = status
    return given


_LIFE_OF_ACTION = {
    Action.CANCEL: AppointmentStatus.CANCELED,
    Action.DELETE: AppointmentStatus.DELETED,
    Action.NO_SHOW: AppointmentStatus.ENDED,
}
_LIFE_OF_STATUS = {
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
    by_action = _LIFE_OF_ACTION.get(event.action)
    if by_action is not None:
        return by_action
    if event.status is Status.UNKNOWN and event.action in (Action.MODIFY, Action.ANNOUNCE):
        return None  # an edit that does not say "booked" does not revive a cancelled visit
    return _LIFE_OF_STATUS.get(event.status, AppointmentStatus.ACTIVE)


def _set(name: str, value: Any) -> dict[str, Any]:
    """The attributes of `Appointment` that one given field sets."""
    if name == "start":
        return {"start": value.instant, "zone": value.zone, "date_only": value.date_only}
    if name == "phone":
        if value is FORGET:
            return {"phone": None, "phone_fault": "no_phone"}
        if isinstance(value, BadPhone):
            return {"phone": None, "phone_fault": value.reason}
        return {"phone": value, "phone_fault": None}
    return {name: value}


def create(event: SchedulingEvent, policy: Policy, *, id: str, zone: str) -> Appointment:  # noqa: A002 (its own name)
    """The appointment after its first message, with what the patient is assumed to know already (sms.md, First sight).

    Args:
        id: a fresh random id.
        zone: the environment's zone, for an event that gives no start.
    """
    now = event.received_at
    given = _given(event)
    fields: dict[str, Any] = {"status": AppointmentStatus.ACTIVE, "start": None, "zone": zone}
    for name, value in given.items():
        fields |= _set(name, value)
    stamps = {} if "status" in given else {"status": NEVER}
    if isinstance(event.phone, UnreadablePhone):
        fields["phone_fault"] = event.phone.reason
        stamps["phone"] = NEVER
    fields["stamps"] = MappingProxyType(stamps)
    if fields["status"] is AppointmentStatus.ACTIVE and event.action in (Action.BOOK, Action.RESCHEDULE):
        fields["window_revision"] = 1
        if event.action is Action.RESCHEDULE:
            fields["last_notified"] = Visible(start=None)
    seen = Appointment(
        id=id, environment=event.environment, reference=event.reference, aliases=event.aliases, revision=1,
        event_at=event.occurred_at, event_until=event.occurred_at + event.occurred_within, changed_at=now, planned_at=now,
        **fields,
    )  # fmt: skip
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
    now, sent = event.received_at, _sent(event)
    stale = sent.precedes(before.sent)
    before = _settled(before, policy, now)
    stamps = _stamps(before)
    changes: dict[str, Any] = {}
    for name, value in _given(event).items():
        known = stamps.get(name)
        if known is not None and sent.precedes(known):
            continue
        if known is not None and _cancellation_stands(before, name, value, sent, known):
            stamps[name] = known.taken_after(sent)
            continue
        changes |= _set(name, value)
        stamps[name] = sent if known is None else sent.taken_after(known)
    if isinstance(event.phone, UnreadablePhone) and "phone" not in stamps:
        changes["phone_fault"] = event.phone.reason
        stamps["phone"] = NEVER
    if stale and not changes and set(event.aliases) <= set(before.aliases):
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
        stamps=MappingProxyType({name: stamp for name, stamp in stamps.items() if stamp != newest}),
        unseen_edit=False,
    )
    after = _replanned(before, after, now)
    if (
        event.action is Action.BOOK
        and _revived(before, after)
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
    after = _with_window(before, after, policy, now)
    return _without_needless_phone(after, now)


def _was_given(appointment: Appointment, name: str) -> bool:
    if name == "phone":
        return appointment.phone is not None or appointment.phone_fault is not None
    if name in ("status", "deceased"):
        return name == "status" or appointment.deceased
    return getattr(appointment, name) is not None  # a consent of False was given: the answer is "no"


def _sent(event: SchedulingEvent) -> SentPeriod:
    return SentPeriod(earliest=event.occurred_at, until=event.occurred_at + event.occurred_within)


def _stamps(appointment: Appointment) -> dict[str, SentPeriod]:
    """When each field's present value was sent. A field that was never given is missing."""
    return {
        name: appointment.stamps.get(name, appointment.sent)
        for name in ("status", "start", "phone", "deceased", *_KEPT)
        if _was_given(appointment, name)
    }


_OFF = (AppointmentStatus.CANCELED, AppointmentStatus.DELETED)


def _cancellation_stands(appointment: Appointment, name: str, value: Any, sent: SentPeriod, known: SentPeriod) -> bool:
    """Whether a cancelled visit stays cancelled, because it is not certain that this message is the newer one.

    A reminder of a cancelled visit sends a patient to the clinic for nothing. If the visit really takes place, its next message
    says so.
    """
    off = name == "status" and appointment.status in _OFF and value not in _OFF
    return off and sent.in_doubt_with(known)


def doubtful_fields(appointment: Appointment, event: SchedulingEvent) -> tuple[str, ...]:
    """The fields in which the event and the stored values differ, although it is not certain which of the two is newer.

    `apply()` lets the later arrival decide, and for the status a cancellation. A forgotten phone counts as equal to every phone.
    """
    sent, stamps = _sent(event), _stamps(appointment)
    if appointment.phone_fault == "purged":
        stamps.pop("phone", None)
    return tuple(
        name
        for name, value in _given(event).items()
        if name in stamps
        and sent.in_doubt_with(stamps[name])
        and any(getattr(appointment, changed) != new for changed, new in _set(name, value).items())
    )


def _settled(before: Appointment, policy: Policy, now: datetime) -> Appointment:
    """Close a window that has no text to send and whose time has passed: the patient counts as told.

    If a window has a text, the claim that takes the text closes the window.
    """
    if before.window_open and not before.window_text and before.window_due is not None and before.window_due <= now:
        canceled = before.status is AppointmentStatus.CANCELED
        ends = (before.last_notified_deadline if canceled else None) or before.deadline
        return close_window(before, policy, too_late=ends is None or before.window_due >= ends)
    return before


def close_window(appointment: Appointment, policy: Policy, *, too_late: bool = False) -> Appointment:
    """The window's text was sent, or was planned and suppressed: from now on the patient is assumed to know this state.

    If a visit was cancelled before anything was told, nothing counts as told. If it is revived, the text is "booked".

    Args:
        too_late: the text was suppressed as `past` or `expired`, so the patient still believes what was told before.
    """
    if appointment.last_notified is None:
        untold = appointment.status is AppointmentStatus.CANCELED
        last_notified = None if untold else appointment.visible(policy)
    else:
        last_notified = appointment.last_notified if too_late else appointment.visible(policy)
    return replace(appointment, last_notified=last_notified, window_revision=None, window_due=None, window_text=False)


def _replanned(before: Appointment, after: Appointment, now: datetime) -> Appointment:
    """After a new time or a revival, let the reminders be planned again."""
    moved = (before.start, before.date_only, before.zone) != (after.start, after.date_only, after.zone)
    if moved or _revived(before, after):
        return replace(after, planned_at=now, planned_revision=after.revision)
    return after


def _revived(before: Appointment, after: Appointment) -> bool:
    return after.status is AppointmentStatus.ACTIVE and before.status is not AppointmentStatus.ACTIVE


def _with_window(before: Appointment, after: Appointment, policy: Policy, now: datetime) -> Appointment:
    """Open, prolong or close the debounce window, depending on what the patient sees (sms.md, Debounce)."""
    if after.status.silent:
        return replace(after, window_revision=None, window_due=None, window_text=False)
    was, sees = before.visible(policy), after.visible(policy)
    if sees == was and before.status not in (AppointmentStatus.NOT_BOOKED, AppointmentStatus.ENDED):
        return replace(after, unseen_edit=True)
    if sees == after.last_notified:
        unseen = not before.window_open
        return replace(
            after, window_revision=None, window_due=None, window_text=False, changed_at=now, unseen_edit=unseen
        )
    opened = before.window_revision if before.window_open else after.revision
    return replace(after, changed_at=now, window_revision=opened)


def _without_needless_phone(appointment: Appointment, now: datetime) -> Appointment:
    """Keep a phone only for a future visit, or for a cancellation that the patient must still be told."""
    deadline = appointment.deadline
    over = deadline is None or deadline <= now
    done = appointment.status in (AppointmentStatus.DELETED, AppointmentStatus.ENDED)
    last_notified = appointment.status is AppointmentStatus.CANCELED and not appointment.window_open
    if not (over or done or last_notified):
        return replace(appointment, purged_at=None) if appointment.purged_at is not None else appointment
    fault = "purged" if appointment.phone is not None else appointment.phone_fault
    purged_at = appointment.purged_at or (now if appointment.phone is not None or over or done else None)
    return replace(appointment, phone=None, phone_fault=fault, purged_at=purged_at)
