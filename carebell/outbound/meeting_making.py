"""One meeting for each visit, or group of visits, however often and from wherever it is asked for.

    lease for the visit ─> its stored reference ─> otherwise: create, outside of any transaction ─> store the reference, sealed

A second caller meanwhile is told that the room is being made. If the answer did not reach us, the service may have made the
meeting all the same: the lease stays for a moment, and the next attempt finds that meeting instead of making another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from meetings.port import BEING_MADE, Meeting, MeetingEvent, MeetingFault, MeetingRequest, MeetingService
from scheduler.visit_life import VisitRole, VisitWindow
from store import leases, meeting_places
from store.engine import Store
from store.vault import Vault

TAKES: Final = timedelta(minutes=2)
"""At most, with every page of a list at its deadline."""
SETTLES: Final = timedelta(seconds=15)
"""After an answer that did not come the service may still be at it: nobody asks for the visit's meeting for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneMeeting:
    """`meetings.port.MeetingService` over another one, with what is stored of a visit or group."""

    service: MeetingService
    store: Store
    vault: Vault
    now: Callable[[], datetime]
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def reports(self) -> bool:
        return self.service.reports

    @property
    def returns_refs(self) -> bool:
        return self.service.returns_refs

    def owns(self, ref: str) -> bool:
        return self.service.owns(ref)

    def create(self, request: MeetingRequest) -> Meeting:
        if request.given is not None and self.owns(request.given):
            return Meeting(visit=request.visit, ref=request.given)
        job = f"meeting {request.visit}"
        holder = f"{self.holder}-{secrets.token_hex(8)}"  # a thread of this process is another caller, too
        with self.store.write() as conn:
            again = leases.is_known(conn, job)
            if not leases.acquire(conn, job, holder, now=self.now(), lasts=TAKES):
                raise MeetingFault(BEING_MADE, may_help=True)
            place = meeting_places.by_id(conn, request.visit)
            stored = None if place is None else meeting_places.meeting_of(conn, self.vault, place)
            if stored is not None and self.owns(stored):
                leases.release(conn, job, holder)
                return Meeting(visit=request.visit, ref=stored)
        try:
            meeting = self.service.create(replace(request, again=again))
        except MeetingFault as fault:
            with self.store.write() as conn:
                if fault.unsure:
                    leases.acquire(conn, job, holder, now=self.now(), lasts=SETTLES)
                else:
                    leases.release(conn, job, holder)
            raise
        with self.store.write() as conn:
            place = meeting_places.locked(conn, request.visit)
            if place is not None:
                meeting_places.set_meeting(conn, self.vault, place, meeting.ref)
            leases.release(conn, job, holder)
        return meeting

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        return self.service.join_url(meeting, role, now, ref, own)

    def end(self, meeting: Meeting) -> None:
        self.service.end(meeting)

    def report(self, meeting: Meeting, code: str) -> list[MeetingEvent] | None:
        return self.service.report(meeting, code)
