"""The appointments that one group of messages changes: read once, changed by each message in turn, saved once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from carebell.environment_policy import EnvironmentPolicy
from carebell.outbound.silences import Silence, silences_of
from parser.event import Action, GivenPatientId, SchedulingEvent
from scheduler.appointment import Appointment, AppointmentStatus, same_visit
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from scheduler.succession import comparable_kinds, end_replaced, replaced_by, sharable_aliases, shared_aliases, sharing
from store.appointment_repository import Save, StoredAppointment
from store.sending import SendingText


class AppointmentChange:
    """One appointment while a group is applied: its state and rows, saved once at the end."""

    def __init__(
        self, appointment: Appointment, rows: Sequence[PlannedRow], known_aliases: Sequence[str], first: bool
    ) -> None:
        self.appointment = appointment
        self.rows = {row.identity: row for row in rows}
        self.changes: dict[tuple[SmsKind, str, int], PlannedRow] = {}
        self.known_aliases = set(known_aliases)
        self.moved_aliases: set[str] = set()
        self.series_marks: set[str] = set()
        self.taken_over: list[str] = []
        self.patient_id: tuple[datetime, GivenPatientId] | None = None
        self.first = first
        self.touched = first

    def note_patient_id(self, sent_at: datetime, given: GivenPatientId) -> None:
        """Note PID-3 of a message that was applied, and when it was sent; the newest counts."""
        if given is not None and (self.patient_id is None or self.patient_id[0] <= sent_at):
            self.patient_id = (sent_at, given)

    def _take_over(self, other: AppointmentChange) -> None:
        self.taken_over.append(other.appointment.id)
        if other.patient_id is not None:
            self.note_patient_id(*other.patient_id)
            other.patient_id = None

    def replan(self, policy: EnvironmentPolicy, now: datetime) -> tuple[int, int, int, list[Silence]]:
        """Plan again. Return how many texts now wait, were withdrawn, and are recorded as not sent; and the new ones of the last
        kind."""
        self.touched = True
        history = list(self.rows.values())
        replanned = policy.replan(self.appointment, history, now)
        self.appointment = replanned.appointment
        planned = withdrawn = suppressed = 0
        for row in replanned.changes:
            identity = row.identity
            old = self.rows.get(identity)
            self.rows[identity] = self.changes[identity] = row
            if row.state is SmsState.DUE:
                planned += 1
            elif old is not None and old.state is SmsState.DUE:
                withdrawn += 1
            else:
                suppressed += 1
        return planned, withdrawn, suppressed, silences_of(self.appointment, history, replanned.changes)

    def merge(self, other: AppointmentChange) -> list[Silence]:
        """Two identities turned out to be one appointment: this one stays, the other ends. Gives its waiting texts, taken back."""
        self.moved_aliases |= other.known_aliases
        self._take_over(other)
        known_aliases = tuple(alias for alias in other.appointment.aliases if alias not in self.appointment.aliases)
        self.appointment = replace(self.appointment, aliases=self.appointment.aliases + known_aliases)
        other.appointment = replace(
            other.appointment,
            status=AppointmentStatus.ENDED,
            aliases=(),
            phone=None,
            phone_fault="purged",
            window_revision=None,
            window_due=None,
            window_text=False,
        )
        return other.take_back_waiting()

    def replace(self, other: AppointmentChange, event: SchedulingEvent) -> list[Silence]:
        """The other visit goes on as this one, which takes over the shared numbers. Gives its waiting texts, taken back."""
        self.moved_aliases |= shared_aliases(other.appointment.aliases, event) & other.known_aliases
        self._take_over(other)
        other.appointment = end_replaced(other.appointment, event)
        return other.take_back_waiting()

    def take_back_waiting(self) -> list[Silence]:
        """What waits is suppressed: the appointment is another one's now."""
        self.touched = True
        history = list(self.rows.values())
        withdrawn = [
            replace(row, state=SmsState.SUPPRESSED, reason=Reason.SUPERSEDED, expires=None)
            for row in history
            if row.state is SmsState.DUE
        ]
        for row in withdrawn:
            self.rows[row.identity] = self.changes[row.identity] = row
        return silences_of(self.appointment, history, withdrawn)

    def save(self, config_version: str) -> Save:
        known_aliases = self.known_aliases | self.moved_aliases
        new = tuple(alias for alias in self.appointment.aliases if alias not in known_aliases)
        new += tuple(sorted(self.series_marks))
        return Save(
            appointment=self.appointment,
            changes=list(self.changes.values()),
            new_aliases=new,
            moved_aliases=tuple(self.moved_aliases),
            is_new=self.first,
            config_version=config_version,
        )


_MAY_OPEN: Final = (Action.BOOK, Action.RESCHEDULE)


def series_mark(alias: str) -> str:
    """The alias under which the second appointment with this number is found."""
    return f"series|{alias}"


def wanted_aliases(event: SchedulingEvent) -> tuple[str, ...]:
    """The aliases by which the appointments are found that a message may be about."""
    if event.action not in _MAY_OPEN:
        return event.aliases
    return event.aliases + tuple(series_mark(alias) for alias in sharable_aliases(event))


