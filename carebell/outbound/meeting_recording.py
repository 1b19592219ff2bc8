"""Records what meetings say of themselves: who came and went, and, by the report, when it really was.

What a group's meeting says of the care team is of all its visits that are open then; of anybody else it is of the visit whose ref
it names, and where it names none, nothing is known of whose it is, and nothing is stored.

What comes twice is recognised by whom, what and when; what comes late or reversed is put where it belongs by its own time.
A visit's times follow its report as soon as there is one (`scheduler.meeting_times`). What a meeting says never opens a visit again
that is over.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from carebell.outbound.visit_recording import VisitRecorder
from meetings.port import MeetingEvent
from scheduler.meeting_times import MeetingSign, MeetingTimes, still_there, times_of
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState
from store import meeting_places, visits
from store.engine import Store, Transaction
from store.keys import KeyRing
from store.vault import Vault
from store.visits import VideoVisit, VisitEvent, sign_of

_REF_LENGTH: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingRecorder:
    """Attributes: recorder: notes what happens in visits, and what goes back to the EHR."""

    store: Store
    vault: Vault
    recorder: VisitRecorder

    def take(self, environment: str, events: Iterable[MeetingEvent]) -> int:
        """Store what is new; how many events that are. An unknown code belongs to somebody else's meeting: nothing is stored."""
        stored = 0
        ordered = sorted(events, key=lambda event: (event.code, event.at))
        for code, of_place in groupby(ordered, key=lambda event: event.code):
            noted: list[VisitEvent] = []
            said = list(of_place)
            with self.store.write() as conn:
                place = meeting_places.by_code(conn, environment, code)
                visits_there = {} if place is None else self.recorder.begin_all(conn, place.visits)
                for visit in visits_there.values():
                    grouped = place is not None and place.conference is not None
                    of_visit = [event for event in said if not grouped or self._is_of(visit, event)]
                    noted += self._note_all(conn, visit, of_visit)
            self.recorder.log(noted)
            stored += len(noted)
        return stored

    def times(self, conn: Transaction, visit: VideoVisit) -> MeetingTimes:
        """What is known now of when it was."""
        signs = (sign_of(event) for event in visits.events(conn, [visit.id]))
        return times_of(signs, in_group=visit.conference is not None)

    def _is_of(self, visit: VideoVisit, event: MeetingEvent) -> bool:
        """Whether what a group's meeting says is of this visit. Its end is of everybody who is still there."""
        if event.what is VisitEventKind.ENDED:
            return True
        if event.who is VisitRole.PROVIDER:
            return visit.window.opens_at <= event.at < visit.window.ends_at
        return event.ref is not None and hmac.compare_digest(
            event.ref.encode("utf-8", "surrogatepass"), visit_ref(self.vault.ring, visit.id).encode("ascii")
        )

    def _note_all(self, conn: Transaction, visit: VideoVisit, events: Sequence[MeetingEvent]) -> list[VisitEvent]:
        before = visits.events(conn, [visit.id])
        signs = [sign_of(event) for event in before]
        seen = set(signs)
        noted = []
        for event in events:
            for sign in _signs(event, self._person(visit, event), signs):
                if sign in seen:
                    continue
                seen.add(sign)
                signs.append(sign)
                stored = self._note(conn, visit, sign)
                noted.append(stored)
                visit = replace(visit, state=stored.state or visit.state)
        if noted:
            known = visits.lock(conn, visit.id) or visit
            times = times_of(signs, in_group=visit.conference is not None)
            visits.set_times(conn, known, started_at=times.started_at, ended_at=times.left_at)
        return noted

    def _note(self, conn: Transaction, visit: VideoVisit, sign: MeetingSign) -> VisitEvent:
        """What a report says is history: nothing of it goes back to the EHR as if it happened now."""
        state = _state_if_over(visit.state, sign)
        note = visits.append if sign.source is VisitEventSource.REPORT else self.recorder.note
        ref = None if sign.person is None else str(sign.person)
        return note(conn, visit, sign.what, at=sign.at, source=sign.source, who=sign.who, ref=ref, state=state)

    def _person(self, visit: VideoVisit, event: MeetingEvent) -> str | None:
        """HMAC of the visit and the participant: the same person in two visits is not recognised."""
        if event.person is None:
            return None
        key = self.vault.ring.proof_key("meeting participant", visit.id)
        return hmac.new(key, event.person.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def visit_ref(ring: KeyRing, visit: str) -> str:
    """What a group's meeting is told of whose visit a person's is: the others may see it, and it leads nowhere."""
    return ring.proof_key("visit in a meeting", visit).hex()[:_REF_LENGTH]


def _signs(event: MeetingEvent, person: str | None, before: Iterable[MeetingSign]) -> list[MeetingSign]:
    """What an event means; the meeting's end, that everybody who was still there left."""
    source = VisitEventSource.REPORT if event.reported else VisitEventSource.MEETING
    if event.what is not VisitEventKind.ENDED:
        return [MeetingSign(at=event.at, who=event.who, what=event.what, source=source, person=person)]
    there = [sign for sign in still_there(before) if sign.at <= event.at]
    return [replace(sign, at=event.at, what=VisitEventKind.DISCONNECTED, source=source) for sign in there]


def _state_if_over(stored: VisitState, sign: MeetingSign) -> VisitState | None:
    """Of a visit that is over; None: what follows from the event. A patient who was there after all did not miss it."""
    if not stored.is_over:
        return None
    came = sign.what is VisitEventKind.CONNECTED and sign.who is not VisitRole.PROVIDER
    return VisitState.ENDED if stored is VisitState.NO_SHOW and came else stored
