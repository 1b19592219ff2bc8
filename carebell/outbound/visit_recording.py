"""Records what happens in a video visit: the event, the state that follows, and what goes back to the EHR, in one transaction.

with store.write() as conn:
    visit = recorder.begin(conn, visit_id)
    event = recorder.note(conn, visit, VisitEventKind.WAITING, at=now, who=VisitRole.PATIENT, source=VisitEventSource.PAGE)
recorder.log([event])                       # after the commit
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.visit_plans import changes_of
from journal.logs import Journal
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState
from scheduler.visit_times import visit_times
from scheduler.writeback import Fact, WritebackEvent, intend
from store import visits, writebacks
from store.engine import Transaction
from store.lock_order import lock_appointments
from store.visits import VideoVisit, VisitEvent

_GOES_BACK: Final = {
    VisitEventKind.WAITING: WritebackEvent.WAITING,
    VisitEventKind.CONNECTED: WritebackEvent.CONNECTED,
    VisitEventKind.DISCONNECTED: WritebackEvent.DISCONNECTED,
    VisitEventKind.ENDED: WritebackEvent.VISIT_ENDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRecorder:
    """Attributes:
    runtime_config: the configuration in force.
    control_ids: ids of what goes back (`carebell.ids.ControlIds`).
    """

    runtime_config: Callable[[], RuntimeConfig]
    control_ids: Callable[[], str]
    journal: Journal

    def begin(self, conn: Transaction, visit: str) -> VideoVisit | None:
        """The visit and its appointment, locked until the commit; None: there is none."""
        return self.begin_all(conn, [visit]).get(visit)

    def begin_all(self, conn: Transaction, ids: Iterable[str]) -> dict[str, VideoVisit]:
        """Several visits, locked in the one order."""
        known = visits.by_id(conn, list(ids))
        lock_appointments(conn, {visit.appointment for visit in known})
        return {visit.id: visit for visit in visits.lock_all(conn, [visit.id for visit in known])}

    def note(
        self,
        conn: Transaction,
        visit: VideoVisit,
        what: VisitEventKind,
        *,
        at: datetime,
        source: VisitEventSource,
        who: VisitRole = VisitRole.CAREBELL,
        ref: str | None = None,
        others_wait: bool = False,
        state: VisitState | None = None,
    ) -> VisitEvent:
        """Note an event of a visit that `begin` gave; arguments as `store.visits.append`. Not for what the feed changed."""
        event = visits.append(
            conn, visit, what, at=at, source=source, who=who, ref=ref, others_wait=others_wait, state=state
        )
        self._write_back(conn, visit, event)
        return event

    def log(self, events: Iterable[VisitEvent]) -> None:
        """The log's lines, after the commit."""
        self.journal.emit_all(changes_of(events))

    def _write_back(self, conn: Transaction, visit: VideoVisit, event: VisitEvent) -> None:
        goes_back = _GOES_BACK.get(event.what)
        policy = self.runtime_config().policies.get(visit.environment)
        if goes_back is None or policy is None:
            return
        facts: dict[str, Fact] = {"at": event.at.isoformat(), "visit_code": visit.code}
        if event.who not in (VisitRole.CAREBELL, VisitRole.STAFF):
            facts["by"] = event.who.value
        if event.what is VisitEventKind.ENDED:
            facts |= _times(conn, visit, event)
        intent = intend(
            policy.writeback,
            goes_back,
            environment=visit.environment,
            appointment=visit.appointment,
            start=visit.start,
            now=event.at,
            facts=facts,
        )
        if intent is not None:
            writebacks.add(conn, intent, ids=self.control_ids, now=event.at)


def _times(conn: Transaction, visit: VideoVisit, ended: VisitEvent) -> dict[str, Fact]:
    """When the visit began, how long it took, and how long somebody waited until they were let in: as the report says it, and only
    what is known."""
    signs = [visits.sign_of(event) for event in visits.events(conn, [visit.id])]
    times = visit_times(signs, ended.state or visit.state, in_group=visit.conference is not None)
    facts: dict[str, Fact] = {"ended_at": ended.at.isoformat()}
    if times.start is not None:
        facts["started_at"] = times.start.isoformat()
    if times.duration is not None:
        facts["duration"] = int(times.duration.total_seconds())
    if times.lobby_wait is not None:
        facts["lobby_wait"] = int(times.lobby_wait.total_seconds())
    return facts
