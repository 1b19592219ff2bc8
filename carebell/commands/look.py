"""`outbox` and `appointments`: what the database knows, phones masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from carebell.commands.open_store import opened
from carebell.commands.output import iso, print_json, print_table
from carebell.commands.timeline import WHY, Entry, print_timeline, title_of
from carebell.exits import UsageStop
from carebell.wiring import one_environment
from config.load import Loaded
from notifier.outcomes import rule_of
from scheduler.messages import State
from store import appointments as store_appointments
from store import outbox as store_outbox
from store.outbox_row import OutboxRow


def outbox(
    config: Path | None, *, appointment: str | None, state: str | None, environment: str | None, as_json: bool
) -> None:
    """Rows in the order of their time; of one appointment, on a terminal, what happened as a timeline."""
    wanted = _state(state)
    with opened(config) as one:
        if environment is not None:
            one_environment(one.loaded, environment)
        now = one.now()
        with one.store.read() as conn:
            rows = list(store_outbox.rows(conn, environment=environment, appointment=appointment, state=wanted))
            masked = store_appointments.masked_phones(conn, one.vault, {row.appointment for row in rows}, now)
    shown = [_row(row, masked.get(row.appointment)) for row in rows]
    if as_json:
        for row in shown:
            print_json(row)
        return
    if appointment is not None:
        _print_story(rows, masked, one.loaded, empty=_nothing(appointment, "no texts, and no silences, are recorded"))
        return
    print_table(
        ["Due (UTC)", "Environment", "Appointment", "Text", "State", "Why", "Tries", "To"],
        [
            (row["due"] or "-", row["environment"], row["appointment"], f"{row['kind']} {row['rule']}", row["state"],
             row["reason"], row["attempts"], row["to"] or "-")
            for row in shown
        ],
        empty=_nothing(appointment, "no texts, and no silences, are recorded"),
    )  # fmt: skip


def _print_story(rows: Sequence[OutboxRow], masked: Mapping[str, str], loaded: Loaded, *, empty: str) -> None:
    """One timeline for each environment that knows the appointment."""
    environments = loaded.configuration.environments
    if not rows:
        print(empty)
    for name in dict.fromkeys(row.environment for row in rows):
        mine = [row for row in rows if row.environment == name]
        print(f"{mine[0].reference} in {name}.", end=" ")
        zone = environments[name].time_zone if name in environments else "UTC"
        print_timeline([_entry(row, masked.get(row.appointment), zone) for row in mine], zone, empty=empty)


def _entry(row: OutboxRow, to: str | None, zone: str) -> Entry:
    """A text and what became of it."""
    verdict = {State.SUPPRESSED: "did not go", State.DUE: "waits"}.get(row.state, row.state.value)
    notes = [f"{row.reason.value}: {WHY[row.reason]}"]
    if row.state is not State.SUPPRESSED:
        told = [f"to {to or 'a number that is forgotten'}"]
        told += [f"{word} {_clock(at, zone)}" for word, at in (("taken", row.sent_at), ("settled", row.final_at)) if at]
        told += [f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"] if row.attempts else []
        told += [f"{row.segments} segment{'' if row.segments == 1 else 's'}"] if row.segments else []
        notes.append(", ".join(told))
    if row.code is not None:
        notes.append(f"the gateway's code {row.code}: {rule_of(row.code).status.value}")
    if row.state is State.UNKNOWN:
        notes.append("nobody knows whether the gateway took it; it is looked up there and not sent blindly again")
    if row.state is State.DUE and row.next_attempt_at is not None and row.next_attempt_at != row.due:
        notes.append(f"not before {_clock(row.next_attempt_at, zone)}")
    return Entry(at=row.due, verdict=verdict, title=title_of(row.kind.value, row.rule), notes=tuple(notes))


def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %H:%M:%S}"


def _row(row: OutboxRow, to: str | None) -> dict[str, Any]:
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
        "to": to,
        "code": row.code,
        "expires": iso(row.expires),
        "sent_at": iso(row.sent_at),
        "final_at": iso(row.final_at),
        "segments": row.segments,
    }


def _state(written: str | None) -> State | None:
    if written is None:
        return None
    try:
        return State(written)
    except ValueError:
        raise UsageStop(f"--state: {written!r} is no state; there are {', '.join(State)}") from None


def appointments(config: Path | None, *, appointment: str | None, environment: str | None, as_json: bool) -> None:
    """Appointments as they stand."""
    with opened(config) as one:
        if environment is not None:
            one_environment(one.loaded, environment)
        now = one.now()
        with one.store.read() as conn:
            if appointment is not None:
                found: Sequence[store_appointments.Summary] = store_appointments.named(
                    conn, one.vault, appointment, now, environment=environment
                )
            else:
                found = list(store_appointments.listed(conn, one.vault, now, environment=environment))
    rows = [
        {
            "environment": each.environment,
            "appointment": each.reference,
            "start": iso(each.start),
            "status": each.life,
            "revision": each.revision,
            "phone": each.phone,
            "purged_at": iso(each.purged_at),
        }
        for each in found
    ]
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ["Start (UTC)", "Environment", "Appointment", "Status", "Revision", "Phone", "Forgotten (UTC)"],
        [
            (row["start"] or "-", row["environment"], row["appointment"], row["status"], row["revision"], row["phone"] or "-",
             row["purged_at"] or "-")
            for row in rows
        ],
        empty=_nothing(appointment, "no appointment is known"),
    )  # fmt: skip


def _nothing(appointment: str | None, sentence: str) -> str:
    if appointment is None:
        return sentence
    return f"{sentence} for {appointment}; did a message about it arrive? carebell logs --appointment {appointment}"
