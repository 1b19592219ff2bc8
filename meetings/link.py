"""Meetings of kind `link`: an address that the configuration makes for each visit, or that the message gave. Nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from meetings.port import Meeting, MeetingFault, MeetingRequest
from scheduler.visit_life import VisitRole, VisitWindow

_VISIT_CODE = "{visit_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMeetings:
    """Attributes:
    url: the address, with `{visit_code}` for the visit's own; None: the address of the message.
    """

    url: str | None

    @property
    def reports(self) -> bool:
        """An address says nothing of who is there."""
        return False

    @property
    def returns_refs(self) -> bool:
        """Nor of whom."""
        return False

    def create(self, request: MeetingRequest) -> Meeting:
        address = request.given if self.url is None else self.url.replace(_VISIT_CODE, request.code)
        if address is None:
            raise MeetingFault("no_address", may_help=True)  # a later message may give one
        return Meeting(visit=request.visit, ref=address)

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        return meeting.ref

    def end(self, meeting: Meeting) -> None:
        """Nobody can end what is only an address."""
