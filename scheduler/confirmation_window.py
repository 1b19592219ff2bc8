"""The debounce window of one confirmation (sms.md, Debounce): when it opens, what prolongs it, and when it is closed; pure.

While it is open the patient is told nothing yet; when it closes, the patient is assumed to know what the appointment then was.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.policy import Policy


def close_if_over(before: Appointment, policy: Policy, now: datetime) -> Appointment:
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


def is_revived(before: Appointment, after: Appointment) -> bool:
    return after.status is AppointmentStatus.ACTIVE and before.status is not AppointmentStatus.ACTIVE


def update_window(before: Appointment, after: Appointment, policy: Policy, now: datetime) -> Appointment:
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
