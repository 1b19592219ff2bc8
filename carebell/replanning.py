"""A changed configuration re-plans what is pending: every appointment to come, page by page, beside the intake."""

from __future__ import annotations

from carebell.desk import Desk
from journal.events import Event
from journal.logs import Journal
from scheduler.clock import Clock
from scheduler.messages import State
from scheduler.plan import diff, plan
from store.engine import Store
from store.inbound import Save, save
from store.outbox import to_replan
from store.vault import Vault

PAGE = 200


def replan(store: Store, vault: Vault, clock: Clock, desk: Desk, journal: Journal) -> int:
    """Plan every pending appointment of one environment by its desk; how many had changes. Blocking: runs in a thread.

    Each page is a transaction of its own, so that messages are stored between two pages and nothing waits long.
    """
    after, seen, changed, planned, withdrawn = "", 0, 0, 0, 0
    while True:
        now = clock.now()
        with store.write() as conn:
            page = to_replan(conn, vault, desk.name, now, after=after, limit=PAGE)
            saves = []
            for found in page:
                made = plan(found.appointment, desk.policy, found.history, now, desk.blocked(found.appointment))
                rows = diff(made.desired, found.history)
                if not rows and made.appointment == found.appointment:
                    continue
                planned += sum(row.state is State.DUE for row in rows)
                withdrawn += sum(row.state is State.SUPPRESSED for row in rows)
                saves.append(
                    Save(
                        appointment=made.appointment, changes=rows, new_aliases=(), first_sight=False,
                        config_version=desk.config_version,
                    )
                )  # fmt: skip
            save(conn, vault, saves, [], now)
        seen, changed = seen + len(page), changed + len(saves)
        if len(page) < PAGE:
            break
        after = page[-1].appointment.id
    journal.emit(
        Event.REPLANNED, environment=desk.name, appointments=seen, planned=planned, withdrawn=withdrawn,
        configuration=desk.config_version,
    )  # fmt: skip
    return changed
