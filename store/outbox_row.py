"""One row of the outbox as a value, and how far each state has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from scheduler.messages import Kind, Past, Reason, State
from store.instants import InstantCodec
from store.tables import outbox

RANK: Final = {
    State.DUE: 0,
    State.SUPPRESSED: 0,
    State.SENDING: 1,
    State.UNKNOWN: 2,
    State.ACCEPTED: 3,
    State.SENT: 4,
    State.UNDELIVERED: 5,
    State.FAILED: 5,
    State.DELIVERED: 6,
}
"""A status only moves up. `delivered` stands above the failures: a carrier's late receipt is the better knowledge."""

FINAL: Final = (State.DELIVERED, State.UNDELIVERED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A text in any state. Holds no phone and no content.

    Attributes:
        id: 32 random hex digits.
        appointment: `Appointment.id`; `reference` is the one that people know.
        due: when the plan wants it to leave, UTC; None: it never had a time.
        start: of the visit, when this was planned.
        next_attempt_at: not before this instant.
        sid, code: the gateway's id and its last error code.
        phone_key: HMAC of the number of the last attempt.
        sent_at: when the gateway accepted it. final_at: when its last status came.
        gateway_forget_at: next try to delete it at the gateway; gateway_forgotten_at: done.
    """

    id: str
    environment: str
    appointment: str
    reference: str
    kind: Kind
    rule: str
    revision: int
    due: datetime | None
    expires: datetime | None
    start: datetime | None
    state: State
    reason: Reason
    attempts: int
    next_attempt_at: datetime | None
    lease_until: datetime | None
    node: str | None
    sid: str | None
    code: int | None
    sender: str | None
    segments: int | None
    phone_key: str | None
    config_version: str
    created_at: datetime
    claimed_at: datetime | None
    sent_at: datetime | None
    final_at: datetime | None
    checked_at: datetime | None
    gateway_forgotten_at: datetime | None
    gateway_forget_at: datetime | None

    @property
    def past(self) -> Past:
        """As the planner sees it."""
        return Past(
            kind=self.kind, rule=self.rule, revision=self.revision, due=self.due, expires=self.expires,
            state=self.state, reason=self.reason,
        )  # fmt: skip


COLUMNS: Final = tuple(column.name for column in outbox.columns)
_INSTANTS: Final = frozenset(
    index for index, field in enumerate(fields(OutboxRow)) if "datetime" in str(field.type)
)  # fmt: skip


def read_row(row: Sequence[Any], instants: InstantCodec) -> OutboxRow:
    """A row of `COLUMNS`, values as the driver has them."""
    get = instants.get
    values = [get(value) if value is not None and at in _INSTANTS else value for at, value in enumerate(row)]
    found: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    found["kind"], found["state"], found["reason"] = Kind(found["kind"]), State(found["state"]), Reason(found["reason"])
    return OutboxRow(**found)
