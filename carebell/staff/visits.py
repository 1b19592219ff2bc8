"""What the page Visits asks for: who waits, and letting them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from carebell.bootstrap.running_service import RunningService
from carebell.outbound.visit_recording import VisitRecorder
from carebell.staff.people_context import author_of
from portal.pages.visits_page import WaitingRow
from portal.people import Browser, Session
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole
from store import audit, conferences, device_tests, visit_devices, visits
from store.audit import AuditAction
from store.conferences import Conference
from store.engine import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffVisits:
    """`portal.pages.visits_page.VisitsDesk` over the store."""

    running: RunningService
    recorder: VisitRecorder

    def waiting(self) -> Sequence[WaitingRow]:
        with self.running.store.read() as conn:
            waiting = visit_devices.waiting(conn, self.running.clock.now())
            known = {visit.id: visit for visit in visits.by_id(conn, {row.visit for row in waiting})}
            tested = device_tests.latest(conn, known)
            groups = conferences.by_id(conn, {visit.conference for visit in known.values() if visit.conference})
        return [
            WaitingRow(
                link=row.link,
                environment=row.environment,
                reference=known[row.visit].reference,
                role=row.role.value,
                start=known[row.visit].start,
                zone=ZoneInfo(known[row.visit].zone),
                since=row.since,
                admitted=row.admitted_at is not None,
                put_off=row.put_off_at is not None,
                device_test=tested[row.visit].words if row.visit in tested else None,
                group=known[row.visit].conference,
                conference=_reference(groups.get(known[row.visit].conference or "")),
            )
            for row in waiting
        ]

    def has_links(self) -> bool:
        return any(policy.join_url is not None for policy in self.running.runtime_config().policies.values())

    def let_in(self, by: Session, link: str, browser: Browser) -> bool:
        return self._answer(by, link, browser, visit_devices.admit, VisitEventKind.ADMITTED, AuditAction.VISIT_LET_IN)

    def put_off(self, by: Session, link: str, browser: Browser) -> bool:
        return self._answer(by, link, browser, visit_devices.put_off, VisitEventKind.PUT_OFF, AuditAction.VISIT_PUT_OFF)

    def _answer(
        self,
        by: Session,
        link: str,
        browser: Browser,
        act: Callable[..., bool],
        what: VisitEventKind,
        action: AuditAction,
    ) -> bool:
        """Answer whoever waits with this link; False: nobody does any more, or was let in."""
        now = self.running.clock.now()
        with self.running.store.write() as conn:
            own_id = _visit_of(conn, link, self.running)
            visit = None if own_id is None else self.recorder.begin(conn, own_id)
            if visit is None or not act(conn, visit.id, link, now):
                return False
            event = self.recorder.note(
                conn, visit, what, at=now, who=VisitRole.STAFF, source=VisitEventSource.PAGE, ref=link
            )
            audit.append(
                conn, author_of(by, browser), action, subject=visit.reference, environment=visit.environment, at=now
            )
        self.recorder.log([event])
        return True


def _reference(group: Conference | None) -> str | None:
    return None if group is None else group.reference


def _visit_of(conn: Transaction, link: str, running: RunningService) -> str | None:
    waiting = visit_devices.waiting(conn, running.clock.now())
    return next((row.visit for row in waiting if row.link == link), None)
