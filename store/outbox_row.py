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

    def claimed(
        self,
        *,
        at: datetime,
        lease_until: datetime,
        node: str,
        sender: str,
        segments: int,
        phone_key: str | None,
        question: int | None,
        question_alone: bool | None,
        question_until: datetime | None,
    ) -> OutboxRow:
        """The row in its next attempt. Each field is named: `replace` takes three times as long, and every text passes here."""
        return OutboxRow(
            id=self.id,
            environment=self.environment,
            appointment=self.appointment,
            reference=self.reference,
            kind=self.kind,
            rule=self.rule,
            revision=self.revision,
            due=self.due,
            expires=self.expires,
            start=self.start,
            state=SmsState.SENDING,
            reason=self.reason,
            attempts=self.attempts + 1,
            doubts=self.doubts,
            next_attempt_at=None,
            lease_until=lease_until,
            node=node,
            sid=None,
            code=None,
            sender=sender,
            segments=segments,
            phone_key=phone_key,
            config_version=self.config_version,
            created_at=self.created_at,
            claimed_at=at,
            sent_at=None,
            final_at=None,
            checked_at=None,
            gateway_forgotten_at=self.gateway_forgotten_at,
            question=question,
            question_alone=question_alone,
            question_until=question_until,
        )

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
_INSTANTS: Final = tuple(column.name for column in outbox.columns if isinstance(column.type, UtcDateTime))


def read_row(row: Sequence[Any], instants: InstantCodec) -> OutboxRow:
    """An `OutboxRow` from the values of `COLUMNS` as the driver returns them."""
    columns = dict(zip(COLUMNS, row, strict=True))
    get = instants.get
    for name in _INSTANTS:
        if columns[name] is not None:
            columns[name] = get(columns[name])
    if columns["question_alone"] is not None:
        columns["question_alone"] = bool(columns["question_alone"])
    columns["kind"], columns["state"] = KINDS[columns["kind"]], STATES[columns["state"]]
    columns["reason"] = REASONS[columns["reason"]]
    return OutboxRow(**columns)


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
