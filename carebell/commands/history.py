"""Read messages from files for a rehearsal: without their signatures, received when they were sent."""

from __future__ import annotations

from datetime import datetime

from carebell.environment_policy import EnvironmentPolicy
from certs.message import Msh, UnverifiedMessage
from certs.unverified import unverified
from config.model import Sender
from parser import siu
from parser.event import Rejection, SchedulingEvent


def read_event(
    content: bytes, policy: EnvironmentPolicy, at: datetime
) -> tuple[UnverifiedMessage, SchedulingEvent | Rejection]:
    """A message as if it had been received at its MSH-7, or at `at` (UTC) if that is earlier.

    ValueError: there is no MSH segment.
    """
    zone = policy.environment.zone
    sent = unverified(content, environment=policy.name, zone=zone, received_at=at)
    received = unverified(content, environment=policy.name, zone=zone, received_at=min(sent.sent_at, at))
    return received, siu.rehearse(received, policy.rules)


def is_from(sender: Sender, msh: Msh) -> bool:
    """Whether the header's MSH-4, MSH-5, MSH-6 and MSH-11 are those that the environment accepts (signing.md, section 8)."""
    return (
        _first(msh.sending_facility) in sender.facilities
        and _first(msh.receiving_application) == sender.receiving_application
        and _first(msh.receiving_facility) == sender.receiving_facility
        and _first(msh.processing_id) in sender.processing_ids
    )


def _first(field: bytes) -> str:
    return field.split(b"^", 1)[0].decode("utf-8", "replace")
