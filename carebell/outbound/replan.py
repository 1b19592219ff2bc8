"""Plans stored appointments again: one of them, or every one of an environment whose configuration changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime

from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig
from carebell.outbound.silences import events_of, silences_of
from journal.events.configuration import Replanned
from journal.logs import Journal
from scheduler.clock import Clock
from scheduler.sms import Reason, SmsKind, SmsState
from store.appointment_repository import Save, StoredAppointment, load, save
from store.engine import Store, Transaction
from store.outbox import to_replan
from store.outbox_row import OutboxRow
from store.vault import Vault

PAGE = 200
"""Appointments in one transaction."""


def replan(stored: StoredAppointment, policy: EnvironmentPolicy, now: datetime) -> Save:
    """What to save of a stored appointment after planning it again at `now` (UTC)."""
    replanned = policy.replan(stored.appointment, stored.history, now)
    return Save(
        appointment=replanned.appointment,
        changes=replanned.changes,
        new_aliases=(),
        is_new=False,
        config_version=policy.config_version,
    )


def replan_reminders(
    conn: Transaction, vault: Vault, runtime_config: RuntimeConfig, lost: Iterable[OutboxRow], now: datetime
) -> None:
    """Plan the appointments of confirmations that will not reach the patient again: a reminder that was `too_close` to such a
    text has its place back. The rows are settled already; the commit is the caller's."""
    ids = {row.appointment for row in lost if row.kind is not SmsKind.REMINDER}
    saves = [
        replan(stored, policy, now)
        for stored in load(conn, vault, ids, now, lock=True).values()
        if any(row.reason is Reason.TOO_CLOSE for row in stored.history)
        and (policy := runtime_config.policies.get(stored.appointment.environment)) is not None
    ]
    save(conn, vault, saves, [], now)


def replan_environment(
    store: Store,
    vault: Vault,
    clock: Clock,
    policy: EnvironmentPolicy,
    journal: Journal,
    seconds: Callable[[], float] = time.monotonic,
    ending: Callable[[], bool] = lambda: False,
) -> int:
    """Plan every future appointment of one environment again; how many had changes. Blocking: runs in a thread.

    Each page is a transaction of its own, so that messages are stored between two pages and nothing waits long.

    Args:
        seconds: a monotonic counter, for the log.

    Args:
        ending: whether the service ends: no more pages then.
    """
    began = seconds()
    after, appointments, changed, planned, withdrawn = "", 0, 0, 0, 0
    while True:
        now = clock.now()
        with store.write() as conn:
            page = to_replan(conn, vault, policy.name, now, after=after, limit=PAGE)
            saves = [
                replanned
                for stored in page
                if (replanned := replan(stored, policy, now)).changes or replanned.appointment != stored.appointment
            ]
            save(conn, vault, saves, [], now)
        histories = {stored.appointment.id: stored.history for stored in page}
        for planned_anew in saves:
            history = histories[planned_anew.appointment.id]
            silences = silences_of(planned_anew.appointment, history, planned_anew.changes)
            for event in events_of(silences, "configuration"):
                journal.emit(event)
        rows = [row for replanned in saves for row in replanned.changes]
        planned += sum(row.state is SmsState.DUE for row in rows)
        withdrawn += sum(row.state is SmsState.SUPPRESSED for row in rows)
        appointments, changed = appointments + len(page), changed + len(saves)
        if len(page) < PAGE or ending():
            break
        after = page[-1].appointment.id
    journal.emit(
        Replanned(
            environment=policy.name,
            appointments=appointments,
            planned=planned,
            withdrawn=withdrawn,
            seconds=round(seconds() - began, 2),
            configuration=policy.config_version,
        )
    )
    return changed
