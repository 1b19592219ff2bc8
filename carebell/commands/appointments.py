"""`appointments`: every stored appointment, with masked telephone numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import no_rows, print_json, print_sentence, print_table
from carebell.inquiries.trace import looked_for
from carebell.times import Zones, iso
from store import appointments as store_appointments
from store.audit import AuditAction


def appointments(config: Path | None, *, appointment: str | None, environment: str | None, as_json: bool) -> None:
    """Print the appointments with their current values."""
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        now = session.now()
        with session.store.read() as conn:
            if appointment is not None:
                rows: Sequence[store_appointments.Summary] = store_appointments.named(
                    conn, session.vault, appointment, now, environment=environment
                )
            else:
                rows = list(store_appointments.listed(conn, session.vault, now, environment=environment))
        session.shown(
            AuditAction.VIEW_APPOINTMENTS,
            subject="all" if appointment is None else looked_for(appointment, known=bool(rows)),
            environment=environment,
            after=f"{len(rows)} appointments",
        )
    if as_json:
        for row in rows:
            print_json(
                {
                    "environment": row.environment,
                    "appointment": row.reference,
                    "start": iso(row.start),
                    "status": row.status,
                    "revision": row.revision,
                    "phone": row.phone,
                    "purged_at": iso(row.purged_at),
                }
            )
        return
    zones = Zones(session.loaded)
    if rows:
        print_sentence(zones.sentence({row.environment for row in rows}))
    print_table(
        ["Start", "Environment", "Appointment", "Status", "Revision", "Phone", "Forgotten"],
        [
            (
                zones.clock(row.start, row.environment),
                row.environment,
                row.reference,
                row.status,
                row.revision,
                row.phone or "-",
                zones.clock(row.purged_at, row.environment),
            )
            for row in rows
        ],
        empty=no_rows(appointment, "no appointment is known"),
        first="Appointment",
    )
