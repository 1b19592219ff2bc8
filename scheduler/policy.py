"""The planner's part of an environment's configuration: the `sms` section, and which details its texts show."""

from __future__ import annotations

from dataclasses import dataclass

from config.model import SmsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Attributes:
    sms: the environment's `sms` section: reminders, switches, quiet hours, gaps and leads.
    shown: the further appointment fields that the environment's templates show to patients, in a fixed order, of
        `facility`, `location`, `provider`, `join_link`, `patient_name`. A change in one of these causes an "updated" text.
    """

    sms: SmsSettings
    shown: tuple[str, ...] = ()
