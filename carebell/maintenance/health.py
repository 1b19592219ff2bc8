"""How this node is: for load balancers (`/health`) and for Prometheus (`/metrics`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from carebell.maintenance.periodic import PeriodicTasks
from carebell.maintenance.supervisor import Supervisor
from journal.metrics import Metrics
from portal.health import Health, HealthPart
from scheduler.clock import Clock
from store import holds, outbox
from store.engine import Store
from store.faults import classify

_LAG_LIMIT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """Attributes:
    connections: listener -> open connections.
    listens: whether every listener that this node should have is up.
    """

    store: Store
    clock: Clock
    metrics: Metrics
    supervisor: Supervisor
    periodic: PeriodicTasks
    connections: Callable[[], Mapping[str, int]]
    listens: Callable[[], bool]

    async def health(self) -> Health:
        try:
            parts = await asyncio.to_thread(self._database)
        except Exception as error:
            fault = classify(error)
            parts = {"database": HealthPart(ok=False, detail={"code": fault.code if fault is not None else "INTERNAL"})}
        parts["listener"] = HealthPart(ok=self.listens(), detail={"connections": sum(self.connections().values())})
        parts["tasks"] = self._tasks()
        return Health(live=True, parts=parts)

    def _tasks(self) -> HealthPart:
        """What works in the background. Without the committer nothing can be stored; the others are shown."""
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
        with self.store.read() as conn:
            queue = outbox.queue(conn, now)
            breakers, held = holds.open_breakers(conn), holds.held(conn)
        self.metrics.lag_seconds.set(queue.lag.total_seconds())
        for state, count in queue.by_state.items():
            self.metrics.outbox_texts.labels(state.value).set(count)
        self.metrics.outbox_texts.labels("due").set(queue.waiting)
        detail = {"ready": queue.ready, "waiting": queue.waiting, "lag_seconds": queue.lag.total_seconds()}
        stopped = [f"{one.scope} {one.name}: {one.code}" for one in breakers] + [f"hold: {one.reason}" for one in held]
        return {
            "database": HealthPart(ok=True, detail={"backend": self.store.backend}),
            "dispatcher": HealthPart(ok=queue.lag < _LAG_LIMIT or bool(stopped), needed=False, detail=detail),
            "gateway": HealthPart(ok=not stopped, needed=False, detail={"stopped": stopped}),
        }
