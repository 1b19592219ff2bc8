"""Reopens the confirmation window of a text that was claimed and did not leave, and plans the appointment again.

The claim closes an appointment's window, because the patient will know what the text says. If the gateway certainly took nothing
(the row had changed, the gateway refused for a passing reason or was not reached), the patient does not know it. So the window is
opened again as it was, the messages that came meanwhile are applied, and the appointment is planned. If the visit was moved
meanwhile, the patient gets one booking text with the final time; if it was cancelled, the patient gets none (sms.md, Debounce).

Everything happens in the transaction that makes the row due again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig
from carebell.outbound.replan import replan
from carebell.outbound.silences import Silence, silences_of
from scheduler.appointment import Appointment
from scheduler.policy import Policy
from scheduler.sms import SmsState
from store.appointment_repository import Save, StoredAppointment, load, save
from store.claims import Claimed
from store.engine import Transaction
from store.vault import Vault


def reopen_windows(
    conn: Transaction, vault: Vault, runtime_config: RuntimeConfig, returned: Sequence[Claimed], now: datetime
) -> list[Silence]:
    """Record that the patients of these texts were not notified; the texts that by the new plan will not leave.

    The rows of these texts are due again already; the commit is the caller's.
    """
    closed_by = {
        claim.row.appointment: claim
        for claim in returned
        if claim.row.revision == claim.appointment.window_revision and claim.row.kind.is_confirmation
    }
    saves: list[Save] = []
    silences: list[Silence] = []
    for appointment_id, stored in load(conn, vault, set(closed_by), now, lock=True).items():
        policy = runtime_config.policies.get(stored.appointment.environment)
        if policy is None:
            continue
        reopened = _reopened(stored, closed_by[appointment_id], policy)
        planned_anew = replan(reopened, policy, now)
        saves.append(planned_anew)
        silences += silences_of(planned_anew.appointment, reopened.history, planned_anew.changes)
    save(conn, vault, saves, [], now)
    return silences


def _reopened(stored: StoredAppointment, returned: Claimed, policy: EnvironmentPolicy) -> StoredAppointment:
    identity = returned.row.past.identity
    history = tuple(replace(row, state=SmsState.DUE) if row.identity == identity else row for row in stored.history)
    return StoredAppointment(
        appointment=reopen(stored.appointment, returned.appointment, policy.planning), history=history
    )


def reopen(present: Appointment, decided: Appointment, policy: Policy) -> Appointment:
    """The appointment as it would be if the text had not been claimed.

    Args:
        present: with the messages that came after the claim.
        decided: as the claim read it, with its window open.
    """
    last_notified = decided.last_notified
    if present.status.silent or present.visible(policy) == last_notified:  # there is nothing to tell any more
        return replace(present, last_notified=last_notified, window_revision=None, window_due=None, window_text=False)
    return replace(present, last_notified=last_notified, window_revision=decided.window_revision)
