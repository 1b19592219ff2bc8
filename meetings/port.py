"""The port for meetings: what Carebell asks of whatever a video visit takes place in.

    meetings.create(visit)                 # idempotent by the visit's id; may be called again after a fault
    meetings.join_url(meeting, role, now)  # for one person, at the moment in which they go
    meetings.end(meeting)

A new kind is a module here with these three methods, its settings in `config/visit_settings.py`, and a line in
`carebell/outbound/meeting_kinds.py`. Pages, links and events need no change. Methods are blocking: they are called in worker
threads, and never within a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from scheduler.visit_life import VisitEventKind, VisitRole, VisitWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingRequest:
    """A visit, or a group of visits, that needs a meeting. Nothing in it is of a patient.

    Attributes:
        visit: our id of it: the same one gets the same meeting.
        code: random; fit for a room's name in an address.
        start: of the visit, or of the first one of the group; None: not known.
        given: the address that the message gave, if it gave one.
        again: it was asked for before, and nobody knows whether it was made.
    """

    visit: str
    code: str
    window: VisitWindow
    start: datetime | None = None
    given: str | None = field(default=None, repr=False)
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A meeting that is there.

    Attributes:
        ref: what this kind needs to find it again: an address, or an id. It is stored sealed until the visit's link ends.
    """

    visit: str
    ref: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingEvent:
    """What a meeting says of itself, by a webhook or by its report.

    Attributes:
        code: the visit's or the group's. at: UTC.
        what: waiting, left_lobby, admitted, connected or disconnected; ended: nobody is in it any more.
        person: whatever tells the participants of this meeting apart; only its HMAC is stored.
        ref: that the person's `join_url` was made with, if this kind says it; None: it does not, or it is not known.
        reported: it is of the meeting's report, which wins over everything else that is known of its times.
    """

    code: str
    at: datetime
    who: VisitRole
    what: VisitEventKind
    person: str | None = field(default=None, repr=False)
    ref: str | None = field(default=None, repr=False)
    reported: bool = False


BEING_MADE: Final = "being_made"
"""The code of a fault that is none: another page, or another node, asked a moment before."""


class MeetingFault(Exception):
    """There is no meeting to go to.

    Attributes:
        code: stable, for the log: `no_address`, `not_allowed` ...
        may_help: trying again may.
        unsure: what was asked for may have been done all the same.
    """

    def __init__(self, code: str, *, may_help: bool = False, unsure: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.may_help = may_help
        self.unsure = unsure


class Meetings(Protocol):
    """One kind of meeting.

    Attributes:
        reports: whether it says by itself who connects. If not, going there counts as connecting.
        returns_refs: whether what it says names the `ref` of each person's address, so that the patients of a group are told apart.
    """

    @property
    def reports(self) -> bool: ...

    @property
    def returns_refs(self) -> bool: ...

    def create(self, request: MeetingRequest) -> Meeting:
        """The visit's meeting; a second call gives the same one.

        Raises:
            MeetingFault: there is none, with its code.
        """
        ...

    def join_url(
        self,
        meeting: Meeting,
        role: VisitRole,
        now: datetime,
        ref: str | None = None,
        own: VisitWindow | None = None,
    ) -> str:
        """Where one person goes now; it may hold a secret of theirs, and is stored and logged nowhere.

        Args:
            ref: in the meeting of a group: whose visit it is, in a form that tells the others nothing.
            own: in the meeting of a group: the time of their own visit; None: they may be there all the time.

        Raises:
            MeetingFault: they cannot go there.
        """
        ...

    def end(self, meeting: Meeting) -> None:
        """End it, if this kind can. A meeting that is over already is no fault."""
        ...


class MeetingService(Meetings, Protocol):
    """A kind that another organisation's server makes, so that it can fail, be late, and be asked afterwards."""

    def owns(self, ref: str) -> bool:
        """Whether a stored reference is one of this kind."""
        ...

    def report(self, meeting: Meeting, code: str) -> list[MeetingEvent] | None:
        """Who was in it when, after its end; None: it is not there yet.

        Raises:
            MeetingFault: it cannot be read.
        """
        ...
