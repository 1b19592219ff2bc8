"""Silences for the log: a text that by the plan does not leave has one line with its reason, written after the commit.

When an appointment is planned again, a silence that was decided before for the same reason is not logged again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from journal.events.shared import SmsIdentity
from journal.events.sms import SilenceSource, SmsSuppressed
from scheduler.appointment import Appointment
from scheduler.sms import PlannedRow, SmsState


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A text that does not leave.

    Attributes:
        appointment: the hospital's reference.
        row: suppressed, with its reason.
    """

    environment: str
    appointment: str
    row: PlannedRow


def silences_of(
    appointment: Appointment, history: Iterable[PlannedRow], changes: Iterable[PlannedRow]
) -> list[Silence]:
    """The silences among a plan's changes that were not decided before.

    Args:
        history: the appointment's rows before the plan.
        changes: the rows that the plan writes.
    """
    suppressed = [row for row in changes if row.state is SmsState.SUPPRESSED]
    if not suppressed:
        return []
    before = {row.identity: row for row in history}
    return [
        Silence(environment=appointment.environment, appointment=appointment.reference, row=row)
        for row in suppressed
        if not _same(before.get(row.identity), row)
    ]


def _same(before: PlannedRow | None, row: PlannedRow) -> bool:
    return before is not None and before.state is SmsState.SUPPRESSED and before.reason is row.reason


def events_of(silences: Iterable[Silence], source: SilenceSource) -> list[SmsSuppressed]:
    """The log's line for each silence. It has no `sms`: the row's id is given when it is stored."""
    return [
        SmsSuppressed(
            identity=SmsIdentity(
                environment=silence.environment,
                appointment=silence.appointment,
                kind=silence.row.kind,
                rule=silence.row.rule,
                sms=None,
            ),
            revision=silence.row.revision,
            reason=silence.row.reason,
            due=silence.row.due,
            source=source,
            cap=None,
        )
        for silence in silences
    ]
