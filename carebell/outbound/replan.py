"""Plans stored appointments again: one of them, or every one of an environment whose configuration changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig
from carebell.outbound.silences import events_of, silences_of
from carebell.outbound.visit_plans import changes_of, keep_visits
from journal.events.base import Event
from journal.events.configuration import Replanned
from journal.events.shared import SmsIdentity
from journal.events.sms import ReminderReplanned, SilenceSource
from journal.logs import Journal
from scheduler.appointment import Appointment
from scheduler.clock import Clock
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
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
    conn: Transaction,
    vault: Vault,
    runtime_config: RuntimeConfig,
    settled: Iterable[OutboxRow],
    now: datetime,
    *,
    source: SilenceSource,
) -> list[Event]:
    """Plan the reminders again beside confirmations of which it is now known whether they reach the patient.

    A reminder that was `too_close` to a confirmation that will not reach the patient waits again. A reminder that waits beside a
    confirmation that arrived after all is `too_close`. The rows are settled already; the commit is the caller's.

    Args:
        settled: rows of any kind; only those of confirmations have an effect.
        source: what settled them.

    Returns:
        What changed, to be logged after the commit.
    """
    ids = {row.appointment for row in settled if row.kind.is_confirmation}
    stored_by_id = load(conn, vault, ids, now, lock=True, unreadable=set())
    saves: list[Save] = []
    events: list[Event] = []
    for stored in stored_by_id.values():
        policy = runtime_config.policies.get(stored.appointment.environment)
        if policy is None or not any(_depends_on_confirmations(row) for row in stored.history):
            continue
        replanned = replan(stored, policy, now)
        if not replanned.changes and replanned.appointment == stored.appointment:
            continue
        saves.append(replanned)
        events += _restored(replanned.appointment, stored.history, replanned.changes)
        events += events_of(silences_of(replanned.appointment, stored.history, replanned.changes), source)
    save(conn, vault, saves, [], now)
    return events


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderReplanner:
    """`replan_reminders` for what a report of the gateway settled. Called within the transaction of the report."""

    vault: Vault
    runtime_config: Callable[[], RuntimeConfig]

    def __call__(self, conn: Transaction, settled: Sequence[OutboxRow], now: datetime) -> list[Event]:
        return replan_reminders(conn, self.vault, self.runtime_config(), settled, now, source="gateway")


def _depends_on_confirmations(row: PlannedRow) -> bool:
    return row.kind is SmsKind.REMINDER and (row.state is SmsState.DUE or row.reason is Reason.TOO_CLOSE)


def _restored(
    appointment: Appointment, history: Sequence[PlannedRow], changes: Sequence[PlannedRow]
) -> list[ReminderReplanned]:
    """The log's line for each reminder that was `too_close` and waits again."""
    too_close = {row.identity for row in history if row.reason is Reason.TOO_CLOSE}
    return [
        ReminderReplanned(
            identity=SmsIdentity(
                environment=appointment.environment,
                appointment=appointment.reference,
                kind=row.kind,
                rule=row.rule,
                sms=None,
            ),
            revision=row.revision,
            due=row.due,
        )
        for row in changes
        if row.state is SmsState.DUE and row.identity in too_close
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplannedPage:
    """Attributes:
    stored: the appointments that were planned again. saves: what to save of those whose plan or state changes.
    last: the id of the last one. is_last: no page follows.
    """

    stored: dict[str, StoredAppointment]
    saves: list[Save]
    last: str
    is_last: bool

    @property
    def appointments(self) -> list[Appointment]:
        """All of them, as they are after it."""
        changed = {save.appointment.id: save.appointment for save in self.saves}
        return [changed.get(own_id, stored.appointment) for own_id, stored in self.stored.items()]


def replan_page(
    conn: Transaction, vault: Vault, policy: EnvironmentPolicy, now: datetime, *, after: str, lock: bool = True
) -> ReplannedPage:
    """Plan a page of an environment's appointments again. Nothing is saved: `carebell.outbound.foresee` only looks.

    Args:
        after: the last id of the page before; "" at first.
        lock: as `to_replan`.
    """
    page = to_replan(conn, vault, policy.name, now, after=after, limit=PAGE, lock=lock)
    saves = [
        replanned
        for stored in page
        if (replanned := replan(stored, policy, now)).changes or replanned.appointment != stored.appointment
    ]
    return ReplannedPage(
        stored={stored.appointment.id: stored for stored in page},
        saves=saves,
        last=page[-1].appointment.id if page else after,
        is_last=len(page) < PAGE,
    )


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
            page = replan_page(conn, vault, policy, now, after=after)
            save(conn, vault, page.saves, [], now)
            visit_events = keep_visits(conn, vault, {policy.name: policy}, page.appointments, now)
        journal.emit_all(changes_of(visit_events))
        for planned_anew in page.saves:
            history = page.stored[planned_anew.appointment.id].history
            silences = silences_of(planned_anew.appointment, history, planned_anew.changes)
            for event in events_of(silences, "configuration"):
                journal.emit(event)
        rows = [row for replanned in page.saves for row in replanned.changes]
        planned += sum(row.state is SmsState.DUE for row in rows)
        withdrawn += sum(row.state is SmsState.SUPPRESSED for row in rows)
        appointments, changed = appointments + len(page.stored), changed + len(page.saves)
        if page.is_last or ending():
            break
        after = page.last
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
