"""`outbox`: every text that waits, was sent or was not sent, with its reason and a masked telephone number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import no_rows, print_json, print_sentence, print_table
from carebell.commands.timeline import TimelineEntry, print_timeline
from carebell.exits import UsageStop
from carebell.inquiries.outbox import ExplainedRow, explained
from carebell.inquiries.trace import looked_for
from carebell.sms_words import WHY, title_of
from carebell.times import Zones, iso
from notifier.gateways import failure_of
from scheduler.sms import SmsState
from store import outbox as store_outbox
from store.audit import AuditAction


def outbox(
    config: Path | None, *, appointment: str | None, state: str | None, environment: str | None, as_json: bool
) -> None:
    """Print the rows in the order of their time. For one appointment, on a terminal, print a timeline."""
    only_state = _state(state)
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        now = session.now()
        with session.store.read() as conn:
            rows = list(store_outbox.rows(conn, environment=environment, appointment=appointment, state=only_state))
            shown_rows = explained(conn, session, rows, now)
            known = appointment is not None and bool(store_outbox.ids_of(conn, appointment))
        session.shown(
            AuditAction.VIEW_OUTBOX,
            subject="all" if appointment is None else looked_for(appointment, known=known),
            environment=environment,
            after=f"{len(rows)} texts",
        )
    zones = Zones(session.loaded)
    if as_json:
        for shown_row in shown_rows:
            print_json(_row(shown_row))
        return
    empty = no_rows(appointment, "no texts are recorded")
    if appointment is not None:
        _print_story(shown_rows, zones, empty=empty)
        return
    if shown_rows:
        print_sentence(zones.sentence({row.environment for row in rows}))
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


def _print_story(shown_rows: Sequence[ExplainedRow], zones: Zones, *, empty: str) -> None:
    """One timeline for each environment that knows the appointment."""
    if not shown_rows:
        print_sentence(empty)
    for name in dict.fromkeys(shown_row.row.environment for shown_row in shown_rows):
        rows_there = [shown_row for shown_row in shown_rows if shown_row.row.environment == name]
        print(f"{rows_there[0].row.reference} in {name}.", end=" ")
        zone = zones.of(name)
        print_timeline([_entry(shown_row, zone) for shown_row in rows_there], zone, empty=empty)


def _entry(shown_row: ExplainedRow, zone: str) -> TimelineEntry:
    """A text and its outcome."""
    row, to = shown_row.row, shown_row.to
    verdict = {SmsState.SUPPRESSED: "did not go", SmsState.DUE: "waits"}.get(row.state, row.state.value)
    if shown_row.will_not_go:
        verdict = "will not go"
    notes = [f"{row.reason.value}: {shown_row.cap_text or WHY[row.reason]}"]
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
        notes.append(
            "it is not known whether the gateway took it; it is looked up there, and not sent again before that"
        )
    if shown_row.waiting is not None:
        notes.append(shown_row.waiting.text)
    return TimelineEntry(at=row.due, verdict=verdict, title=title_of(row.kind.value, row.rule), notes=tuple(notes))


def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %H:%M:%S}"


def _row(shown_row: ExplainedRow) -> dict[str, Any]:
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
        "cap": None if shown_row.cap is None else shown_row.cap.value,
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
        raise UsageStop(f"--state: {written!r} is not a state; there are {', '.join(SmsState)}") from None
