"""The life of a video visit: when its link is open, its states, and what moves it from one to the next; pure.

    planned ─> open ─> waiting ─> in_visit ─> ended
       └────────┴─────────┴──> canceled       no_show: staff came, and nobody else until the link ended

`planned` becomes `open` by the clock alone, so that nothing need be stored for it: `state_at` says what holds at an instant. Names
of states, roles and events stand in the database, the log and the interfaces: they never change.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

ASSUMED_DURATION: Final = timedelta(hours=1)
"""Of a visit whose message names none."""


class VisitState(StrEnum):
    """Where a visit stands."""

    PLANNED = "planned"  # its link is too early
    OPEN = "open"  # patients can come in; nobody waits
    WAITING = "waiting"  # somebody waits to be let in, or was let in and is on the way
    IN_VISIT = "in_visit"  # a patient or guest is, or was, in the meeting
    ENDED = "ended"
    CANCELED = "canceled"
    NO_SHOW = "no_show"  # a provider was in the meeting, and nobody else until the link ended

    @property
    def is_over(self) -> bool:
        return self in (VisitState.ENDED, VisitState.CANCELED, VisitState.NO_SHOW)


class VisitRole(StrEnum):
    """Whose link it is, or who did something. The last two have no link."""

    PATIENT = "patient"
    GUEST = "guest"
    INTERPRETER = "interpreter"
    PROVIDER = "provider"
    STAFF = "staff"  # somebody of the portal
    CAREBELL = "carebell"  # the feed or the clock, through Carebell


LINK_ROLES: Final = (VisitRole.PATIENT, VisitRole.GUEST, VisitRole.INTERPRETER, VisitRole.PROVIDER)


class VisitEventKind(StrEnum):
    """What happened in a visit: `visit_events.what`."""

    PLANNED = "planned"  # its link was made
    MOVED = "moved"  # another time; the link stays
    REGROUPED = "regrouped"  # into another group, or out of one: it takes place in another meeting
    CANCELED = "canceled"
    REBOOKED = "rebooked"  # canceled before, and booked again under the same id
    OPENED_TEST = "opened_test"  # the device test
    WAITING = "waiting"  # came into the waiting room
    LEFT_LOBBY = "left_lobby"  # went away, or its page was heard of no more
    PUT_OFF = "put_off"  # staff asked for some more minutes
    ADMITTED = "admitted"  # staff let somebody in
    CONNECTED = "connected"  # into the meeting
    DISCONNECTED = "disconnected"
    ENDED = "ended"  # the meeting, or the link's time
    REVOKED = "revoked"  # one link; the visit goes on


class VisitEventSource(StrEnum):
    """Where Carebell knows it from."""

    PAGE = "page"
    MEETING = "meeting"  # the meeting's own events
    REPORT = "report"  # the meeting's report after its end, which wins
    FEED = "feed"
    CLOCK = "clock"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitWindow:
    """When a link leads to its visit: from `opens_at` until before `ends_at`, UTC."""

    opens_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.ends_at <= self.opens_at:
            raise ValueError("a visit's link ends after it opens")


def window_of(
    start: datetime,
    *,
    zone: str,
    date_only: bool,
    duration: timedelta | None,
    opens: timedelta,
    ends_after: timedelta,
) -> VisitWindow:
    """When the link of a visit is open.

    Args:
        start: UTC. zone: the clinic's, IANA.
        date_only: only the day is known: the link is open for all of it.
        duration: None, or nothing: `ASSUMED_DURATION`.
        opens: so long before the start. ends_after: so long after the end.
    """
    if date_only:
        clock = ZoneInfo(zone)
        tomorrow = start.astimezone(clock).date() + timedelta(days=1)
        end = datetime.combine(tomorrow, time(), tzinfo=clock).astimezone(UTC)
    else:
        end = start + (duration or ASSUMED_DURATION)
    return VisitWindow(opens_at=start - opens, ends_at=end + ends_after)


def state_at(stored: VisitState, window: VisitWindow, now: datetime) -> VisitState:
    """What holds at `now`, UTC: the stored state, and what the clock alone makes of it.

    The end by the clock is `ended` here. Whether it was a `no_show` is decided once, by `end_by_clock`.
    """
    if stored.is_over:
        return stored
    if now >= window.ends_at:
        return VisitState.ENDED
    if stored is VisitState.IN_VISIT:
        return stored
    if now < window.opens_at:
        return VisitState.PLANNED
    return VisitState.OPEN if stored is VisitState.PLANNED else stored


def end_by_clock(stored: VisitState, connected: Collection[VisitRole]) -> VisitState:
    """The state of a visit whose link has ended.

    Args:
        connected: the roles that ever were in the meeting.
    """
    if stored.is_over:
        return stored
    came = set(connected)
    return VisitState.NO_SHOW if came == {VisitRole.PROVIDER} else VisitState.ENDED


def state_after(stored: VisitState, what: VisitEventKind, who: VisitRole, *, others_wait: bool = False) -> VisitState:
    """The state to store after an event. What happens to a canceled visit changes nothing; only the feed books it anew.

    Args:
        others_wait: somebody else is in the waiting room, where `what` is `left_lobby`.
    """
    kind = VisitEventKind
    if what is kind.CANCELED:
        return VisitState.CANCELED
    if what in (kind.REBOOKED, kind.PLANNED):
        return VisitState.PLANNED
    if stored is VisitState.CANCELED:
        return stored
    if what is kind.MOVED:
        # To another day after it was over: it is still to come.
        return VisitState.PLANNED if stored.is_over else stored
    if what is kind.ENDED:
        return stored if stored.is_over else VisitState.ENDED
    if what is kind.WAITING:
        return stored if stored is VisitState.IN_VISIT else VisitState.WAITING
    if what is kind.CONNECTED:
        return stored if who is VisitRole.PROVIDER else VisitState.IN_VISIT
    if what is kind.LEFT_LOBBY and stored is VisitState.WAITING and not others_wait:
        return VisitState.OPEN
    return stored
