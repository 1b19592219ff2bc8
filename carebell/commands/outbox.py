"""`outbox`: every text that waits or has gone, and every silence, with its reason; phones masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import ALIVE, opened
from carebell.commands.output import iso, no_rows, print_json, print_table
from carebell.commands.timeline import WHY, TimelineEntry, print_timeline, title_of
from carebell.commands.wait_explainer import WaitExplainer, Waiting
from carebell.commands.zones import Zones
from carebell.exits import UsageStop
from config.load import Loaded
from notifier.gateways import failure_of
from parser.phone import PhoneNumber
from scheduler.sms import SmsState
from store import appointments as store_appointments
from store import holds, leases
from store import outbox as store_outbox
from store.engine import Transaction
from store.outbox_row import OutboxRow


def outbox(
    config: Path | None, *, appointment: str | None, state: str | None, environment: str | None, as_json: bool
) -> None:
    """Rows in the order of their time; of one appointment, on a terminal, what happened as a timeline."""
    only_state = _state(state)
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        now = session.now()
        with session.store.read() as conn:
            rows = list(store_outbox.rows(conn, environment=environment, appointment=appointment, state=only_state))
            masked = store_appointments.masked_phones(conn, session.vault, {row.appointment for row in rows}, now)
            zones = Zones(session.loaded)
            explainer = _wait_explainer(conn, zones, now)
    shown_rows = [
        _ShownRow(
            row=row,
            to=_recipient(row, masked.get(row.appointment), session.loaded),
            waiting=_waiting(row, session.loaded, explainer),
        )
        for row in rows
    ]
    if as_json:
        for shown_row in shown_rows:
            print_json(_row(shown_row))
        return
    empty = no_rows(appointment, "no texts, and no silences, are recorded")
    if appointment is not None:
        _print_story(shown_rows, zones, empty=empty)
        return
    if shown_rows:
        print(zones.sentence({row.environment for row in rows}))
    print_table(
        ["Due", "Environment", "Appointment", "Text", "State", "Why", "Tries", "To"],
        [
            (zones.clock(row.due, row.environment), row.environment, row.reference, title_of(row.kind.value, row.rule),
             row.state.value, shown_row.why, row.attempts, shown_row.to or "-")
            for row, shown_row in zip(rows, shown_rows, strict=True)
        ],
        empty=empty,
        first="Appointment",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _ShownRow:
    """A row of the outbox, whom it goes to (masked) and, where it is due, what it waits for."""

    row: OutboxRow
    to: str | None
    waiting: Waiting | None

    @property
    def why(self) -> str:
        return self.row.reason.value if self.waiting is None else self.waiting.text


def _wait_explainer(conn: Transaction, zones: Zones, now: datetime) -> WaitExplainer:
    alive = [node for node in leases.seen(conn, since=now - ALIVE) if "dispatcher" in node.roles]
    rehearsed = abs(now - datetime.now(UTC)) > ALIVE  # its clock runs on when its service does not
    return WaitExplainer(
        now=now, holds=holds.held(conn), breakers=holds.open_breakers(conn),
        dispatching=None if rehearsed else bool(alive), clock=zones.clock,
    )  # fmt: skip


def _recipient(row: OutboxRow, patient: str | None, loaded: Loaded) -> str | None:
    """Where the text goes, masked: a test environment may send everything to one number. None: forgotten, or never known."""
    environment = loaded.configuration.environments.get(row.environment)
    forced = None if environment is None else environment.sms.force_to
    if patient is None or forced is None or row.state is SmsState.SUPPRESSED:
        return patient
    return PhoneNumber(forced).masked


def _waiting(row: OutboxRow, loaded: Loaded, explainer: WaitExplainer) -> Waiting | None:
    if row.state is not SmsState.DUE:
        return None
    return explainer.why(row, loaded.configuration.environments.get(row.environment))


def _print_story(shown_rows: Sequence[_ShownRow], zones: Zones, *, empty: str) -> None:
    """One timeline for each environment that knows the appointment."""
    if not shown_rows:
        print(empty)
    for name in dict.fromkeys(shown_row.row.environment for shown_row in shown_rows):
        rows_there = [shown_row for shown_row in shown_rows if shown_row.row.environment == name]
        print(f"{rows_there[0].row.reference} in {name}.", end=" ")
        zone = zones.of(name)
        print_timeline([_entry(shown_row, zone) for shown_row in rows_there], zone, empty=empty)


def _entry(shown_row: _ShownRow, zone: str) -> TimelineEntry:
    """A text and what became of it."""
    row, to = shown_row.row, shown_row.to
    verdict = {SmsState.SUPPRESSED: "did not go", SmsState.DUE: "waits"}.get(row.state, row.state.value)
    notes = [f"{row.reason.value}: {WHY[row.reason]}"]
    if row.state is not SmsState.SUPPRESSED:
        texts = [f"to {to or 'a number that is forgotten'}"]
        texts += [
            f"{word} {_clock(at, zone)}" for word, at in (("taken", row.sent_at), ("settled", row.final_at)) if at
        ]
        texts += [f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"] if row.attempts else []
        texts += [f"{row.segments} segment{'' if row.segments == 1 else 's'}"] if row.segments else []
        notes.append(", ".join(texts))
    if row.code is not None:
        notes.append(f"the gateway's code {row.code}: {failure_of(row.code).status.value}")
    if row.state is SmsState.UNKNOWN:
        notes.append("nobody knows whether the gateway took it; it is looked up there and not sent blindly again")
    if shown_row.waiting is not None:
        notes.append(shown_row.waiting.text)
    return TimelineEntry(at=row.due, verdict=verdict, title=title_of(row.kind.value, row.rule), notes=tuple(notes))


def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %H:%M:%S}"


def _row(shown_row: _ShownRow) -> dict[str, Any]:
    row = shown_row.row
    return {
        "id": row.id,
        "environment": row.environment,
        "appointment": row.reference,
        "kind": row.kind.value,
        "rule": row.rule,
        "revision": row.revision,
        "due": iso(row.due),
        "state": row.state.value,
        "reason": row.reason.value,
        "attempts": row.attempts,
        "sid": row.sid,
        "to": shown_row.to,
        "waits": None if shown_row.waiting is None else shown_row.waiting.wait.value,
        "code": row.code,
        "expires": iso(row.expires),
        "sent_at": iso(row.sent_at),
        "final_at": iso(row.final_at),
        "segments": row.segments,
    }


def _state(written: str | None) -> SmsState | None:
    if written is None:
        return None
    try:
        return SmsState(written)
    except ValueError:
        raise UsageStop(f"--state: {written!r} is no state; there are {', '.join(SmsState)}") from None
