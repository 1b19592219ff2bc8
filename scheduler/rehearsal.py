"""Run a history of events through the planner as if the service had been running all the time; pure.

`carebell plan` shows the result: every text that was due before the next message counts as sent, and everything later is
planned from the state at that time. The service does the same, with the database between the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from parser.event import SchedulingEvent
from scheduler.apply_event import apply, create
from scheduler.appointment import Appointment, same_visit
from scheduler.confirmation_window import close_window
from scheduler.plan import replan
from scheduler.policy import Policy
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from scheduler.succession import end_replaced, replaced_by, sharing, succeed


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """One text of the history, sent or suppressed.

    Attributes:
        row: as the outbox would hold it at the end. A text that is sent has the state DUE, or ACCEPTED if it was due before a
            later message.
        appointment: the state that the text shows.
    """

    row: PlannedRow
    appointment: Appointment

    @property
    def leaves(self) -> bool:
        return self.row.state is not SmsState.SUPPRESSED


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNumber:
    """A visit that an S13 opened under a new id, and the visits that share a placer or visit number with it and stay.

    Attributes:
        appointment: the hospital's reference of the new visit. shares_with: the references of the others.
    """

    appointment: str
    shares_with: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Attributes:
    texts: every text, sent or suppressed, ordered by appointment, then by due.
    shared_numbers: in the order of the messages.
    """

    texts: tuple[Rehearsed, ...]
    shared_numbers: tuple[SharedNumber, ...]


def rehearse(
    events: Sequence[SchedulingEvent],
    policy: Policy,
    blocked: Callable[[Appointment], Reason | None],
    *,
    zone: str,
) -> Rehearsal:
    """Every text of the histories in `events`, and the visits that share a number and stay.

    Args:
        events: one environment's, in the order of their receipt.
        blocked: why an appointment's patient cannot be texted, or None.
        zone: the environment's zone.
    """
    appointments: list[_RehearsedAppointment] = []
    shared_numbers: list[SharedNumber] = []
    for event in events:
        appointment = next(
            (known for known in appointments if same_visit(known.appointment.aliases, event.aliases)), None
        )
        if appointment is None:
            seen = _succession(appointments, event, policy)
            if seen is None:
                sharers = sharing([known.appointment for known in appointments], event)
                if sharers:
                    references = tuple(sharer.reference for sharer in sharers)
                    shared_numbers.append(SharedNumber(appointment=event.reference, shares_with=references))
                seen = create(event, policy, id=_id(appointments), zone=zone)
            appointments.append(appointment := _RehearsedAppointment(seen, policy, blocked))
        elif not appointment.hear(event):
            continue
        appointment.replan(event)
    return Rehearsal(
        texts=tuple(text for appointment in appointments for text in appointment.texts()),
        shared_numbers=tuple(shared_numbers),
    )


def _id(appointments: Sequence[_RehearsedAppointment]) -> str:
    return f"{len(appointments) + 1:032x}"


def _succession(
    appointments: Sequence[_RehearsedAppointment], event: SchedulingEvent, policy: Policy
) -> Appointment | None:
    """The appointment that goes on under this event's ids, ended under its old ones; None: none does."""
    known = replaced_by([appointment.appointment for appointment in appointments], event)
    if known is None:
        return None
    appointment = next(appointment for appointment in appointments if appointment.appointment is known)
    appointment.leave_until(event.received_at)
    seen = succeed(appointment.appointment, event, policy, id=_id(appointments))
    if seen is not None:
        appointment.end(end_replaced(appointment.appointment, event))
    return seen


class _RehearsedAppointment:
    """One appointment with its rows; mutable, used within one rehearsal."""

    def __init__(
        self, appointment: Appointment, policy: Policy, blocked: Callable[[Appointment], Reason | None]
    ) -> None:
        self.appointment = appointment
        self._policy = policy
        self._blocked = blocked
        self._rows: dict[tuple[SmsKind, str, int], Rehearsed] = {}

    def hear(self, event: SchedulingEvent) -> bool:
        """Count due texts as sent, then apply the event. False: the event was too old to change anything."""
        self.leave_until(event.received_at)
        after = apply(self.appointment, event, self._policy)
        if after is None:
            return False
        self.appointment = after
        return True

    def replan(self, event: SchedulingEvent) -> None:
        history = [text.row for text in self._rows.values()]
        planned = replan(self.appointment, self._policy, history, event.received_at, self._blocked(self.appointment))
        self.appointment = planned.appointment
        for row in planned.changes:
            self._rows[row.identity] = Rehearsed(row=row, appointment=self.appointment)

    def texts(self) -> list[Rehearsed]:
        rows = [
            Rehearsed(row=text.row, appointment=self.appointment) if text.row.state is SmsState.DUE else text
            for text in self._rows.values()
        ]
        return sorted(rows, key=lambda text: (text.row.due is None, text.row.due or 0, text.row.revision))

    def end(self, appointment: Appointment) -> None:
        """It goes on under other ids: what waited is taken back."""
        self.appointment = appointment
        for identity, text in self._rows.items():
            if text.row.state is SmsState.DUE:
                row = replace(text.row, state=SmsState.SUPPRESSED, reason=Reason.SUPERSEDED, expires=None)
                self._rows[identity] = Rehearsed(row=row, appointment=appointment)

    def leave_until(self, now: datetime) -> None:
        """Count due texts as sent."""
        for identity, text in self._rows.items():
            row = text.row
            if row.state is not SmsState.DUE or row.due is None or row.due > now:
                continue
            gone = PlannedRow(
                kind=row.kind,
                rule=row.rule,
                revision=row.revision,
                due=row.due,
                expires=row.expires,
                state=SmsState.ACCEPTED,
                reason=row.reason,
            )
            self._rows[identity] = Rehearsed(row=gone, appointment=self.appointment)
            if row.kind.is_confirmation:
                self.appointment = close_window(self.appointment, self._policy)
