"""What meetings need of the clock: to be made ahead, to be over when nobody is in them any more, to be asked for their report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.meeting_recording import MeetingRecorder
from config.model import MeetingSettings
from journal.events.visits import MeetingReportUnread, MeetingUnavailable
from meetings.port import BEING_MADE, Meeting, MeetingFault, MeetingRequest, MeetingService
from scheduler.clock import Clock
from scheduler.meeting_times import EMPTY_FOR, still_there, times_of
from scheduler.visit_life import VisitEventKind, VisitEventSource
from store import meeting_places, visits
from store.engine import Transaction
from store.meeting_places import MeetingPlace
from store.visits import VideoVisit

AGAIN: Final = timedelta(minutes=1)
"""After a meeting could not be made, or gave no report, it is asked again so much later."""
SILENT: Final = timedelta(minutes=5)
"""So often a service is asked for the report of a visit that may still go on, if it says nothing by itself."""
LAST_CHANCE: Final = timedelta(minutes=10)
"""So long before a link ends, whose meeting is known no longer than that, the report is asked for in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingUpkeep:
    """Looks every few seconds. Any number of nodes may do it: each visit is locked and looked at again, and has one meeting.

    Attributes:
        service_of: an environment's settings -> who makes its meetings; None: nobody needs to.
        missed: is told that a meeting could not be made.
    """

    clock: Clock
    meetings: MeetingRecorder
    runtime_config: Callable[[], RuntimeConfig]
    service_of: Callable[[MeetingSettings], MeetingService | None] = lambda _settings: None
    missed: Callable[[], None] = lambda: None
    _later: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)

    def round(self) -> None:
        """Once. Blocking: it may ask other organisations' servers."""
        kinds = {
            name: policy.environment.visits.meeting
            for name, policy in self.runtime_config().policies.items()
            if policy.join_url is not None and _is_known(policy.environment.visits.meeting)
        }
        if not kinds:
            return
        now = self.clock.now()
        for known in [visit for visit, until in self._later.items() if until <= now]:
            del self._later[known]
        with self.meetings.store.read() as conn:
            running = visits.in_meetings(conn, list(kinds))
        for environment, settings in kinds.items():
            if settings.is_service:
                self._ask(environment, settings, now)
        for visit in running:
            self._look(visit)

    # Another organisation's server

    def _ask(self, environment: str, settings: MeetingSettings, now: datetime) -> None:
        with self.meetings.store.read() as conn:
            ahead = meeting_places.without_meeting(conn, environment, now, now + settings.create)
            over = meeting_places.unreported(conn, environment, now, now + LAST_CHANCE)
            begun = visits.by_id(conn, visits.in_meetings(conn, [environment]))
            emptied = [visit for visit in begun if not settings.tells or self._empty_since(conn, visit) is not None]
            held = {place.id: place for place in meeting_places.places_of(conn, emptied)}
        unmade = {place.id: place for place in ahead}
        places = {place.id: place for place in over} | held | unmade
        for own_id, place in places.items():
            if own_id in self._later:
                continue
            self._later[own_id] = now + (SILENT if own_id in held and not settings.tells else AGAIN)
            try:
                service = self.service_of(settings)
                if service is not None and own_id in unmade:
                    self._make(service, place)
                elif service is not None:
                    self._report(service, place)
            except MeetingFault as fault:
                if fault.code == BEING_MADE:
                    continue
                unread = MeetingReportUnread(environment=environment, appointment=place.reference, code=fault.code)
                missing = MeetingUnavailable(environment=environment, appointment=place.reference, code=fault.code)
                if own_id in unmade:
                    self.missed()
                self.meetings.recorder.journal.emit(missing if own_id in unmade else unread)

    def _make(self, service: MeetingService, place: MeetingPlace) -> None:
        service.create(MeetingRequest(visit=place.id, code=place.code, window=place.window, start=place.start))

    def _report(self, service: MeetingService, place: MeetingPlace) -> None:
        with self.meetings.store.read() as conn:
            ref = meeting_places.meeting_of(conn, self.meetings.vault, place)
        if ref is not None and service.owns(ref):
            reported = service.report(Meeting(visit=place.id, ref=ref), place.code)
            if reported:
                self.meetings.take(place.environment, reported)

    # Empty meetings

    def _empty_since(self, conn: Transaction, visit: VideoVisit) -> datetime | None:
        """Since when nobody of a visit is in a meeting in which both sides were; None: somebody is, or one side never came."""
        signs = [visits.sign_of(event) for event in visits.events(conn, [visit.id])]
        times = times_of(signs, in_group=visit.conference is not None)
        return times.left_at if times.both and not still_there(signs) else None

    def _look(self, own_id: str) -> None:
        with self.meetings.store.write() as conn:
            visit = self.meetings.recorder.begin(conn, own_id)
            if visit is None or visit.state.is_over:
                return
            since = self._empty_since(conn, visit)
            if since is None or self.clock.now() - since < EMPTY_FOR:
                return
            ended = self.meetings.recorder.note(
                conn, visit, VisitEventKind.ENDED, at=since, source=VisitEventSource.MEETING
            )
        self.meetings.recorder.log([ended])


def _is_known(settings: MeetingSettings) -> bool:
    """Whether anybody says who was in the meeting."""
    return settings.tells or settings.is_service
