"""The database and its keys."""

import logging

from journal.events.base import Event, event
from journal.events.shared import ErrorTrace


@event(logging.INFO)
class DatabaseUpgraded(Event):
    """The database's tables were upgraded to this version."""

    database: str
    version: str
    seconds: float


@event(
    logging.CRITICAL,
    "Check the disk and the database server. Senders keep their messages; no restart is needed afterwards.",
)
class DatabaseUnavailable(Event):
    """The database cannot be used; messages get no answer and texts wait."""

    database: str
    reason: str
    trace: ErrorTrace


@event(logging.INFO)
class DatabaseRecovered(Event):
    """The database works again."""

    database: str
    seconds: float


@event(logging.INFO, "Back up the key file and the database: this key file cannot read older backups.")
class KeyRotated(Event):
    """Every day's key is wrapped with a new master key; the previous master key was removed from the key file."""

    key: int
    count: int
    actor: str
