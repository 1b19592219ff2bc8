"""`outbox` and `appointments`: what the database knows, phones masked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carebell.commands.open_store import opened
from carebell.commands.output import iso, print_json, print_table
from carebell.exits import UsageStop
from scheduler.messages import State
from store import appointments as store_appointments
from store import outbox as store_outbox
from store.outbox_row import OutboxRow


def outbox(
    config: Path | None, *, appointment: str | None, state: str | None, environment: str | None, as_json: bool
) -> None:
    """Rows in the order of their time."""
    wanted = _state(state)
    with opened(config) as one:
        now = one.now()
        with one.store.read() as conn:
            rows = list(store_outbox.rows(conn, environment=environment, appointment=appointment, state=wanted))
            masked = store_appointments.masked_phones(conn, one.vault, {row.appointment for row in rows}, now)
    shown = [_row(row, masked.get(row.appointment)) for row in rows]
    if as_json:
        for row in shown:
            print_json(row)
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
