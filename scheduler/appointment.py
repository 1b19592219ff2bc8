"""An appointment as the planner uses it, and whether two sets of ids name the same one; pure.

`scheduler.apply_event` changes it; `scheduler.plan` says what to text about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from parser.phone_number import PhoneNumber
from scheduler.policy import Policy
from scheduler.sent_period import SECOND, SentPeriod


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
        conference: the id that the visits of one group share; "": taken out of its group; None: never given, or forgotten.
        last_notified: what the patient was last told, or already knew before the first event; None: nothing yet.
        changed_at: receipt of the last edit that changed what the patient sees; the debounce begins there.
        window_revision: revision of the first event of the open confirmation window; None: none open.
        window_due: when the open window's text is due, UTC; None: none open.
        window_text: whether the plan has a text for the window and did not suppress it.
        planned_at: receipt of the message that planned the current reminders, UTC.
        planned_revision: its revision; the revision of the reminder rows.
        unseen_edit: the newest event changed nothing that the patient sees.
        stamps: for each field, when the event that gave it was sent, if that differs from `sent`;
            `condemned_phones`: of the newest event that gave no number and spoke against some.
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
    conference: str | None = None
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

    def with_window(self, due: datetime | None, *, text: bool) -> Appointment:
        """The appointment with its confirmation window's due time. Written out: `replace()` of so many fields takes 15 us."""
        if due == self.window_due and text == self.window_text:
            return self
        return Appointment(
            id=self.id,
            environment=self.environment,
            reference=self.reference,
            aliases=self.aliases,
            revision=self.revision,
            event_at=self.event_at,
            event_until=self.event_until,
            status=self.status,
            start=self.start,
            zone=self.zone,
            date_only=self.date_only,
            duration=self.duration,
            phone=self.phone,
            phone_fault=self.phone_fault,
            language=self.language,
            deceased=self.deceased,
            consent=self.consent,
            visit_mode=self.visit_mode,
            join_link=self.join_link,
            facility=self.facility,
            provider=self.provider,
            location=self.location,
            conference=self.conference,
            patient_name=self.patient_name,
            last_notified=self.last_notified,
            changed_at=self.changed_at,
            window_revision=self.window_revision,
            window_due=due,
            window_text=text,
            planned_at=self.planned_at,
            planned_revision=self.planned_revision,
            unseen_edit=self.unseen_edit,
            stamps=self.stamps,
            purged_at=self.purged_at,
        )

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
        known_ids, said_ids = aliases_of_kind(known, kind), aliases_of_kind(said, kind)
        if known_ids and said_ids:
            return not known_ids.isdisjoint(said_ids)
    return False


def aliases_of_kind(aliases: tuple[str, ...], kind: str) -> set[str]:
    """Those of one kind: filler, placer or visit."""
    return {alias for alias in aliases if alias.split("|", 3)[2:3] == [kind]}
