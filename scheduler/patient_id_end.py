"""Until when PID-3 of a visit may be kept for what goes back to the EHR. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.visit_life import window_of

KEPT_AFTER: Final = timedelta(hours=24)
"""After the visit's end, or after its cancellation if that is earlier."""


def patient_id_end(appointment: Appointment, now: datetime) -> datetime | None:
    """The first instant at which it must be gone, UTC; None: at once, because the visit was deleted or has no time.

    Args:
        now: when the message was received that made the appointment what it is. A canceled one keeps it for `KEPT_AFTER` from then,
            since its cancellation's text may go back; who calls it again never lengthens that.
    """
    if appointment.start is None or appointment.status is AppointmentStatus.DELETED:
        return None
    window = window_of(
        appointment.start,
        zone=appointment.zone,
        date_only=appointment.date_only,
        duration=appointment.duration,
        opens=timedelta(0),
        ends_after=KEPT_AFTER,
    )
    canceled = appointment.status is AppointmentStatus.CANCELED
    return min(window.ends_at, now + KEPT_AFTER) if canceled else window.ends_at
