"""Patients of one group who are the first to come, at once, on both databases: one meeting is made, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from carebell.outbound.meeting_making import SETTLES, OneMeeting
from meetings.port import BEING_MADE, Meeting, MeetingEvent, MeetingFault, MeetingRequest
from scheduler.visit_life import VisitRole, VisitWindow
from store import meeting_places, visits
from store.engine import Store
from store.vault import Vault
from store.visit_planning import VisitPlan, keep
from tests.store.conftest import backend, migrated_file, postgresql, store, url, vault
from tests.store.samples import NOW, appointment, first, put

__all__ = ["backend", "migrated_file", "postgresql", "store", "url", "vault"]

PATIENTS = 4
WINDOW = VisitWindow(opens_at=NOW, ends_at=NOW + timedelta(hours=3))


@dataclass
class CountingService:
    """Makes a meeting with each call; `lost`: so many answers that do not arrive although it was made."""

    lost: int = 0
    made: list[str] = field(default_factory=list)

    @property
    def reports(self) -> bool:
        return True

    @property
    def returns_refs(self) -> bool:
        return False

    def owns(self, ref: str) -> bool:
        return ref.startswith("made ")

    def create(self, request: MeetingRequest) -> Meeting:
        if not (request.again and request.code in self.made):
            self.made.append(request.code)
        if self.lost:
            self.lost -= 1
            raise MeetingFault("api_timeout", may_help=True, unsure=True)
        return Meeting(visit=request.visit, ref=f"made {request.code}")

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        return f"https://meet.example/{meeting.ref.removeprefix('made ')}"

    def end(self, meeting: Meeting) -> None:
        raise AssertionError("nobody ends it")

    def report(self, meeting: Meeting, code: str) -> list[MeetingEvent] | None:
        return None


@pytest.mark.parametrize("lost", [0, 1])
def test_a_group_has_one_meeting_whoever_comes_first(store: Store, vault: Vault, lost: int) -> None:
    booked = [appointment(number) for number in range(1, PATIENTS + 1)]
    put(store, vault, [first(one) for one in booked])
    plans = [
        VisitPlan(
            environment=one.environment, appointment=one.id, window=WINDOW, kind="zoom", conference="G-77",
            day="2026-03-01",
        )
        for one in booked
    ]  # fmt: skip
    with store.write() as conn:
        keep(conn, vault, plans, NOW)
    service, clock = CountingService(lost=lost), [NOW]
    nodes = [OneMeeting(service=service, store=store, vault=vault, now=lambda: clock[0]) for _ in booked]
    together, faults = Barrier(PATIENTS), set[str]()

    def come(one: Any, node: OneMeeting) -> str | None:
        with store.read() as conn:
            visit = visits.named(conn, one.id)
            assert visit is not None
            place = meeting_places.place_of(conn, visit)
        request = MeetingRequest(visit=place.id, code=place.code, window=place.window, start=place.start)
        together.wait()
        try:
            return node.create(request).ref
        except MeetingFault as fault:
            faults.add(fault.code)
            return None

    with ThreadPoolExecutor(PATIENTS) as threads:
        at_once = list(threads.map(come, booked, nodes))
        clock[0] += SETTLES
        later = list(threads.map(come, booked, nodes))
        last = list(threads.map(come, booked, nodes))
    assert len(service.made) == 1
    refs = {f"made {service.made[0]}"}
    assert {ref for ref in (*at_once, *later) if ref is not None} <= refs
    assert set(last) == refs
    assert (set(at_once) == {None}) == bool(lost)
    assert faults <= ({BEING_MADE, "api_timeout"} if lost else {BEING_MADE})
