"""What goes back to the EHR: which events of an environment, by which channel, and for how long they are tried. A pure rule.

    intent = intend(policy, WritebackEvent.CONFIRMED, environment=..., appointment=..., start=..., now=..., facts={"by": "patient"})
    if intent is not None:
        writebacks.add(conn, intent, ids=ids, now=now)     # `store.writebacks`, in the event's own transaction

None means that this environment sends nothing back for this event; nobody needs to ask beforehand.

A new channel is a member of `WritebackChannel`, its settings in `config/writeback_settings.py`, and a sender for it in
`carebell/writeback/`. The table, its states and this rule know a channel only as a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal


class WritebackEvent(StrEnum):
    """What happened here that the EHR may want to know."""

    CONFIRMED = "confirmed"
    CANNOT_COME = "cannot_come"
    CALL_ME = "call_me"
    TEXT_DELIVERED = "text_delivered"
    TEXT_FAILED = "text_failed"
    OPTED_OUT = "opted_out"
    WAITING = "waiting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    DEVICE_TEST = "device_test"
    VISIT_ENDED = "visit_ended"


class WritebackChannel(StrEnum):
    """The way to the EHR: HL7 v2 over MLLP, its FHIR server, or Epic's connection status."""

    HL7 = "hl7"
    FHIR = "fhir"
    EPIC_STATUS = "epic_status"


class WritebackState(StrEnum):
    """The state of a row of `writebacks`. The last five are final; a person may make any of them but `acknowledged` due again.

    due: waits for its turn, its time or the next attempt. sending: a node has it. acknowledged: the EHR took it.
    refused: the EHR does not want it. expired: nobody took it in time. superseded: a later one said the opposite before
    it was sent.
    unknown: sent, and nobody can say whether it arrived or ask again safely.
    """

    DUE = "due"
    SENDING = "sending"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


FINAL: Final = frozenset(WritebackState) - {WritebackState.DUE, WritebackState.SENDING}
FLAPPING: Final = frozenset({WritebackEvent.CONNECTED, WritebackEvent.DISCONNECTED})
"""A bad line connects and disconnects again and again: only the last state of `FLAP` goes back."""
FLAP: Final = timedelta(seconds=5)
FACTS: Final = frozenset(
    {
        "at", "by", "sms", "code", "browser", "steps", "started_at", "ended_at", "duration", "lobby_wait", "visit_code",
        "ask",
    }
)  # fmt: skip
"""The names that facts may have; none of them is for a patient's data.

at: when it happened, ISO 8601 (else the row's own time). by: patient, provider, guest or interpreter. sms: the outbox row's id.
code: the gateway's. browser: family and major version. steps: of the device test, step -> "ok" or a code. started_at, ended_at:
ISO 8601. duration, lobby_wait: seconds. visit_code: the visit's. ask: true where the EHR is asked to act (SRM).
"""
Fact = str | int | bool | None | Mapping[str, str]
UNTIL_START: Final = "until_start"
DEFAULT: Final = "default"
STORED: Final = "CA"
"""The EHR's first answer in enhanced mode: it stored the message, and its application may still refuse it."""
LATER_ANSWER: Final = "ACK"
"""How messages that answer what went back are named where received messages have a trigger event."""
RETRY_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackPolicy:
    """One environment's settings.

    Attributes:
        channels: event -> channel; an event that is not in it does not go back.
        retry_for: event or `default` -> for how long it is tried; `until_start`: until the visit begins.
    """

    channels: Mapping[WritebackEvent, WritebackChannel] = field(default_factory=lambda: MappingProxyType({}))
    retry_for: Mapping[str, timedelta | Literal["until_start"]] = field(default_factory=lambda: MappingProxyType({}))

    def channel_of(self, event: WritebackEvent) -> WritebackChannel | None:
        """None: it does not go back."""
        return self.channels.get(event)

    def expiry(self, event: WritebackEvent, start: datetime | None, now: datetime) -> datetime:
        """When it is given up, UTC. Without a start still to come, `until_start` is the default's time, or 24 hours."""
        lasts = self.retry_for.get(event.value, self.retry_for.get(DEFAULT, RETRY_FOR))
        if isinstance(lasts, timedelta):
            return now + lasts
        if start is not None and start > now:
            return start
        otherwise = self.retry_for.get(DEFAULT, RETRY_FOR)
        return now + (otherwise if isinstance(otherwise, timedelta) else RETRY_FOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackIntent:
    """A row to be. `store.writebacks.add` gives it its id.

    Attributes:
        event_seq: makes it one of its kind: the same appointment, event and number is never written twice. None: the next of the
            appointment, for callers that know by themselves that the event is new.
        facts: see `FACTS`.
        expires_at: after this it is not sent any more, UTC.
        not_before: it is not sent earlier, UTC.
    """

    environment: str
    appointment: str
    event: WritebackEvent
    event_seq: int | None
    channel: WritebackChannel
    facts: Mapping[str, Fact]
    expires_at: datetime
    not_before: datetime


def intend(
    policy: WritebackPolicy,
    event: WritebackEvent,
    *,
    environment: str,
    appointment: str,
    start: datetime | None,
    now: datetime,
    event_seq: int | None = None,
    facts: Mapping[str, Fact] | None = None,
) -> WritebackIntent | None:
    """What is to go back for this event; None: nothing.

    Args:
        appointment: `Appointment.id`. start: of the visit, UTC; None: unknown.
        now: when it happened, UTC.

    Raises:
        ValueError: a fact has a name that is not in `FACTS`.
    """
    channel = policy.channel_of(event)
    if channel is None:
        return None
    known = dict(facts or {})
    if unknown := known.keys() - FACTS:
        raise ValueError(f"facts that are not declared: {', '.join(sorted(unknown))}")
    return WritebackIntent(
        environment=environment,
        appointment=appointment,
        event=event,
        event_seq=event_seq,
        channel=channel,
        facts=MappingProxyType(known),
        expires_at=policy.expiry(event, start, now),
        not_before=now + FLAP if event in FLAPPING else now,
    )


def after_later_answer(state: WritebackState, answer: str | None, *, positive: bool) -> WritebackState | None:
    """The state to which the application's later answer leads; None: it changes nothing, because all is decided.

    It decides also what its CA was lost of, or what was given up: the EHR has it, whatever we know. A message that a person sends
    again after a refusal waits with the old answer: a refusal that was on its way then does not stop it.

    Args:
        answer: MSA-1 of the last answer that counted; None: there was none.
    """
    match state:
        case WritebackState.ACKNOWLEDGED:
            undecided = answer == STORED
        case WritebackState.DUE | WritebackState.EXPIRED:
            undecided = positive or answer is None
        case WritebackState.SENDING:
            undecided = True
        case _:
            undecided = False
    if not undecided:
        return None
    return WritebackState.ACKNOWLEDGED if positive else WritebackState.REFUSED
