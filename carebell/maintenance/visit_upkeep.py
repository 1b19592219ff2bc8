"""What the clock does to video visits: who is heard of no more has left the waiting room, and a link's end ends its visit."""

from __future__ import annotations

from dataclasses import dataclass

from carebell.outbound.visit_recording import VisitRecorder
from scheduler.clock import Clock
from scheduler.visit_life import VisitEventKind, VisitEventSource, end_by_clock
from store import visit_devices, visit_links, visits
from store.engine import Store, Transaction
from store.visits import VisitEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitUpkeep:
    """Looks every few seconds; two small questions where nobody waits."""

    store: Store
    clock: Clock
    recorder: VisitRecorder

    def round(self) -> None:
        """Once. Blocking. Any number of nodes may do it: each visit is locked and looked at again."""
        now = self.clock.now()
        with self.store.read() as conn:
            gone, over = visit_devices.silent(conn, now), visits.over_now(conn, now)
        if not gone and not over:
            return
        with self.store.write() as conn:
            events = [*self._gone(conn, gone), *self._over(conn, over)]
        self.recorder.log(events)

    def _gone(self, conn: Transaction, silent: list[tuple[str, str]]) -> list[VisitEvent]:
        now, events = self.clock.now(), []
        locked = self.recorder.begin_all(conn, {visit for visit, _ in silent})
        for own_id, key in silent:
            visit = locked.get(own_id)
            if visit is None or not visit_devices.drop_silent(conn, key, now):
                continue
            link = next((link for link in visit_links.links(conn, own_id) if link.key == key), None)
            if link is not None:
                events.append(
                    self.recorder.note(
                        conn,
                        visit,
                        VisitEventKind.LEFT_LOBBY,
                        at=now,
                        who=link.role,
                        source=VisitEventSource.CLOCK,
                        ref=key,
                        others_wait=visit_devices.others_wait(conn, own_id, key, now),
                    )
                )
        return events

    def _over(self, conn: Transaction, over: list[str]) -> list[VisitEvent]:
        now, events = self.clock.now(), []
        for visit in self.recorder.begin_all(conn, over).values():
            if visit.state.is_over or visit.window.ends_at > now:
                continue  # another node was first, or the visit was moved
            events.append(
                self.recorder.note(
                    conn,
                    visit,
                    VisitEventKind.ENDED,
                    at=visits.last_left(conn, visit.id) or visit.window.ends_at,
                    source=VisitEventSource.CLOCK,
                    state=end_by_clock(visit.state, visits.ever_connected(conn, visit.id)),
                )
            )
        return events
