"""What goes back to the EHR, with its state in words, and how a message would look: for the command line and the portal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from carebell.writeback.targets import hl7_target
from config.load import Loaded
from config.model import WritebackSection
from ehr.acknowledgements import answer_words
from ehr.delivery import delivery_words
from ehr.fhir_plan import fhir_plan, status_plan
from ehr.messages import OutgoingEvent, render
from notifier.gateways import SAMPLE_CODE
from scheduler.writeback import STORED, WritebackChannel, WritebackEvent, WritebackState
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
    "CLIENT_KEY": "the key of writeback.fhir.auth cannot be used",
    "CLIENT_ID": "the client id of writeback.epic_status cannot be read",
    "SSO_MISSING": "the extra `sso` is not installed, which signs in at FHIR servers",
    "NOT_CONNECTED": "the EHR's server cannot be reached",
    "NAME_UNKNOWN": "the name of the EHR's server is not known",
    "ADDRESS_REFUSED": "the EHR's server is not on the public internet",
    "TOO_SLOW": "the EHR's server did not answer in time",
    "CERTIFICATE": "the certificate of the EHR's server cannot be trusted",
    "CONNECTION_LOST": "the EHR's server closed the connection before its answer was complete",
    "NOT_HTTP": "the EHR's server sent no whole HTTP answer",
    "REDIRECT": "the EHR's server answered with a redirect, and none is followed",
    "TOO_LARGE": "the answer of the EHR's server is too long",
    "ENDED": "the service ended",
    "CONTENT_GONE": "the bytes of its first attempt are forgotten; they would not be the same again",
}
_TLS: Final = (
    "Do `ca` and `server_name` of `writeback.hl7.tls` fit the engine's certificate, and does the engine know ours?"
)
_ENGINE_LOG: Final = "Ask the engine's analyst what its log says of this time."
_REMEDIES: Final = {
    "UNKNOWN_HOST": "Is `host` of `writeback.hl7` right?",
    "REFUSED": "Is the engine up, and are `host` and `port` of `writeback.hl7` right?",
    "UNREACHABLE": "Ask whoever runs the network for the way to the engine.",
    "CONNECT_TIMEOUT": "Does a firewall stand between this machine and the engine?",
    "TLS": _TLS,
    "TLS_FILES": "`carebell check-config` says which file.",
    "SIGNING_KEY": "`carebell check-config` says what is wrong with it.",
    "CLIENT_KEY": "`carebell check-config` says what is wrong with it.",
    "SSO_MISSING": "Install the extra `sso`.",
    "NO_VISIT_ID": "Does the feed send SCH-1, SCH-2 or PV1-19, and does the out-map name it?",
    "NO_MESSAGE": "Give the out-map a message for it, or take it out of `writeback.events`.",
} | dict.fromkeys(("RESET", "CLOSED", "ANSWER_TIMEOUT", "NOT_MLLP", "NOT_AN_ANSWER", "WRONG_ID"), _ENGINE_LOG)
_OF_STATE: Final = {
    WritebackState.DUE: "It is tried again by itself.",
    WritebackState.REFUSED: "Put that right, then send it again.",
    WritebackState.EXPIRED: "Tell the clinic if it matters, or send it again.",
    WritebackState.UNKNOWN: "Look whether the EHR has it. Send it again only if it has not: a repetition makes a second one.",
}
_SAMPLE: Final = "0123456789ABCDEFGHIJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedWriteback:
    """Attributes:
    reference: the id that people use. state: as stored, or `held` by `writeback.hold`.
    why: one sentence; empty: nothing to say. remedy: what to do about it; empty: nothing.
    """

    row: WritebackRow
    reference: str
    state: str
    why: str
    remedy: str


def explained(
    conn: Transaction,
    loaded: Loaded,
    *,
    environment: str | None = None,
    environments: Collection[str] | None = None,
    appointment: str | None = None,
    state: WritebackState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[ExplainedWriteback]:
    """The newest first.

    Args:
        environments: only theirs; None: all.
        appointment: Carebell's id, the hospital's reference, or a whole alias.
        before: the id of the last one of the page before.
    """
    ids = None if appointment is None else outbox.ids_of(conn, appointment, environment=environment)
    rows = writeback_rows.rows(
        conn,
        environment=environment,
        environments=environments,
        of_appointments=ids,
        state=state,
        before=before,
        limit=limit,
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
    channel_known = environment is not None and _has(environment.writeback, row.channel)
    hl7 = None if environment is None else environment.writeback.hl7
    asks_later = hl7 is not None and hl7.ack == "enhanced" and hl7.application_ack == "always"
    return ExplainedWriteback(
        row=row,
        reference="" if visit is None else visit.reference,
        state="held" if held else row.state.value,
        why=_why(row, held=held, channel_known=channel_known, asks_later=asks_later),
        remedy=_remedy(row, held=held, channel_known=channel_known),
    )


def _has(section: WritebackSection, channel: WritebackChannel) -> bool:
    of_channel = {
        WritebackChannel.HL7: section.hl7,
        WritebackChannel.FHIR: section.fhir,
        WritebackChannel.EPIC_STATUS: section.epic_status,
    }
    return of_channel[channel] is not None


def _why(row: WritebackRow, *, held: bool, channel_known: bool, asks_later: bool) -> str:
    if held:
        return "Held by writeback.hold of its environment."
    if row.state is WritebackState.ACKNOWLEDGED:
        already = "It was so already" if row.code == "ALREADY" else "The EHR took it"
        if row.answer == STORED and asks_later:
            return "The EHR stored it (CA). Its application has not answered yet."
        return "Nothing that the EHR is told." if row.code == "NOTHING" else f"{already} ({row.answer})."
    if row.state is WritebackState.SUPERSEDED:
        return "The same person did or said otherwise before it was sent."
    if row.state is WritebackState.DUE and not channel_known:
        return f"Its environment has no writeback.{row.channel.value} any more."
    words_of_web = None if row.code is None else delivery_words(row.code, row.err3)
    if row.channel is not WritebackChannel.HL7 and words_of_web is not None:
        sentence = f"{words_of_web} ({row.code})"
    elif row.code is not None and row.code.startswith("TOKEN_"):
        sentence = (
            f"The EHR's token endpoint gives no token ({row.code}). Is the client registered there with this key?"
        )
    elif row.answer is not None and row.channel is WritebackChannel.HL7:
        sentence = answer_words(row.answer, row.err3)
    elif row.code is not None:
        words = _CODES.get(row.code, row.code)
        sentence = f"{words[0].upper()}{words[1:]} ({row.code})."
    else:
        sentence = ""
    if row.state is WritebackState.EXPIRED:
        return f"Nobody took it in time. {sentence}".strip()
    return sentence


def _remedy(row: WritebackRow, *, held: bool, channel_known: bool) -> str:
    if held:
        return "Take `hold` out of its `writeback` when it may go."
    if row.state is WritebackState.DUE and not channel_known:
        return f"Give its environment `writeback.{row.channel.value}` again, or let it expire."
    if row.state is WritebackState.DUE and row.answer is None and row.code is None:
        return ""
    of_code = _REMEDIES.get(row.code or "", "") if row.answer is None else ""
    of_state = _OF_STATE.get(row.state, "")
    return f"{of_code} {of_state}".strip() if of_state else ""


def sample(loaded: Loaded, environment: str, event: WritebackEvent, *, by: str, ask: bool, now: datetime) -> bytes:
    """What an event of an environment would send, with an invented visit: an HL7 message, or JSON for a web service.

    An event that does not go back is shown by the first channel that the environment has.

    Raises:
        LookupError: the environment has no channel.
        Unrenderable: its map has nothing for the event.
    """
    channel = channel_shown(loaded, environment, event)
    if channel is None:
        raise LookupError(environment)
    outgoing = OutgoingEvent(
        id=_SAMPLE,
        event=event,
        at=now,
        facts={
            "by": by,
            "ask": ask,
            "code": SAMPLE_CODE,
            "browser": "Safari 18",
            "steps": {"camera": "ok", "microphone": "NotAllowedError"},
            "started_at": now.isoformat(),
            "ended_at": (now + timedelta(minutes=20)).isoformat(),
            "duration": 1200,
            "lobby_wait": 90,
            "visit_code": "V-SAMPLE",
        },
        aliases=("EHR|CLINIC|filler|900100|", "EHR|CLINIC|placer|P900100|", "EHR|CLINIC|visit|V900100|"),
        start=now + timedelta(days=1),
    )
    zone = loaded.configuration.environments[environment].zone
    if channel is WritebackChannel.FHIR:
        return fhir_plan(loaded.fhir_maps[environment], outgoing, zone)
    if channel is WritebackChannel.EPIC_STATUS:
        return status_plan(loaded.status_maps[environment], outgoing, zone)
    target = hl7_target(loaded, environment)
    assert target is not None
    return render(target.out_map, target.header, outgoing, zone)


def channel_shown(loaded: Loaded, environment: str, event: WritebackEvent) -> WritebackChannel | None:
    """By which channel an event goes back, or would; None: the environment has none."""
    section = loaded.configuration.environments[environment].writeback
    named = section.events.get(event.value, "none")
    if named != "none":
        return WritebackChannel(named)
    return next((channel for channel in WritebackChannel if _has(section, channel)), None)
