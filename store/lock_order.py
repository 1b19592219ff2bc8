"""The order in which transactions lock rows on PostgreSQL, so that none waits in a circle. SQLite has one writer at a time.

1. rates, then breakers: the claim alone, in the order of their names. All that it locks after them it takes only where nobody
   has it (SKIP LOCKED), so from there on it waits for nobody.
2. appointments, in the order of their ids: `appointment_repository.find` on the way in; `lock_appointments` before the answer
   of a gateway is written, a webhook or the result of a look-up.
3. the rows of the outbox, only those of appointments that the transaction has locked. Whoever changes rows of the outbox
   without their appointments (leases that are over, old phone keys) skips those that somebody has.
4. video visits, by id, then groups of them (`conferences`), by key, then links and the pages that are open. What a patient does
   on a page locks the visit, after its appointment where something goes back to the EHR: the rows of `writebacks` are added with
   their appointment locked, and claimed only where nobody has them. Later answers of the EHR lock theirs by id, after the
   appointments; the record of an attempt locks its own row first, and then only what nobody has.
5. the portal's: users, by id; throttles, by scope and key; sessions; invitations; proposals. No transaction has them and
   appointments or texts.
6. everything else: aliases, replay memory, patients' replies, opt-outs, breakers, `meta`, each in the order of its key.
7. the head of the audit log: whoever has it waits for nobody else, so the entries of a transaction are written at its end.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select

from store.prepared import Prepared, any_of, list_value
from store.tables import appointments


def lock_appointments(conn: Connection, ids: Collection[str]) -> None:
    """Wait for these and keep them until the commit. On SQLite the transaction has everything already."""
    if ids and conn.dialect.name != "sqlite":
        _LOCKED.fetch(conn, (list_value(conn, sorted(ids)),))


_LOCKED: Final = Prepared(
    lambda dialect: (
        select(appointments.c.id)
        .where(any_of(dialect, appointments.c.id, "ids"))
        .order_by(appointments.c.id)
        .with_for_update()
    ),
    ("ids",),
)
