"""The health of this node, for load balancers (`/health`) and for Prometheus (`/metrics`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from carebell.maintenance.overdue import outbox_state
from carebell.maintenance.periodic import PeriodicTasks
from carebell.maintenance.supervisor import Supervisor
from journal.metrics import Metrics
from portal.health import Health, HealthPart
from scheduler.clock import Clock
from store import writeback_rows
from store.engine import Store
from store.faults import classify


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWorkers:
    """How many processes serve connections, how many should, and how often one was started again."""

    running: int = 1
    wanted: int = 1
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """Attributes:
    connections: listener -> open connections.
    listens: whether every listener that this node should have is up.
    workers: the processes that serve its connections; None: it has no listener.
    overdue_after: how late a text may be. senders: environment -> the sender of its texts.
    silent: EHRs that do not answer what goes back: environment -> attempts in a row.
    """

    store: Store
    clock: Clock
    metrics: Metrics
    supervisor: Supervisor
    periodic: PeriodicTasks
    connections: Callable[[], Mapping[str, int]]
    listens: Callable[[], bool]
    workers: Callable[[], RunningWorkers | None]
    overdue_after: Callable[[], timedelta]
    senders: Callable[[], Mapping[str, str]]
    silent: Callable[[], Mapping[str, int]] = dict

    async def health(self) -> Health:
        try:
            parts = await asyncio.to_thread(self._database)
        except Exception as error:
            fault = classify(error)
            parts = {"database": HealthPart(ok=False, detail={"code": fault.code if fault is not None else "INTERNAL"})}
        parts["listener"] = HealthPart(ok=self.listens(), detail={"connections": sum(self.connections().values())})
        workers = self.workers()
        if workers is not None:
            parts["workers"] = HealthPart(
                ok=workers.running == workers.wanted,
                needed=not workers.running,
                detail={"running": workers.running, "wanted": workers.wanted, "restarts": workers.restarts},
            )
        parts["tasks"] = self._tasks()
        return Health(live=True, parts=parts)

    def _tasks(self) -> HealthPart:
        """The background tasks. Without the committer nothing can be stored; the other tasks are only shown."""
        down, stalled = self.supervisor.down(), self.periodic.stalled()
        restarts = {name: background.restarts for name, background in self.supervisor.tasks.items()}
        detail = {"down": sorted(down), "stalled_seconds": stalled, "restarts": restarts}
        return HealthPart(ok=not down and not stalled, needed="committer" in down, detail=detail)

    def render(self) -> bytes:
        for listener, count in self.connections().items():
            self.metrics.connections.labels(listener).set(count)
        return self.metrics.render()

    def _database(self) -> dict[str, HealthPart]:
        now = self.clock.now()
        state = outbox_state(self.store, self.metrics, now)
        queue, contact = state.queue, state.contact
        detail = {
            "ready": queue.ready, "waiting": queue.waiting, "overdue": queue.overdue, "retrying": queue.retrying,
            "lag_seconds": queue.lag.total_seconds(),
        }  # fmt: skip
        answered = contact.answered_at
        gateway = {
            "stopped": list(state.stopped),
            "failures": contact.failures,
            "answered_seconds_ago": None if answered is None else round((now - answered).total_seconds(), 1),
        }
        return {
            "database": HealthPart(ok=True, detail={"backend": self.store.backend}),
            "dispatcher": HealthPart(
                ok=not state.is_late(self.overdue_after(), self.senders()), needed=False, detail=detail
            ),
            "gateway": HealthPart(ok=not state.stopped and not contact.failures, needed=False, detail=gateway),
            "writeback": self._writeback(now),
        }

    def _writeback(self, now: datetime) -> HealthPart:
        """What waits to go back to the EHRs. It is shown, and never makes the node unready."""
        with self.store.read() as conn:
            queues = writeback_rows.queue(conn)
        self.metrics.writebacks_waiting.clear()
        self.metrics.writeback_lag_seconds.clear()
        waiting = {}
        for queue in queues:
            lag = 0.0 if queue.oldest is None else round((now - queue.oldest).total_seconds(), 1)
            self.metrics.writebacks_waiting.labels(queue.environment, queue.channel.value).set(queue.waiting)
            self.metrics.writeback_lag_seconds.labels(queue.environment, queue.channel.value).set(lag)
            waiting[f"{queue.environment} {queue.channel.value}"] = {"waiting": queue.waiting, "lag_seconds": lag}
        silent = dict(self.silent())
        return HealthPart(ok=not silent, needed=False, detail={"waiting": waiting, "unanswered": silent})
