"""`writeback`: what goes back to the EHR, why it did not, how a message looks; and to try one again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from carebell.bootstrap.components import environment_named, load
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened
from carebell.commands.output import no_rows, print_json, print_sentence, print_table
from carebell.exits import OK, REFUSED, Stop, UsageStop
from carebell.inquiries.writebacks import ExplainedWriteback, channel_shown, explained, explained_one, sample
from carebell.times import Zones, iso
from carebell.writeback.manual_retry import retry as retry_row
from ehr.messages import Unrenderable
from scheduler.clock import RealClock
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackState
from store import writeback_rows


def list_all(
    config: Path | None,
    *,
    environment: str | None,
    appointment: str | None,
    state: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Print the newest first."""
    only_state = _state(state)
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        with session.store.read() as conn:
            listed = explained(
                conn, session.loaded, environment=environment, appointment=appointment, state=only_state, limit=limit
            )
    if as_json:
        for shown in listed:
            print_json(_row(shown))
        return
    zones = Zones(session.loaded)
    if listed:
        print_sentence(zones.sentence({shown.row.environment for shown in listed}))
    print_table(
        ["Id", "Recorded", "Environment", "Appointment", "Event", "State", "Tries", "Why"],
        [
            (shown.row.id, zones.clock(shown.row.created_at, shown.row.environment), shown.row.environment,
             shown.reference, shown.row.event.value, shown.state, shown.row.attempts, shown.why or "-")
            for shown in listed
        ],
        empty=no_rows(appointment, "nothing went back to an EHR"),
        first="Appointment",
    )  # fmt: skip


def show(config: Path | None, name: str, *, environment: str | None, by: str, ask: bool, as_json: bool) -> None:
    """Print one write-back by its id, or the message that an event would make."""
    if name in {event.value for event in WritebackEvent}:
        _show_event(config, WritebackEvent(name), environment, by, ask, as_json)
        return
    with opened(config) as session, session.store.read() as conn:
        shown = explained_one(conn, session.loaded, name)
        zones = Zones(session.loaded)
    if shown is None:
        events = ", ".join(event.value for event in WritebackEvent)
        raise Stop(f"{name} is neither the id of a write-back nor an event; events are {events}")
    if as_json:
        print_json(_row(shown))
        return
    row = shown.row
    print_table(
        ["", ""],
        [
            ("Event", row.event.value), ("Environment", row.environment), ("Appointment", shown.reference),
            ("Channel", row.channel.value), ("State", shown.state), ("Why", shown.why or "-"),
            ("Tries", row.attempts), ("Recorded", zones.clock(row.created_at, row.environment)),
            ("Last try", zones.clock(row.sent_at, row.environment)),
            ("Next try", zones.clock(row.next_attempt_at, row.environment)),
            ("Given up", zones.clock(row.expires_at, row.environment)),
        ],
        empty="",
    )  # fmt: skip


def _show_event(
    config: Path | None, event: WritebackEvent, environment: str | None, by: str, ask: bool, as_json: bool
) -> None:
    if environment is None:
        raise UsageStop("--environment: name the environment whose out-map is meant")
    loaded = load(config)
    environment_named(loaded, environment)
    try:
        content = sample(loaded, environment, event, by=by, ask=ask, now=RealClock().now())
    except LookupError:
        raise Stop(f"environments.{environment}.writeback has no hl7, fhir or epic_status: nothing goes back") from None
    except Unrenderable as error:
        raise Stop(str(error)) from None
    channel = channel_shown(loaded, environment, event)
    if channel is not WritebackChannel.HL7:
        plan = json.loads(content)
        if as_json:
            print_json({"environment": environment, "event": event.value, "plan": plan})
        else:
            print(json.dumps(plan, indent=2, ensure_ascii=False))
        return
    lines = content.decode("utf-8").rstrip("\r").split("\r")
    if as_json:
        print_json({"environment": environment, "event": event.value, "segments": lines})
        return
    for line in lines:
        print(line)


def retry(config: Path | None, writeback_id: str, *, as_json: bool) -> int:
    """Make one due again; 1 if it is open already or acknowledged."""
    with interruptible() as progress, opened(config) as session:
        now = session.now()
        with session.store.write() as conn:
            row = writeback_rows.by_id(conn, writeback_id)
            if row is None:
                raise Stop(f"there is no write-back {writeback_id}; `carebell writeback list` has them")
            changed = retry_row(conn, session.loaded, session.author, row, at=now)
            progress.done = "it may be due again; `carebell writeback list` says"
        progress.done = f"{writeback_id} is due again" if changed else ""
    if as_json:
        print_json({"id": writeback_id, "was": row.state.value, "changed": changed})
    elif changed:
        print_sentence(f"{writeback_id} is due again")
    else:
        print_sentence(f"{writeback_id} is {row.state.value}: there is nothing to try again")
    return OK if changed else REFUSED


def _state(state: str | None) -> WritebackState | None:
    try:
        return None if state is None else WritebackState(state)
    except ValueError:
        states = ", ".join(known.value for known in WritebackState)
        raise UsageStop(f"--state: {state!r} is none of {states}") from None


def _row(shown: ExplainedWriteback) -> dict[str, Any]:
    row = shown.row
    return {
        "id": row.id,
        "environment": row.environment,
        "appointment": shown.reference,
        "event": row.event.value,
        "channel": row.channel.value,
        "state": shown.state,
        "why": shown.why,
        "attempts": row.attempts,
        "answer": row.answer,
        "code": row.code,
        "err3": row.err3,
        "created": iso(row.created_at),
        "sent": None if row.sent_at is None else iso(row.sent_at),
        "next": None if row.next_attempt_at is None else iso(row.next_attempt_at),
        "expires": iso(row.expires_at),
        "final": None if row.final_at is None else iso(row.final_at),
    }
