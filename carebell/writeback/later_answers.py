"""Records what the EHR's application says later of what went back, in the transaction of the message that says it.

Each counts once (`scheduler.writeback.after_later_answer`). One about nothing that went back from its environment, and one about
something that is decided, change nothing and are named in the log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from carebell.writeback.recording import identity_of
from ehr.acknowledgements import EngineAnswer
from journal.events.base import Event
from journal.events.writebacks import (
    WritebackAcknowledged,
    WritebackAnswerIgnored,
    WritebackBlocked,
    WritebackProcessed,
    WritebackRefused,
)
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackState, after_later_answer
from store import writeback_rows, writebacks
from store.engine import Transaction

_OWN_ID: Final = re.compile(r"[0-9A-V]{20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterAnswerEffect:
    """Attributes:
    reference: of the visit; None: nothing that went back has this id.
    changed: whether the row is another one now.
    events: for the log.
    counted: the event, the state that it reached, and the code; None: its state is the old one.
    """

    reference: str | None
    changed: bool
    events: tuple[Event, ...]
    counted: tuple[WritebackEvent, WritebackState, str] | None = None


class LaterAnswers:
    """The answers of one group of messages; the rows that they are about are locked until the commit.

    Args:
        answers: all that will be taken.
    """

    def __init__(self, conn: Transaction, answers: Sequence[EngineAnswer]) -> None:
        ids = {answer.control_id.decode("latin-1") for answer in answers}
        self._rows = writebacks.tried(conn, {own_id for own_id in ids if _OWN_ID.fullmatch(own_id)})
        self._visits = writeback_rows.visits_of(conn, {row.appointment for row in self._rows.values()})

    def take(
        self, conn: Transaction, answer: EngineAnswer, environment: str, *, strict: bool, at: datetime
    ) -> LaterAnswerEffect:
        """Record one. The caller commits.

        Args:
            environment: whose certificate signed it.
            strict: a refused one stops the others.
        """
        own_id = answer.control_id.decode("latin-1")
        row = self._rows.get(own_id)
        if row is None or row.environment != environment or row.channel is not WritebackChannel.HL7:
            known_form = own_id if _OWN_ID.fullmatch(own_id) else None
            return _ignored(environment, known_form, answer, "unknown")
        identity = identity_of(row, self._visits)
        positive = answer.answer == "AA"
        state = after_later_answer(row.state, row.answer, positive=positive)
        if state is None:
            return _ignored(environment, own_id, answer, "decided", identity.appointment)
        err3 = None if positive else answer.err3
        writebacks.decided(conn, own_id, state, at=at, answer=answer.answer, err3=err3)
        self._rows[own_id] = replace(row, state=state, answer=answer.answer, err3=err3, final_at=at)
        events: list[Event] = []
        if state is WritebackState.REFUSED:
            code = answer.answer
            events.append(
                WritebackRefused(identity=identity, attempt=row.attempts, answer=answer.answer, code=code, err3=err3)
            )
            if strict:
                events.append(WritebackBlocked(identity=identity, code=err3 or code))
        elif row.state is WritebackState.ACKNOWLEDGED:
            events.append(WritebackProcessed(identity=identity, attempt=row.attempts, answer=answer.answer))
        else:
            milliseconds = 0.0 if row.sent_at is None else round((at - row.sent_at).total_seconds() * 1000, 1)
            events.append(
                WritebackAcknowledged(
                    identity=identity, attempt=row.attempts, answer=answer.answer, milliseconds=milliseconds
                )
            )
        code = "" if positive else err3 or answer.answer
        return LaterAnswerEffect(
            reference=identity.appointment or None,
            changed=True,
            events=tuple(events),
            counted=None if state is row.state else (row.event, state, code),
        )


def _ignored(
    environment: str,
    own_id: str | None,
    answer: EngineAnswer,
    reason: Literal["unknown", "decided"],
    reference: str | None = None,
) -> LaterAnswerEffect:
    event = WritebackAnswerIgnored(environment=environment, writeback=own_id, answer=answer.answer, reason=reason)
    return LaterAnswerEffect(reference=reference or None, changed=False, events=(event,))
