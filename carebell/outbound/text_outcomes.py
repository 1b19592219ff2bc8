"""What became of a text goes back to the EHR, if its environment says so: delivered, failed, or not sent for an opt-out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from carebell.environment_policy import RuntimeConfig
from carebell.ids import ControlIds
from scheduler.writeback import Fact, WritebackEvent, intend
from store import writebacks
from store.engine import Transaction
from store.outbox_row import OutboxRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOutcomes:
    """Called in the transaction of the outcome, with the text's appointment locked.

    Attributes:
        ids: MSH-10 of what goes back.
    """

    runtime_config: Callable[[], RuntimeConfig]
    ids: Callable[[], str] = field(default_factory=ControlIds)

    def __call__(
        self, conn: Transaction, row: OutboxRow, event: WritebackEvent, now: datetime, code: int | None = None
    ) -> None:
        """Add what goes back, if anything does. An opt-out goes back once for each visit."""
        policy = self.runtime_config().policies.get(row.environment)
        if policy is None:
            return
        facts: dict[str, Fact] = {"by": "patient", "sms": row.id, "at": now.isoformat()}
        intent = intend(
            policy.writeback,
            event,
            environment=row.environment,
            appointment=row.appointment,
            start=row.start,
            now=now,
            event_seq=0 if event is WritebackEvent.OPTED_OUT else None,
            facts=facts if code is None else facts | {"code": code},
        )
        if intent is not None:
            writebacks.add(conn, intent, ids=self.ids, now=now)


def say_nothing_back(
    conn: Transaction, row: OutboxRow, event: WritebackEvent, now: datetime, code: int | None = None
) -> None:
    """For rehearsals and tests without an EHR."""
