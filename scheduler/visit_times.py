"""What the report says of one visit, by all that is known to have happened in it; pure.

The words are those of the product that Carebell replaces:

    start        both a staff member and a participant are present; if they never are, the first activity
    lobby wait   somebody first joins the lobby -> that or another participant is admitted
    duration     start -> the last person leaves; 0 if a side never came
    No show      one staff member joined, and nobody else; Completed: both sides joined

Who was in the meeting is known from its report, if there is one, otherwise from its own events and from our pages. Signs may come
doubled, reversed, late, or not at all: what nobody told is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby, product
from typing import Final

from scheduler.meeting_times import MOVES, MeetingSign, counted_moves
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState

_STAFF: Final = (VisitRole.PROVIDER, VisitRole.STAFF)
_LOBBY: Final = (VisitEventKind.WAITING, VisitEventKind.LEFT_LOBBY)
_ACTIVITY: Final = (*MOVES, *_LOBBY, VisitEventKind.ADMITTED)
_NOTHING: Final = timedelta()


class VisitOutcome(StrEnum):
    """What became of a visit in which something happened: `visits.outcome`. These never change."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    NO_SHOW = "no_show"  # staff came, nobody else
    STAFF_NO_SHOW = "staff_no_show"  # a participant came, no staff
    UNKNOWN = "unknown"  # somebody went on to a meeting that tells nothing
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTimes:
    """Attributes:
    start: None: nothing happened yet; the visit is in no report.
    lobby_wait: None: nobody waited, or nobody was let in.
    duration: None: it goes on, or nobody told when anybody left.
    attendees: how many persons were in the meeting.
    left_lobby: whether a patient left the waiting room, and came neither back nor into the meeting; None: no patient was there.
    source: of what is counted; None: nothing is.
    went_by_page: the meeting told of the care team alone; that others came is known from their going there.
    """

    start: datetime | None
    lobby_wait: timedelta | None
    duration: timedelta | None
    outcome: VisitOutcome
    attendees: int
    left_lobby: bool | None
    source: VisitEventSource | None
    went_by_page: bool = False


@dataclass(frozen=True, slots=True)
class _Stay:
    """Somebody was in the meeting. `left` None: nobody told when they left."""

    came: datetime
    left: datetime | None

    def meets(self, other: _Stay) -> datetime | None:
        """Since when both are there; None: they never are."""
        since = max(self.came, other.came)
        return since if all(stay.left is None or since <= stay.left for stay in (self, other)) else None


_Stays = Mapping[tuple[VisitRole, Hashable], Sequence[_Stay]]


def visit_times(signs: Iterable[MeetingSign], state: VisitState, *, in_group: bool = False) -> VisitTimes:
    """Args:
    signs: of one visit, in any order.
    state: as it is stored.
    in_group: it takes place in the meeting of a group, which may not tell the patients apart.
    """
    counted = _counted(signs, in_group)
    moves = [sign for sign in counted if sign.what in MOVES]
    source = _source(moves or counted)
    stays = _stays(moves)
    staff = [stay for (who, _), of_person in stays.items() if who in _STAFF for stay in of_person]
    others = [stay for (who, _), of_person in stays.items() if who not in _STAFF for stay in of_person]
    let_in = [sign.at for sign in counted if sign.what is VisitEventKind.ADMITTED and sign.who in _STAFF]
    if not staff and let_in and source is VisitEventSource.PAGE and moves:
        # The meeting tells nothing, and whoever lets a patient in goes there.
        staff = [_Stay(min(let_in), None)]
    left_lobby = _left_lobby(counted)
    outcome = _outcome(state, bool(staff), bool(others), source, let_in=bool(let_in), left_lobby=bool(left_lobby))
    start = _start(counted, staff, others)
    return VisitTimes(
        start=start,
        lobby_wait=_lobby_wait(counted),
        duration=_duration(start, counted, outcome, both=bool(staff and others)),
        outcome=outcome,
        attendees=len(stays),
        left_lobby=left_lobby,
        source=source,
        went_by_page=source is not VisitEventSource.PAGE and _source(_of_others(moves)) is VisitEventSource.PAGE,
    )


def _of_others(moves: Sequence[MeetingSign]) -> list[MeetingSign]:
    return [sign for sign in moves if sign.who not in _STAFF and sign.what is VisitEventKind.CONNECTED]


