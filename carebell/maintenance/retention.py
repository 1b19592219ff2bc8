"""Forgetting, and looking after what nobody looks at: runs every few seconds, on one node at a time.

- A phone is gone when its visit begins or its cancellation is settled; at the day's end its key is destroyed; the files are cut.
- The restore marker beats, so that an old backup is noticed (`store.restore_detection`).
- Certificates that expire soon, or sign nothing any more, are told of once a day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell import authors
from carebell.maintenance.clock_guard import ClockGuard
from journal.events.retention import DayKeyDestroyed, PhoneForgotten, PurgeFinished
from journal.events.service import LeaseAcquired, LeaseLost
from journal.logs import Journal
from scheduler.clock import Clock
from store import attempts, audit, config_versions, forgetting, leases, restore_detection
from store.audit import AuditAction
from store.engine import Store
from store.vault import Vault

JOB: Final = "housekeeping"
LEASE: Final = timedelta(minutes=5)
PAGE: Final = 500
SWEEP_EVERY: Final = timedelta(minutes=10)
BEAT_EVERY: Final = timedelta(minutes=1)
AUDIT_EVERY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What one round forgot.

    `files_settled` False: SQLite's log was being read or written back and could not be truncated; the next round tries again.
    """

    appointments: int
    suppressed: int
    keys: int
    messages: int
    files_settled: bool


def forget_now(store: Store, vault: Vault, now: datetime, journal: Journal | None = None) -> Purged:
    """Forget everything that is due at `now`, in pages, and truncate the files."""
    appointments = suppressed = 0
    while True:
        with store.write() as conn:
            page = forgetting.forget_due(conn, now, limit=PAGE)
        for forgotten in page:
            appointments += 1
            suppressed += forgotten.suppressed
            if journal is not None:
                journal.emit(
                    PhoneForgotten(
                        environment=forgotten.environment,
                        appointment=forgotten.reference,
                        reason="due",
                        suppressed=forgotten.suppressed,
                    )
                )
        if len(page) < PAGE:
            break
    with store.write() as conn:
        swept = forgetting.sweep(conn, vault, now)
        attempts.forget_unfinished(conn, now)
    settled = forgetting.settle_files(store)
    return Purged(
        appointments=appointments,
        suppressed=suppressed,
        keys=swept.keys,
        messages=swept.messages,
        files_settled=settled,
    )


@dataclass(slots=True)
class _Sums:
    """What several rounds forgot."""

    appointments: int = 0
    suppressed: int = 0
    keys: int = 0

    def __bool__(self) -> bool:
        return bool(self.appointments or self.keys)

    def add(self, purged: Purged) -> None:
        self.appointments += purged.appointments
        self.suppressed += purged.suppressed
        self.keys += purged.keys

    def sentence(self) -> str:
        """As `carebell purge` writes it too."""
        return f"{self.appointments} appointments, {self.suppressed} waiting texts withdrawn, {self.keys} day keys"


class Retention:
    """The rounds of one node. Blocking: each `round()` runs in a thread.

    Args:
        marker: the restore marker's file, beside the key ring.
        forgotten: called with how many numbers were deleted.
        doubt: the guard against a clock that jumps ahead; None: a rehearsal's clock, which is always right.
        certificates: called once a day with `now`; it logs which of the senders' certificates expire or are unused.
        keep_audit: returns how long entries of the audit log are kept.
        seconds: a monotonic counter, for the log.
    """

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        clock: Clock,
        node: str,
        marker: Path,
        journal: Journal,
        certificates: Callable[[datetime], None],
        keep_audit: Callable[[], timedelta],
        forgotten: Callable[[int], None] = lambda _: None,
        doubt: ClockGuard | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._node = node
        self._marker = marker
        self._journal = journal
        self._certificates = certificates
        self._keep_audit = keep_audit
        self._forgotten = forgotten
        self._doubt = doubt
        self._seconds = seconds
        self._swept_at: datetime | None = None
        self._beat_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._unsettled = False
        self._had_the_job = False
        self._author = authors.housekeeping(node)
        self._unaudited = _Sums()
        self._audited_at: datetime | None = None
        self._pruned_at: datetime | None = None

    def round(self) -> None:
        """Do one round, if this node has the job."""
        now = self._clock.now()
        certain = now if self._doubt is None else self._doubt.time(now)
        self._beat(now)
        if not self._holds_the_job(now):
            return
        if self._due(self._swept_at, SWEEP_EVERY, certain) or self._unsettled or self._anything_to_forget(certain):
            began = self._seconds()
            purged = forget_now(self._store, self._vault, certain, self._journal)
            self._swept_at, self._unsettled = certain, not purged.files_settled
            self._unaudited.add(purged)
            self._forgotten(purged.appointments)
            if purged.keys:
                self._journal.emit(DayKeyDestroyed(count=purged.keys))
            if purged.appointments or purged.messages:
                self._journal.emit(
                    PurgeFinished(
                        appointments=purged.appointments,
                        messages=purged.messages,
                        count=purged.keys,
                        seconds=round(self._seconds() - began, 2),
                    )
                )
        if self._unaudited and self._due(self._audited_at, AUDIT_EVERY, now):
            self._audit(now)
        if self._due(self._pruned_at, timedelta(days=1), now):
            self._pruned_at = now
            self._prune_audit(now, certain)
        if self._due(self._looked_at, timedelta(days=1), now):
            self._looked_at = now
            self._certificates(now)

    def finish(self) -> None:
        """Before the service ends: record what was deleted since the last entry of the audit log."""
        if self._unaudited:
            self._audit(self._clock.now())

    def _audit(self, now: datetime) -> None:
        """One entry for what the rounds of an hour deleted; each appointment's own time stands with the appointment."""
        with self._store.write() as conn:
            audit.append(conn, self._author, AuditAction.PURGE, subject="due", after=self._unaudited.sentence(), at=now)
        self._unaudited, self._audited_at = _Sums(), now

    def _prune_audit(self, now: datetime, certain: datetime) -> None:
        """Delete entries and configuration versions that are older than the configuration keeps them."""
        with self._store.write() as conn:
            before = certain - self._keep_audit()
            config_versions.prune(conn, before=before, now=certain)
            audit.prune(conn, self._author, before=before, at=now)

    def _holds_the_job(self, now: datetime) -> bool:
        with self._store.write() as conn:
            acquired = leases.acquire(conn, JOB, self._node, now=now, lasts=LEASE)
        if acquired is not self._had_the_job:
            lease = LeaseAcquired(name=JOB, node=self._node) if acquired else LeaseLost(name=JOB, node=self._node)
            self._journal.emit(lease)
            self._had_the_job = acquired
        return acquired

    def _anything_to_forget(self, now: datetime) -> bool:
        with self._store.read() as conn:
            return forgetting.anything_due(conn, now)

    def _beat(self, now: datetime) -> None:
        """Raise the counter and write this node's own marker."""
        if not self._due(self._beat_at, BEAT_EVERY, now):
            return
        with self._store.write() as conn:
            pulse = restore_detection.beat(conn, now)
        restore_detection.remember(self._marker, pulse)
        self._beat_at = now

    @staticmethod
    def _due(last: datetime | None, every: timedelta, now: datetime) -> bool:
        return last is None or not last <= now < last + every
