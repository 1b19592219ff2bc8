"""A confirmation that was claimed and did not leave: the patient was not told, and what was decided after the claim is put right.

The claim closes an appointment's window, because the patient is taken to know what the text says. Where the gateway certainly
took nothing (the row had changed, it refused for a passing reason, it was not reached), that is not so. The window is opened
again as it was, with the messages that came meanwhile counted in, and planned: a booking that was moved meanwhile is told once,
as a booking with its final time; one that was cancelled meanwhile is not told at all (sms.md, Debounce).

Everything happens in the transaction that makes the row due again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from carebell.desk import Desk, Offices
from scheduler.appointment import Appointment, Life
from scheduler.messages import Kind, State
from scheduler.plan import diff, plan
from scheduler.policy import Policy
from store.claims import Claimed
from store.engine import Transaction
from store.inbound import Found, Save, load, save
from store.vault import Vault


def reopen_windows(
    conn: Transaction, vault: Vault, offices: Offices, returned: Sequence[Claimed], now: datetime
) -> None:
    """Take back that the patients of these texts were told. Their rows are due again already; the commit is the caller's."""
    told = {one.row.appointment: one for one in returned if one.row.revision == one.appointment.window_revision}
    told = {owner: one for owner, one in told.items() if one.row.kind is not Kind.REMINDER}
    found = load(conn, vault, set(told), now, lock=True)
    saves = [
        _reopened(one, told[owner], desk, now)
        for owner, one in found.items()
        if (desk := offices.desks.get(one.appointment.environment)) is not None
    ]
    save(conn, vault, saves, [], now)


def _reopened(found: Found, returned: Claimed, desk: Desk, now: datetime) -> Save:
    mine = returned.row.past.identity
    history = [replace(past, state=State.DUE) if past.identity == mine else past for past in found.history]
    appointment = reopen(found.appointment, returned.appointment, desk.policy)
    made = plan(appointment, desk.policy, history, now, desk.blocked(appointment))
    return Save(
        appointment=made.appointment,
        changes=diff(made.desired, history),
        new_aliases=(),
        first_sight=False,
        config_version=desk.config_version,
    )


def reopen(present: Appointment, decided: Appointment, policy: Policy) -> Appointment:
    """The appointment as it would stand had the text not been claimed.

    Args:
        present: with the messages that came after the claim.
        decided: as the claim saw it, its window open.
    """
    told = decided.told
    silent = present.life in (Life.DELETED, Life.ENDED)
    if silent or present.visible(policy) == told:  # nothing to tell any more
        return replace(present, told=told, window_revision=None, window_due=None, window_text=False)
    return replace(present, told=told, window_revision=decided.window_revision)
