"""One row of the outbox as a value, and the rank of each state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from store.instants import InstantCodec, UtcDateTime
from store.tables import outbox

RANK: Final = {
    SmsState.DUE: 0,
    SmsState.SUPPRESSED: 0,
    SmsState.SENDING: 1,
    SmsState.UNKNOWN: 2,
    SmsState.ACCEPTED: 3,
    SmsState.SENT: 4,
    SmsState.UNDELIVERED: 5,
    SmsState.FAILED: 5,
    SmsState.DELIVERED: 6,
}
"""A status only moves up. `delivered` is above the failures, because a carrier's late receipt is more reliable."""

FINAL: Final = (SmsState.DELIVERED, SmsState.UNDELIVERED, SmsState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A text in any state. It holds no phone number and no content.

    Attributes:
        id: 32 hex digits, 20 of them random.
        appointment: `Appointment.id`; `reference` is the id that people use.
        due: when the plan sends it, UTC; None: it has no time.
        start: the visit's start when this was planned.
        attempts: creates, including the present one; an attempt that certainly created nothing may be subtracted again.
        doubts: attempts for which it was unknown at first whether the gateway took them.
        next_attempt_at: it is not tried before this instant.
        sid, code: the gateway's id of the message, as `outbox --json` calls it, and its last error code.
        phone_key: HMAC of the number of the last attempt.
        sent_at: when the gateway accepted it. final_at: when its final status arrived.
        gateway_forgotten_at: when the last of it was deleted at the gateway.
        question: the number of what it asked; None: it asked nothing. question_alone: whether the text named no number.
        question_until: when the visit begins that it asked about.
    """

    id: str
    environment: str
    appointment: str
    reference: str
    kind: SmsKind
    rule: str
    revision: int
    due: datetime | None
    expires: datetime | None
    start: datetime | None
    state: SmsState
    reason: Reason
    attempts: int
    doubts: int = 0
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
    question: int | None = None
    question_alone: bool | None = None
    question_until: datetime | None = None

    @property
    def past(self) -> PlannedRow:
        """The row as the planner uses it."""
        return PlannedRow(
            kind=self.kind,
            rule=self.rule,
            revision=self.revision,
            due=self.due,
            expires=self.expires,
            state=self.state,
            reason=self.reason,
        )


COLUMNS: Final = tuple(column.name for column in outbox.columns)
KINDS: Final = {kind.value: kind for kind in SmsKind}
STATES: Final = {state.value: state for state in SmsState}
REASONS: Final = {reason.value: reason for reason in Reason}
_INSTANTS: Final = tuple(index for index, column in enumerate(outbox.columns) if isinstance(column.type, UtcDateTime))
_KIND, _STATE, _REASON, _ALONE = (COLUMNS.index(name) for name in ("kind", "state", "reason", "question_alone"))


def read_row(row: Sequence[Any], instants: InstantCodec) -> OutboxRow:
    """An `OutboxRow` from the values of `COLUMNS` as the driver returns them."""
    values = list(row)
    for index in _INSTANTS:
        if values[index] is not None:
            values[index] = instants.get(values[index])
    values[_ALONE] = None if row[_ALONE] is None else bool(row[_ALONE])
    values[_KIND], values[_STATE], values[_REASON] = KINDS[row[_KIND]], STATES[row[_STATE]], REASONS[row[_REASON]]
    return OutboxRow(**dict(zip(COLUMNS, values, strict=True)))


def read_past(row: Sequence[Any], instants: InstantCodec) -> PlannedRow:
    """A `PlannedRow` from kind, rule, revision, due, expires, state and reason."""
    kind, rule, revision, due, expires, state, reason = row
    maybe = instants.get_maybe
    return PlannedRow(
        kind=KINDS[kind],
        rule=rule,
        revision=revision,
        due=maybe(due),
        expires=maybe(expires),
        state=STATES[state],
        reason=REASONS[reason],
    )