def _counted(signs: Iterable[MeetingSign], in_group: bool) -> list[MeetingSign]:
    """What counts, by time: of the visit as it is booked now, and of the report alone where it says who was there."""
    by_time = sorted(set(signs), key=lambda sign: sign.at)
    since: datetime | None = None
    over = False
    for sign in sorted(by_time, key=lambda sign: (sign.at, sign.what is VisitEventKind.MOVED)):
        if sign.what in (VisitEventKind.PLANNED, VisitEventKind.REBOOKED) or (
            sign.what is VisitEventKind.MOVED and over
        ):
            since, over = sign.at, False
        over = over or sign.what is VisitEventKind.ENDED
    of_now = [sign for sign in by_time if since is None or sign.at >= since]
    moves = set(counted_moves(of_now, in_group=in_group))
    return [sign for sign in of_now if sign.what not in MOVES or sign in moves]


def _source(signs: Sequence[MeetingSign]) -> VisitEventSource | None:
    """The best of what is counted; only these three know of what happens in a visit."""
    known = {sign.source for sign in signs if sign.what in _ACTIVITY}
    if known & {VisitEventSource.PAGE, VisitEventSource.CLOCK}:
        known.add(VisitEventSource.PAGE)  # the clock tells that a page was heard of no more
    best = (VisitEventSource.REPORT, VisitEventSource.MEETING, VisitEventSource.PAGE)
    return next((source for source in best if source in known), None)


def _stays(moves: Sequence[MeetingSign]) -> _Stays:
    """Who was in the meeting from when to when. Of somebody who left and never came, as far as is known, that moment is known."""
    stays: dict[tuple[VisitRole, Hashable], list[_Stay]] = {}
    for (at, who, person), of_person in groupby(
        sorted(moves, key=lambda sign: (sign.at, sign.who, str(sign.person))),
        key=lambda sign: (sign.at, sign.who, sign.person),
    ):
        what = {sign.what for sign in of_person}
        known = stays.setdefault((who, person), [])
        is_there = bool(known) and known[-1].left is None
        if VisitEventKind.DISCONNECTED in what:
            if is_there:
                known[-1] = _Stay(known[-1].came, at)
                if VisitEventKind.CONNECTED in what:
                    known.append(_Stay(at, None))
            else:
                known.append(_Stay(at, at))
        elif not is_there:
            known.append(_Stay(at, None))
    return stays


def _start(counted: Sequence[MeetingSign], staff: Sequence[_Stay], others: Sequence[_Stay]) -> datetime | None:
    together = (one_of_staff.meets(other) for one_of_staff, other in product(staff, others))
    first_activity = min((sign.at for sign in counted if sign.what in _ACTIVITY), default=None)
    return min((since for since in together if since is not None), default=first_activity)


def _lobby_wait(counted: Sequence[MeetingSign]) -> timedelta | None:
    joined = [sign.at for sign in counted if sign.what is VisitEventKind.WAITING and sign.who not in _STAFF]
    admitted = [sign.at for sign in counted if sign.what is VisitEventKind.ADMITTED]
    # A meeting of another make may tell of no admission, only that somebody came in.
    admitted = admitted or [
        sign.at for sign in counted if sign.what is VisitEventKind.CONNECTED and sign.who not in _STAFF
    ]
    if not joined or not admitted:
        return None
    waited = [at - joined[0] for at in admitted if at >= joined[0]]
    return min(waited, default=_NOTHING)


def _duration(
    start: datetime | None, counted: Sequence[MeetingSign], outcome: VisitOutcome, *, both: bool
) -> timedelta | None:
    if start is None or outcome in (VisitOutcome.IN_PROGRESS, VisitOutcome.UNKNOWN):
        return None
    if not both:
        return _NOTHING
    left = [sign.at for sign in counted if sign.what is VisitEventKind.DISCONNECTED and sign.at >= start]
    return max(left) - start if left else None


def _outcome(
    state: VisitState,
    staff: bool,
    others: bool,
    source: VisitEventSource | None,
    *,
    let_in: bool,
    left_lobby: bool,
) -> VisitOutcome:
    if state is VisitState.CANCELED:
        return VisitOutcome.CANCELED
    if not state.is_over:
        return VisitOutcome.IN_PROGRESS
    if staff:
        return VisitOutcome.COMPLETED if others else VisitOutcome.NO_SHOW
    if others:
        return VisitOutcome.UNKNOWN if source is VisitEventSource.PAGE else VisitOutcome.STAFF_NO_SHOW
    if let_in:
        return VisitOutcome.NO_SHOW if left_lobby else VisitOutcome.UNKNOWN
    return VisitOutcome.STAFF_NO_SHOW


def _left_lobby(counted: Sequence[MeetingSign]) -> bool | None:
    of_patients = [sign for sign in counted if sign.who is VisitRole.PATIENT]
    last = {
        sign.person: sign.what
        for sign in sorted(of_patients, key=lambda sign: (sign.at, sign.what is VisitEventKind.WAITING))
        if sign.what in _LOBBY
    }
    if not last:
        return None
    came = any(sign.what in MOVES for sign in of_patients)
    return not came and VisitEventKind.LEFT_LOBBY in last.values()
