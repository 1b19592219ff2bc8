"""When a visit began and ended, by what is known of who was in its meeting; pure.

The meeting's report wins: if it is there, nothing else counts. Without it the meeting's own events do, in whatever order they came.
Of a group's meeting the report may name the care team alone, so that it wins for each side that it names.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole

EMPTY_FOR: Final = timedelta(minutes=10)
"""Nobody is in the meeting for so long, after both sides were: it is over, and nobody just lost the connection."""


MOVES: Final = (VisitEventKind.CONNECTED, VisitEventKind.DISCONNECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingSign:
    """One sign of who is in a meeting.

    Attributes:
        person: tells participants apart; None: nobody in particular.
    """

    at: datetime
    who: VisitRole
    what: VisitEventKind
    source: VisitEventSource
    person: Hashable = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingTimes:
    """Attributes:
    started_at: since when somebody other than the provider was in the meeting; None: never.
    left_at: when the last one left; None: nobody did.
    by_report: whether the meeting's report says so.
    both: whether the provider and somebody else were in it.
    """

    started_at: datetime | None
    left_at: datetime | None
    by_report: bool
    both: bool


def times_of(signs: Iterable[MeetingSign], *, in_group: bool = False) -> MeetingTimes:
    """The times by the report, if there is one, otherwise by the meeting's events."""
    counted = list(counted_moves(signs, in_group=in_group))
    came = [sign for sign in counted if sign.what is VisitEventKind.CONNECTED]
    patients = [sign.at for sign in came if sign.who is not VisitRole.PROVIDER]
    left = [sign.at for sign in counted if sign.what is VisitEventKind.DISCONNECTED]
    return MeetingTimes(
        started_at=min(patients, default=None),
        left_at=max(left, default=None),
        by_report=any(sign.source is VisitEventSource.REPORT for sign in counted),
        both=bool(patients) and len(patients) < len(came),
    )


def still_there(signs: Iterable[MeetingSign]) -> list[MeetingSign]:
    """The last sign of each person who came and has not left. At one instant who left comes before who came.

    A report is made when everybody has left: who came before its last time is there no more.
    """
    last: dict[Hashable, MeetingSign] = {}
    order = {VisitEventKind.DISCONNECTED: 0, VisitEventKind.CONNECTED: 1}
    known = [sign for sign in signs if sign.what in order]
    reported = max((sign.at for sign in known if sign.source is VisitEventSource.REPORT), default=None)
    moves = [sign for sign in known if sign.source is not VisitEventSource.REPORT]
    for sign in sorted(moves, key=lambda sign: (sign.at, order[sign.what])):
        last[sign.person] = sign
    there = [sign for sign in last.values() if sign.what is VisitEventKind.CONNECTED]
    return [sign for sign in there if reported is None or sign.at > reported]


def counted_moves(signs: Iterable[MeetingSign], *, in_group: bool) -> Iterator[MeetingSign]:
    """Who came and left, by the report alone where it says who was there: for everybody, or of a group for the care team and for
    the others each."""
    moves = [sign for sign in signs if sign.what in MOVES]
    reported = {_side(sign, in_group) for sign in moves if sign.source is VisitEventSource.REPORT}
    for sign in moves:
        if sign.source is VisitEventSource.REPORT or _side(sign, in_group) not in reported:
            yield sign


def _side(sign: MeetingSign, in_group: bool) -> bool:
    return in_group and sign.who is VisitRole.PROVIDER
