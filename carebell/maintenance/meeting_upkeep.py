"""Ends visits whose meeting is over: both sides were in it, and nobody is for ten minutes. Times are the meeting's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.meeting_recording import MeetingRecorder, sign_of
from scheduler.clock import Clock
from scheduler.meeting_times import EMPTY_FOR, still_there, times_of
from scheduler.visit_life import VisitEventKind, VisitEventSource
from store import visits


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingUpkeep:
    """Looks every few seconds. Any number of nodes may do it: each visit is locked and looked at again."""

    clock: Clock
    meetings: MeetingRecorder
    runtime_config: Callable[[], RuntimeConfig]

    def round(self) -> None:
        """Once. Blocking."""
        reporting = [
            name
            for name, policy in self.runtime_config().policies.items()
            if policy.environment.visits.meeting.kind != "link"
        ]
        if not reporting:
            return
        with self.meetings.store.read() as conn:
            running = visits.in_meetings(conn, reporting)
        for visit in running:
            self._look(visit)

    def _look(self, own_id: str) -> None:
        with self.meetings.store.write() as conn:
            visit = self.meetings.recorder.begin(conn, own_id)
            if visit is None or visit.state.is_over:
                return
            signs = [sign_of(event) for event in visits.events(conn, [own_id])]
            times = times_of(signs)
            empty_since = times.left_at
            if empty_since is None or not times.both or still_there(signs):
                return
            if self.clock.now() - empty_since < EMPTY_FOR:
                return
            ended = self.meetings.recorder.note(
                conn, visit, VisitEventKind.ENDED, at=empty_since, source=VisitEventSource.MEETING
            )
        self.meetings.recorder.log([ended])
