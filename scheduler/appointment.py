"""An appointment as the planner sees it, and how an event changes it; pure.

`advance()` folds a `SchedulingEvent` into an `Appointment`; `scheduler.plan.plan()` then says what to text. Both are used
unchanged by the service, by `carebell plan` and by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from parser.phone import PhoneNumber


class Life(Enum):
    """How far the appointment has come. Only ACTIVE is reminded; CANCELED may owe a cancellation text."""

    ACTIVE = "active"
    CANCELED = "canceled"  # S15, S16, S14 with a cancelled status
    DELETED = "deleted"  # S17: silent
    ENDED = "ended"  # arrived, completed, no-show


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """What a patient can see of an appointment in a text. Equal values: nothing to tell.

    Attributes:
        start: UTC; None: unknown (the state before a first sight that was not a booking).
        date_only: only the date is known.
        canceled: whether the patient was told, or is to be told, that it is off.
        details: (placeholder, value) of the further values that the environment's templates show.
    """

    start: datetime | None
    date_only: bool = False
    visit_mode: str | None = None
    canceled: bool = False
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One appointment, as it stands after the newest event.

    Attributes:
        id: ours, 32 random hex digits; in no text and no URL.
        reference: the hospital's id, as staff know it.
        aliases: see `SchedulingEvent.aliases`.
        revision: 1 at first sight, +1 with every applied event.
        event_at: MSH-7 of the newest applied event, UTC.
        start, zone, date_only: see `Start`; start None: not known yet.
        phone: None when unknown, purged or unusable; `phone_fault` says which of the last two.
        phone_fault: None | no_phone | invalid_phone | purged.
        told: what the patient was last told, or knows from before our time; None: nothing yet.
        changed_at: receipt of the last edit that changed what the patient sees; opens the debounce.
        window_revision: revision of the first event of the open confirmation window; None: none open.
        window_due: when the open window's text leaves, UTC; None: none open.
        window_text: whether the window's text was found and not suppressed by the plan.
        planned_at: receipt of the message that planned the current reminders, UTC.
        planned_revision: its revision; the revision of the reminder rows.
        purged_at: when the phone was forgotten for good, UTC.
    """

    id: str
    environment: str
    reference: str
    aliases: tuple[str, ...]
    revision: int
    event_at: datetime
    life: Life
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
    told: Visible | None = None
    changed_at: datetime
    window_revision: int | None = None
    window_due: datetime | None = None
    window_text: bool = False
    planned_at: datetime
    planned_revision: int = 1
    purged_at: datetime | None = None
