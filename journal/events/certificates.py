"""The senders' certificates."""

import logging

from journal.events.base import Event, event
from journal.events.shared import CertificateFacts


@event(logging.INFO)
class CertificateLoaded(Event):
    """A sender's certificate is in use."""

    facts: CertificateFacts


@event(logging.WARNING, "Ask the sender for the next certificate and add it beside the old one: two may be active.")
class CertificateExpiring(Event):
    """A certificate expires soon; after that its messages are refused."""

    facts: CertificateFacts


@event(
    logging.ERROR,
    "Get the new certificate from the sender, add it under `certificates`, remove the expired one.",
)
class CertificateExpired(Event):
    """A certificate has expired; messages signed with it are refused."""

    facts: CertificateFacts


@event(logging.WARNING, "If the sender has changed to the newer one, remove this one from `certificates`.")
class CertificateUnused(Event):
    """An active certificate has signed nothing for a long time."""

    environment: str
    thumbprint: str
    file: str
    days_left: int


@event(logging.INFO)
class CertificateRotated(Event):
    """The set of active certificates of an environment changed: `thumbprint` is new, `active` are all of them."""

    environment: str
    active: str
    thumbprint: str
    file: str
