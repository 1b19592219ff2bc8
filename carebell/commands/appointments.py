"""`appointments`: every appointment that is known, phones masked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import iso, no_rows, print_json, print_table
from carebell.commands.zones import Zones
from store import appointments as store_appointments


def appointments(config: Path | None, *, appointment: str | None, environment: str | None, as_json: bool) -> None:
    """Appointments as they stand."""
    with opened(config) as one:
        if environment is not None:
            environment_named(one.loaded, environment)
        now = one.now()
        with one.store.read() as conn:
            if appointment is not None:
                found: Sequence[store_appointments.Summary] = store_appointments.named(
                    conn, one.vault, appointment, now, environment=environment
                )
            else:
                found = list(store_appointments.listed(conn, one.vault, now, environment=environment))
    if as_json:
        for each in found:
            print_json(
                {
                    "environment": each.environment,
                    "appointment": each.reference,
                    "start": iso(each.start),
                    "status": each.status,
                    "revision": each.revision,
                    "phone": each.phone,
                    "purged_at": iso(each.purged_at),
                }
            )
        return
    zones = Zones(one.loaded)
    if found:
        print(zones.sentence({each.environment for each in found}))
    print_table(
        ["Start", "Environment", "Appointment", "Status", "Revision", "Phone", "Forgotten"],
        [
            (zones.clock(each.start, each.environment), each.environment, each.reference, each.status, each.revision,
             each.phone or "-", zones.clock(each.purged_at, each.environment))
            for each in found
        ],
        empty=no_rows(appointment, "no appointment is known"),
        first="Appointment",
    )  # fmt: skip
