"""The appointments that one group of messages touches: read once, changed by each message in turn, saved once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from carebell.environment_policy import EnvironmentPolicy
from carebell.outbound.silences import Silence, silences_of
from parser.event import SchedulingEvent
from scheduler.appointment import Appointment, AppointmentStatus, same_visit
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from store.appointment_repository import Save, StoredAppointment


class AppointmentChange:
    """One appointment while a group is applied: its state and rows, as they will be saved once."""

    def __init__(
        self, appointment: Appointment, rows: Sequence[PlannedRow], known_aliases: Sequence[str], first: bool
    ) -> None:
        self.appointment = appointment
        self.rows = {row.identity: row for row in rows}
        self.changes: dict[tuple[SmsKind, str, int], PlannedRow] = {}
        self.known_aliases = set(known_aliases)
        self.moved_aliases: set[str] = set()
        self.first = first
        self.touched = first

    def replan(self, policy: EnvironmentPolicy, now: datetime) -> tuple[int, int, int, list[Silence]]:
        """Plan anew; how many texts now wait, were taken back, are recorded as silences; and the silences that are new."""
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
        known_aliases = tuple(alias for alias in other.appointment.aliases if alias not in self.appointment.aliases)
        self.appointment = replace(self.appointment, aliases=self.appointment.aliases + known_aliases)
        other.appointment = replace(
            other.appointment, status=AppointmentStatus.ENDED, aliases=(), phone=None, phone_fault="purged",
            window_revision=None, window_due=None, window_text=False,
        )  # fmt: skip
        other.touched = True
        history = list(other.rows.values())
        withdrawn = [
            replace(row, state=SmsState.SUPPRESSED, reason=Reason.SUPERSEDED, expires=None)
            for row in history
            if row.state is SmsState.DUE
        ]
        for row in withdrawn:
            other.rows[row.identity] = other.changes[row.identity] = row
        return silences_of(other.appointment, history, withdrawn)

    def save(self, config_version: str) -> Save:
        known_aliases = self.known_aliases | self.moved_aliases
        new = tuple(alias for alias in self.appointment.aliases if alias not in known_aliases)
        return Save(
            appointment=self.appointment,
            changes=list(self.changes.values()),
            new_aliases=new,
            moved_aliases=tuple(self.moved_aliases),
            is_new=self.first,
            config_version=config_version,
        )


class UnitOfWork:
    """The changes of one group, by appointment and by alias."""

    def __init__(self, found: Iterable[StoredAppointment]) -> None:
        self._changes: dict[str, AppointmentChange] = {}
        self._owners: dict[tuple[str, str], str] = {}
        for each in found:
            if each.appointment.id in self._changes:
                continue
            change = AppointmentChange(each.appointment, each.history, each.appointment.aliases, first=False)
            self._changes[each.appointment.id] = change
            self._own(change)

    def for_event(self, event: SchedulingEvent) -> tuple[AppointmentChange | None, list[AppointmentChange]]:
        """The appointment that an event is about, and others that turn out to be the same one."""
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
        """Our ids of the appointments that an event is about."""
        change, duplicates = self.for_event(event)
        return (
            () if change is None else (change.appointment.id, *(duplicate.appointment.id for duplicate in duplicates))
        )

    def open(self, appointment: Appointment) -> AppointmentChange:
        """The change that creates an appointment. An alias that another appointment has stays with that one."""
        taken = [alias for alias in appointment.aliases if (appointment.environment, alias) in self._owners]
        change = self._changes[appointment.id] = AppointmentChange(appointment, [], taken, first=True)
        self._own(change)
        return change

    def saves(self, policies: Mapping[str, EnvironmentPolicy]) -> list[Save]:
        return [
            change.save(policies[change.appointment.environment].config_version)
            for change in self._changes.values()
            if change.touched
        ]

    def index(self, change: AppointmentChange) -> None:
        """Note the aliases that an event added to an appointment."""
        self._own(change)

    def _own(self, change: AppointmentChange) -> None:
        for alias in change.appointment.aliases:
            self._owners.setdefault((change.appointment.environment, alias), change.appointment.id)
