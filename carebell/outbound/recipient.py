"""The number that an appointment's texts go to."""

from __future__ import annotations

from carebell.environment_policy import RuntimeConfig
from notifier.recipients import Allowed, may_text
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment


def recipient_of(appointment: Appointment, runtime_config: RuntimeConfig) -> PhoneNumber | None:
    """None: this patient cannot be texted, or the environment is switched off."""
    policy = runtime_config.policies.get(appointment.environment)
    if policy is None:
        return None
    allowed = may_text(appointment.phone, appointment.phone_fault, policy.numbers, appointment.consent)
    return allowed.to if isinstance(allowed, Allowed) else None
