"""What a channel is to the sender: a target with its settings, and the line to it that is open for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from ehr.delivery import Delivery
from ehr.messages import OutgoingEvent, Unrenderable
from scheduler.writeback import WritebackChannel
from store.writeback_rows import VisitNames, WritebackRow


class TargetUnusable(Exception):
    """A file that the target needs cannot be used: `code` TLS_FILES, SIGNING_KEY, CLIENT_KEY, CLIENT_ID or SSO_MISSING."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class WritebackLine(Protocol):
    """An open way to one target, until the configuration changes or the service ends."""

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        """What every attempt of a row sends. Unrenderable: there can be nothing."""

    async def deliver(self, row: WritebackRow, content: bytes, sent: Callable[[], None]) -> Delivery:
        """What came of one attempt.

        Args:
            sent: to be called when the target is reached, just before the content goes out.

        Raises:
            Unanswered: there is no answer that counts.
        """

    def close(self) -> None:
        """End at once; an attempt under way is Unanswered as soon as it can be."""


class WritebackTarget(Protocol):
    """One environment's way to its EHR."""

    @property
    def environment(self) -> str: ...

    @property
    def channel(self) -> WritebackChannel: ...

    @property
    def name(self) -> str:
        """The job that only one node has at a time (`store.leases`)."""

    @property
    def hold(self) -> bool:
        """Nothing is sent."""

    @property
    def wants_patient_id(self) -> bool:
        """Its messages may have PID-3, which the environment keeps."""

    @property
    def strict(self) -> bool:
        """All one after the other, and a refused one stops the rest."""

    @property
    def limit(self) -> int:
        """So many may be under way at once."""

    @property
    def lease(self) -> timedelta:
        """Longer than an attempt can take."""

    def opened(self, now: datetime) -> WritebackLine:
        """Read its files. TargetUnusable: one of them cannot be used."""


def outgoing_event(row: WritebackRow, visit: VisitNames | None) -> OutgoingEvent:
    """What a map makes its message of. Unrenderable: the visit is gone."""
    if visit is None:
        raise Unrenderable("NO_VISIT_ID", "the visit is not known any more")
    at = row.facts.get("at")
    return OutgoingEvent(
        id=row.id,
        event=row.event,
        at=datetime.fromisoformat(at) if isinstance(at, str) else row.created_at,
        facts=row.facts,
        aliases=visit.aliases,
        start=visit.start,
        patient_id=None if visit.patient_id is None else visit.patient_id.repetitions,
    )