class UnitOfWork:
    """The changes of one group, by appointment and by alias.

    Attributes:
        sending: appointment id -> its texts that are on their way to the gateway.
    """

    def __init__(self, appointments: Iterable[StoredAppointment]) -> None:
        self.sending: dict[str, tuple[SendingText, ...]] = {}
        self._changes: dict[str, AppointmentChange] = {}
        self._owners: dict[tuple[str, str], str] = {}
        for stored in appointments:
            appointment = stored.appointment
            if appointment.id in self._changes:
                continue
            texts = [row.identity for row in stored.history if row.state is SmsState.SENDING]
            if texts:
                self.sending[appointment.id] = tuple(SendingText(appointment.id, *identity) for identity in texts)
            change = AppointmentChange(appointment, stored.history, appointment.aliases, first=False)
            self._changes[appointment.id] = change
            self._own(change)

    def for_event(self, event: SchedulingEvent) -> tuple[AppointmentChange | None, list[AppointmentChange]]:
        """The appointment of an event, and other appointments that prove to be the same one."""
        owners = dict.fromkeys(
            owner for alias in event.aliases if (owner := self._owners.get((event.environment, alias))) is not None
        )
        same = [
            change
            for owner in owners
            if same_visit((change := self._changes[owner]).appointment.aliases, event.aliases)
        ]
        return (same[0], same[1:]) if same else (None, [])

    def ids(self, event: SchedulingEvent) -> tuple[str, ...]:
        """Carebell's ids of the appointments of an event."""
        change, duplicates = self.for_event(event)
        return (
            () if change is None else (change.appointment.id, *(duplicate.appointment.id for duplicate in duplicates))
        )

    def open(self, appointment: Appointment) -> AppointmentChange:
        """The change of a first sight. An alias that another appointment has stays with that one."""
        taken = [alias for alias in appointment.aliases if (appointment.environment, alias) in self._owners]
        change = self._changes[appointment.id] = AppointmentChange(appointment, [], taken, first=True)
        self._own(change)
        return change

    def sharing(self, event: SchedulingEvent) -> list[AppointmentChange]:
        """The changes of `succession.sharing`."""
        if not comparable_kinds(event):  # so that a group's every booking is not compared with all of the group
            return []
        known = {change.appointment.id: change for change in self._of_environment(event.environment)}
        return [
            known[appointment.id] for appointment in sharing([change.appointment for change in known.values()], event)
        ]

    def replaced_by(self, event: SchedulingEvent) -> AppointmentChange | None:
        """The change of `succession.replaced_by`."""
        if not comparable_kinds(event):
            return None
        known = replaced_by([change.appointment for change in self._of_environment(event.environment)], event)
        return None if known is None else self._changes[known.id]

    def take_over(self, change: AppointmentChange, other: AppointmentChange, event: SchedulingEvent) -> list[Silence]:
        """The other visit goes on as the one of `change`. Gives its waiting texts, taken back."""
        silences = change.replace(other, event)
        for alias in change.moved_aliases:
            self._owners[event.environment, alias] = change.appointment.id
        return silences

    def mark_series(self, change: AppointmentChange) -> None:
        """Note that numbers of a new visit were another visit's before: a later S13 that shares them must find both.

        The alias is one appointment's; the mark leads to the second one. Further ones need none.
        """
        if not change.known_aliases:
            return
        environment = change.appointment.environment
        for alias in change.known_aliases & set(change.appointment.aliases):
            others = [
                other
                for other in self._of_environment(environment)
                if other is not change and alias in other.appointment.aliases
            ]
            if len(others) == 1:
                change.series_marks.add(series_mark(alias))

    def _of_environment(self, environment: str) -> list[AppointmentChange]:
        return [change for change in self._changes.values() if change.appointment.environment == environment]

    def saves(self, policies: Mapping[str, EnvironmentPolicy]) -> list[Save]:
        return [
            change.save(policies[change.appointment.environment].config_version)
            for change in self._changes.values()
            if change.touched
        ]

    def appointments(self) -> list[Appointment]:
        """Those that `saves` has, as they are now."""
        return [change.appointment for change in self._changes.values() if change.touched]

    def patient_ids(self) -> dict[str, tuple[datetime, GivenPatientId]]:
        """Our id of an appointment -> PID-3 of its newest message that was not silent, and when that was sent."""
        given = ((change.appointment.id, change.patient_id) for change in self._changes.values())
        return {own_id: patient_id for own_id, patient_id in given if patient_id is not None}

    def taken_over(self) -> dict[str, list[str]]:
        """Our id of an appointment -> those that proved to be the same visit, or that go on as it."""
        return {change.appointment.id: change.taken_over for change in self._changes.values() if change.taken_over}

    def index(self, change: AppointmentChange) -> None:
        """Note the aliases that an event added to an appointment. One that another appointment has stays with that one."""
        self._own(change)
        environment = change.appointment.environment
        change.known_aliases |= {
            alias for alias in change.appointment.aliases if self._owners[environment, alias] != change.appointment.id
        }

    def _own(self, change: AppointmentChange) -> None:
        for alias in change.appointment.aliases:
            self._owners.setdefault((change.appointment.environment, alias), change.appointment.id)
