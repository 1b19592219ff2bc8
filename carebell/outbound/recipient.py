"""The number that an appointment's texts go to."""

from __future__ import annotations

from carebell.environment_policy import RuntimeConfig
from notifier.recipients import Allowed
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.sms import Reason


class Recipients:
    """The numbers that one round's texts go to. Whether a patient can be texted is asked twice of each text and judged once."""

    def __init__(self, runtime_config: RuntimeConfig) -> None:
        self._runtime_config = runtime_config
        self._judged: dict[str, tuple[Appointment, Allowed | Reason]] = {}

    def __call__(self, appointment: Appointment) -> PhoneNumber | None:
        """None: this patient cannot be texted, or the environment is switched off."""
        policy = self._runtime_config.policies.get(appointment.environment)
        if policy is None:
            return None
        allowed = policy.judge(appointment)
        self._judged[appointment.id] = appointment, allowed
        return allowed.to if isinstance(allowed, Allowed) else None

    def blocked(self, appointment: Appointment) -> Reason | None:
        """As `EnvironmentPolicy.blocked`."""
        known = self._judged.get(appointment.id)
        allowed = known[1] if known is not None and known[0] is appointment else None
        return self._runtime_config.policies[appointment.environment].blocked(appointment, allowed)


def recipient_of(appointment: Appointment, runtime_config: RuntimeConfig) -> PhoneNumber | None:
    """The number of one appointment, as `Recipients` gives it."""
    return Recipients(runtime_config)(appointment)
