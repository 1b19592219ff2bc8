"""Which meetings an environment has: kind of `visits.meeting` -> what implements it. A new kind is a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from config.model import MeetingSettings
from meetings.link import LinkMeetings
from meetings.port import Meetings

_KINDS: Final[dict[str, Callable[[MeetingSettings], Meetings]]] = {
    "link": lambda settings: LinkMeetings(url=settings.url),
}


def meetings_of(settings: MeetingSettings) -> Meetings:
    """What a visit of an environment with these settings takes place in."""
    return _KINDS[settings.kind](settings)
