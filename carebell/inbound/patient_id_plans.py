"""PID-3 of the visits that a group of messages changed, in the environments that keep it. What is stored: `store.patient_ids`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from carebell.environment_policy import EnvironmentPolicy
from carebell.inbound.unit_of_work import UnitOfWork
from scheduler.appointment import AppointmentStatus
from scheduler.patient_id_end import patient_id_end
from store.engine import Transaction
from store.patient_ids import PatientIdPlan, keep
from store.vault import Vault


def keep_patient_ids(
    conn: Transaction, vault: Vault, policies: Mapping[str, EnvironmentPolicy], unit: UnitOfWork, now: datetime
) -> None:
    """Keep, move and delete PID-3 in the transaction that saved these appointments. Where nothing is kept it costs nothing."""
    keeping = {name for name, policy in policies.items() if policy.rules.keeps_patient_id}
    if not keeping:
        return
    given, taken_over = unit.patient_ids(), unit.taken_over()
    plans = []
    for appointment in unit.appointments():
        if appointment.environment in keeping:
            sent_at, patient_id = given.get(appointment.id, (None, None))
            plans.append(
                PatientIdPlan(
                    appointment=appointment.id,
                    ends_at=patient_id_end(appointment, now),
                    canceled=appointment.status is AppointmentStatus.CANCELED,
                    given=patient_id,
                    sent_at=sent_at,
                    others=taken_over.get(appointment.id, ()),
                )
            )
    keep(conn, vault, plans, now)
