"""What goes back to the EHR, with its state in words, and how a message would look: for the command line and the portal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from carebell.writeback.targets import hl7_target
from config.load import Loaded
from ehr.acknowledgements import answer_words
from ehr.messages import OutgoingEvent, render
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackState
from store import outbox, writeback_rows
from store.engine import Transaction
from store.writeback_rows import VisitNames, WritebackRow

_CODES: Final = {
    "UNKNOWN_HOST": "the host name of the engine is not known",
    "REFUSED": "nothing listens there",
    "UNREACHABLE": "the engine cannot be reached",
    "CONNECT_TIMEOUT": "the engine did not take the connection in time",
    "TLS": "TLS with the engine failed",
    "RESET": "the connection was reset before an answer",
    "CLOSED": "the connection was closed before an answer",
    "ANSWER_TIMEOUT": "no answer came in time",
    "NOT_MLLP": "what came back is not MLLP, or too long",
    "NOT_AN_ANSWER": "what came back is no acknowledgement",
    "WRONG_ID": "the answer was to another message",
    "LEASE": "the node that sent it ended before the answer",
    "TLS_FILES": "a TLS file of writeback.hl7.tls cannot be used",
    "SIGNING_KEY": "the signing key or its certificate cannot be used",
    "NO_VISIT_ID": "no id of this visit is known that the out-map sends",
    "NO_MESSAGE": "the out-map has no message for this event",
    "CONTENT_GONE": "the bytes of its first attempt are forgotten; they would not be the same again",
}
_SAMPLE: Final = "0123456789ABCDEFGHIJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedWriteback:
    """Attributes:
    reference: the id that people use. state: as stored, or `held` by `writeback.hold`.
    why: one sentence; empty: nothing to say.
    """

    row: WritebackRow
    reference: str
    state: str
    why: str


def explained(
    conn: Transaction,
    loaded: Loaded,
    *,
    environment: str | None = None,
    appointment: str | None = None,
    state: WritebackState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[ExplainedWriteback]:
    """The newest first.

    Args:
        appointment: Carebell's id, the hospital's reference, or a whole alias.
    """
    ids = None if appointment is None else outbox.ids_of(conn, appointment, environment=environment)
    rows = writeback_rows.rows(
        conn, environment=environment, of_appointments=ids, state=state, before=before, limit=limit
    )
    return _explained(conn, loaded, rows)


def explained_one(conn: Transaction, loaded: Loaded, writeback_id: str) -> ExplainedWriteback | None:
    """One of them; None: there is none with this id."""
    row = writeback_rows.by_id(conn, writeback_id)
    return None if row is None else _explained(conn, loaded, [row])[0]


def _explained(conn: Transaction, loaded: Loaded, rows: Sequence[WritebackRow]) -> list[ExplainedWriteback]:
    visits = writeback_rows.visits_of(conn, {row.appointment for row in rows})
    return [_explain(loaded, row, visits.get(row.appointment)) for row in rows]


def _explain(loaded: Loaded, row: WritebackRow, visit: VisitNames | None) -> ExplainedWriteback:
    environment = loaded.configuration.environments.get(row.environment)
    waits = row.state is WritebackState.DUE
    held = waits and environment is not None and environment.writeback.hold
    return ExplainedWriteback(
        row=row,
        reference="" if visit is None else visit.reference,
        state="held" if held else row.state.value,
        why=_why(row, held=held, channel_known=environment is not None and environment.writeback.hl7 is not None),
    )


def _why(row: WritebackRow, *, held: bool, channel_known: bool) -> str:
    if held:
        return "Held by writeback.hold of its environment."
    if row.state is WritebackState.ACKNOWLEDGED:
        return f"The EHR took it ({row.answer})."
    if row.state is WritebackState.SUPERSEDED:
        return "A later one of the same person came within seconds."
    if row.state is WritebackState.DUE and row.channel is WritebackChannel.HL7 and not channel_known:
        return "Its environment has no writeback.hl7 any more."
    if row.answer is not None:
        sentence = answer_words(row.answer, row.err3)
    elif row.code is not None:
        words = _CODES.get(row.code, row.code)
        sentence = f"{words[0].upper()}{words[1:]} ({row.code})."
    else:
        sentence = ""
    if row.state is WritebackState.EXPIRED:
        return f"Nobody took it in time. {sentence}".strip()
    return sentence


def sample(loaded: Loaded, environment: str, event: WritebackEvent, *, by: str, ask: bool, now: datetime) -> bytes:
    """The message that an event of an environment would make, with an invented visit.

    Raises:
        LookupError: the environment has no `writeback.hl7`.
        Unrenderable: its out-map has no message for the event.
    """
    target = hl7_target(loaded, environment)
    if target is None:
        raise LookupError(environment)
    outgoing = OutgoingEvent(
        id=_SAMPLE,
        event=event,
        at=now,
        facts={
            "by": by,
            "ask": ask,
            "code": 30003,
            "browser": "Safari 18",
            "steps": {"camera": "ok", "microphone": "NotAllowedError"},
            "started_at": now.isoformat(),
            "ended_at": (now + timedelta(minutes=20)).isoformat(),
            "duration": 1200,
            "lobby_wait": 90,
        },
        aliases=("EHR|CLINIC|filler|900100|", "EHR|CLINIC|placer|P900100|", "EHR|CLINIC|visit|V900100|"),
        start=now + timedelta(days=1),
    )
    return render(target.out_map, target.header, outgoing, target.zone)
