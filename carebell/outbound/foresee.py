"""Foresee what a configuration would change about the texts that wait: planned again by `replan`, and not saved.

`carebell config preview` shows it before a configuration is put in force. The reload then does the same with the same code
(`replan.replan_environment`), except that it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from carebell.environment_policy import EnvironmentPolicy
from carebell.outbound.replan import replan, replan_page
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from store.appointment_repository import Save, StoredAppointment, load
from store.engine import Transaction
from store.vault import Vault


class Change(StrEnum):
    """What becomes of a text: a new one, or one that was not to be sent, waits; one that waited does not; one waits for another
    time."""

    PLANNED = "planned"
    WITHDRAWN = "withdrawn"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenChange:
    """One text that a configuration changes.

    Attributes:
        appointment: the hospital's reference.
        before, after: when it is due, UTC; None: it does not wait then.
        reason: why it is sent then, or not.
        is_last_reminder: it does not wait any more, and no other reminder of the visit waits then.
        not_instead: reminders (rule, reason) that the configuration asks for and that do not go either, of the last one.
    """

    change: Change
    environment: str
    appointment: str
    kind: SmsKind
    rule: str
    before: datetime | None
    after: datetime | None
    reason: Reason
    is_last_reminder: bool = False
    not_instead: tuple[tuple[str, Reason], ...] = ()

    @property
    def at(self) -> datetime:
        """The time by which it is counted: the new one, else the old one."""
        at = self.after or self.before
        assert at is not None  # a row that waits, or waited, has a time
        return at


def foresee(
    conn: Transaction,
    vault: Vault,
    policy: EnvironmentPolicy,
    now: datetime,
    on_appointments: Callable[[int], None] = lambda _: None,
) -> Iterator[ForeseenChange]:
    """Every text of the environment that this policy would change at `now`, UTC. Reads only.

    Args:
        conn: a transaction that may read; one snapshot for all pages.
        on_appointments: called with the number of appointments of each page, for progress.
    """
    after = ""
    while True:
        page = replan_page(conn, vault, policy, now, after=after, lock=False)
        for planned_anew in page.saves:
            yield from _changes_of(planned_anew, page.stored[planned_anew.appointment.id])
        on_appointments(len(page.stored))
        if page.is_last:
            return
        after = page.last


def foresee_appointments(
    conn: Transaction, vault: Vault, policy: EnvironmentPolicy, now: datetime, ids: Sequence[str]
) -> Iterator[ForeseenChange]:
    """As `foresee`, for these appointments of the environment alone."""
    for stored in load(conn, vault, list(ids), now, lock=False).values():
        planned_anew = replan(stored, policy, now)
        if planned_anew.changes:
            yield from _changes_of(planned_anew, stored)


def _changes_of(planned_anew: Save, stored: StoredAppointment) -> Iterator[ForeseenChange]:
    appointment = planned_anew.appointment
    return _changes(appointment.environment, appointment.reference, stored.history, planned_anew.changes)


def _changes(
    environment: str, appointment: str, history: Sequence[PlannedRow], changes: Sequence[PlannedRow]
) -> Iterator[ForeseenChange]:
    waiting = {row.identity: row.due for row in history if row.state is SmsState.DUE}
    planned = {row.identity: row for row in (*history, *changes)}
    unreminded = not any(row.kind is SmsKind.REMINDER and row.state is SmsState.DUE for row in planned.values())
    not_instead = tuple(
        (row.rule, row.reason)
        for row in changes
        if row.kind is SmsKind.REMINDER and row.state is SmsState.SUPPRESSED and row.identity not in waiting
    )
    for row in changes:
        before = waiting.get(row.identity)
        after = row.due if row.state is SmsState.DUE else None
        if before == after:
            continue  # it only expires at another time, or is not sent for another reason
        change = Change.MOVED if before and after else Change.PLANNED if after else Change.WITHDRAWN
        is_last = unreminded and row.kind is SmsKind.REMINDER and change is Change.WITHDRAWN
        yield ForeseenChange(
            change=change,
            environment=environment,
            appointment=appointment,
            kind=row.kind,
            rule=row.rule,
            before=before,
            after=after,
            reason=row.reason,
            is_last_reminder=is_last,
            not_instead=not_instead if is_last else (),
        )
