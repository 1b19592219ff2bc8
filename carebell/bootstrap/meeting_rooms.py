"""What the visits of a running service take place in: one meeting each, and every failure counted for the alarm."""

from __future__ import annotations

from carebell.bootstrap.running_service import RunningService
from carebell.outbound.meeting_kinds import meetings_of, service_of
from carebell.outbound.meeting_making import OneMeeting
from config.model import MeetingSettings
from meetings.port import Meetings, MeetingService


class MeetingRooms:
    """An environment's settings -> its meetings."""

    def __init__(self, running: RunningService) -> None:
        self._running = running

    def meetings(self, settings: MeetingSettings) -> Meetings:
        """Raises: MeetingFault."""
        return self.service(settings) or meetings_of(settings)

    def service(self, settings: MeetingSettings) -> MeetingService | None:
        """None: no other organisation's server makes them. Raises: MeetingFault."""
        rehearses = not self._running.loaded().configuration.gateway.is_live
        service = service_of(settings, rehearses=rehearses)
        if service is None:
            return None
        return OneMeeting(
            service=service, store=self._running.store, vault=self._running.vault, now=self._running.clock.now
        )
