"""Every event that Carebell logs, by subject.

The names of events and fields are a contract: dashboards and `carebell logs` rely on them, and docs/reference is made from these
modules (`journal.reference`). There is one line for each message that came in (`message_*`) and one for each step of a text
(`sms_*`); `appointment` joins them. An event holds documented fields and nothing else, so a patient's data cannot slip into a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from journal.events import (
    certificates,
    configuration,
    connections,
    database,
    gateway,
    messages,
    retention,
    service,
    sms,
    visits,
    workers,
    writebacks,
)
from journal.events.base import DECLARED, Entry, Event

__all__ = ["ENTRIES", "Entry", "Event", "name_of"]

_SUBJECTS: Final = (
    service,
    workers,
    configuration,
    connections,
    messages,
    certificates,
    database,
    sms,
    gateway,
    visits,
    writebacks,
    retention,
)
ENTRIES: Final[Mapping[type[Event], Entry]] = {
    event: entry for subject in _SUBJECTS for event, entry in DECLARED.items() if event.__module__ == subject.__name__
}
"""Every event and its documentation, in the order of docs/reference."""


def name_of(event: type[Event]) -> str:
    """The event's name in the log: `message_accepted` for MessageAccepted."""
    return ENTRIES[event].name
