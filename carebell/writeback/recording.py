"""Records what became of a write-back: its row, its line in the log, its count. Blocking; called in threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from carebell.writeback.lines import WritebackTarget
from carebell.writeback.pacing import pause_after
from ehr.acknowledgements import EngineVerdict
from ehr.delivery import Delivery
from journal.events.writebacks import (
    WritebackAcknowledged,
    WritebackBlocked,
    WritebackDoubtful,
    WritebackExpired,
    WritebackIdentity,
    WritebackRefused,
    WritebackRetried,
)
from journal.logs import Journal
from journal.metrics import Metrics
from scheduler.clock import Clock
from store import writeback_rows, writebacks
from store.engine import Store, Transaction
from store.writeback_rows import VisitNames, WritebackRow


def identity_of(row: WritebackRow, visits: Mapping[str, VisitNames]) -> WritebackIdentity:
    """How the log names a row."""
    visit = visits.get(row.appointment)
    return WritebackIdentity(
        environment=row.environment,
        appointment="" if visit is None else visit.reference,
        writeback=row.id,
        about=row.event,
        channel=row.channel,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackRecorder:
    """Attributes:
    chance: a random number from 0 to 1, for the pauses.
    """

    store: Store
    clock: Clock
    journal: Journal
    metrics: Metrics
    chance: Callable[[], float]

    def give_up(self, now: datetime) -> None:
        """Name those whose time is over, and make those due again whose node is gone."""
        with self.store.write() as conn:
            lost = writebacks.expire_leases(conn, now)
            expired = writebacks.expire(conn, now)
            visits = writeback_rows.visits_of(conn, {row.appointment for row in (*lost, *expired)})
        for row in lost:
            self._log_retry(row, identity_of(row, visits), None, "LEASE", now)
        for row in expired:
            self._count(row, "expired", row.code)
            self.journal.emit(WritebackExpired(identity=identity_of(row, visits), attempt=row.attempts, code=row.code))

    def unanswered(self, row: WritebackRow, identity: WritebackIdentity, code: str, *, at_once: bool = False) -> None:
        """There was no answer that counts.

        Args:
            at_once: it may be sent again now; the service is ending.
        """
        self._try_again(row, identity, None, code, at_once)

    def unrenderable(self, conn: Transaction, row: WritebackRow, code: str, now: datetime) -> None:
        """There can be no message for it. The caller commits, then calls `log_refused`."""
        writebacks.refused(conn, row.id, row.attempts, at=now, answer=None, code=code)

    def log_refused(
        self, row: WritebackRow, identity: WritebackIdentity, code: str, answer: Delivery | None = None
    ) -> None:
        said, err3 = (None, None) if answer is None else (answer.answer, answer.issue)
        self._count(row, "refused", err3 or code)
        self.journal.emit(WritebackRefused(identity=identity, attempt=row.attempts, answer=said, code=code, err3=err3))

    def answered(
        self,
        target: WritebackTarget,
        row: WritebackRow,
        identity: WritebackIdentity,
        delivery: Delivery,
        *,
        milliseconds: float,
        was_silent: bool,
    ) -> None:
        """Record the EHR's answer.

        Args:
            was_silent: it had not answered before: what waited because of that is due now.
        """
        now, verdict, answer = self.clock.now(), delivery.verdict, delivery.answer or "NONE"
        code = delivery.code or answer
        done = False
        with self.store.write() as conn:
            if verdict is EngineVerdict.TAKEN:
                done = writebacks.acknowledged(conn, row.id, row.attempts, at=now, answer=answer, code=delivery.code)
            elif verdict is EngineVerdict.REFUSED:
                done = writebacks.refused(
                    conn, row.id, row.attempts, at=now, answer=delivery.answer, code=code, err3=delivery.issue
                )
            elif verdict is EngineVerdict.UNKNOWN:
                done = writebacks.doubtful(conn, row.id, row.attempts, at=now, code=code)
            if was_silent:
                writebacks.hurry(conn, target.environment, target.channel, now)
        if verdict is EngineVerdict.AGAIN:
            self._try_again(row, identity, delivery, code)
        elif done and verdict is EngineVerdict.TAKEN:
            self._count(row, "acknowledged", None)
            self.journal.emit(
                WritebackAcknowledged(identity=identity, attempt=row.attempts, answer=answer, milliseconds=milliseconds)
            )
        elif done and verdict is EngineVerdict.UNKNOWN:
            self._count(row, "unknown", code)
            self.journal.emit(WritebackDoubtful(identity=identity, attempt=row.attempts, code=code))
        elif done:
            self.log_refused(row, identity, code, delivery)
            if target.strict:
                self.journal.emit(WritebackBlocked(identity=identity, code=delivery.issue or code))

    def _try_again(
        self,
        row: WritebackRow,
        identity: WritebackIdentity,
        answer: Delivery | None,
        code: str,
        at_once: bool = False,
    ) -> None:
        now = self.clock.now()
        pause = pause_after(row.attempts, self.chance())
        if answer is not None and answer.wait is not None:
            pause = max(pause, answer.wait)
        next_at = now if at_once else now + pause
        said, err3 = (None, None) if answer is None else (answer.answer, answer.issue)
        with self.store.write() as conn:
            done = writebacks.retry(conn, row.id, row.attempts, until=next_at, code=code, answer=said, err3=err3)
        if done:
            self._log_retry(row, identity, answer, code, next_at)

    def _log_retry(
        self,
        row: WritebackRow,
        identity: WritebackIdentity,
        answer: Delivery | None,
        code: str,
        next_at: datetime,
    ) -> None:
        said, err3 = (None, None) if answer is None else (answer.answer, answer.issue)
        self.journal.emit(
            WritebackRetried(
                identity=identity, attempt=row.attempts, answer=said, code=code, err3=err3, next_at=next_at
            )
        )

    def _count(self, row: WritebackRow, state: str, code: str | None) -> None:
        self.metrics.writebacks.labels(row.environment, row.event.value, state, code or "").inc()
