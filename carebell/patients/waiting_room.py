"""The waiting room: who came, who left, and who goes on to the meeting. Implements `portal.join.desk.JoinDesk` over the store.

A patient's page is of their own visit alone, in a group as by itself: nothing on it, and no question behind it, depends on who else
is there. That ends where somebody who was let in goes on to the meeting (`go`): its place is read with all visits of the group, and
"getting your room ready" may mean that another of them has the meeting made just now. A provider's page is of the whole group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig
from carebell.outbound.meeting_kinds import meetings_of
from carebell.outbound.meeting_recording import visit_ref
from carebell.outbound.visit_recording import VisitRecorder
from config.model import MeetingSettings
from config.visit_consistency import meeting_allowed
from journal.events.visits import MeetingUnavailable
from meetings.port import BEING_MADE, MeetingFault, MeetingRequest, Meetings
from notifier.dates import fallbacks
from portal.join.desk import JoinView, OnTheWay, Stage, WaitingPerson
from scheduler.appointment import AppointmentStatus
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState, state_at
from store import conferences, meeting_places, visit_devices, visit_links
from store.engine import Store, Transaction
from store.meeting_places import MeetingPlace
from store.vault import Vault
from store.visit_devices import WaitingLink
from store.visit_links import VisitLink
from store.visit_moves import move_of
from store.visits import VideoVisit, VisitEvent

SCRIPT_SAYS_SO: Final = timedelta(seconds=25)
"""A page with script says every five seconds that it is there; a telephone may lose some of them."""
BUTTON_SAID_SO: Final = timedelta(minutes=15)
"""Without script a person says so by a button, and is believed for so long."""
PAGE: Final = VisitEventSource.PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRoom:
    """Attributes:
    runtime_config: the configuration in force.
    meetings_of: an environment's settings -> what its visits take place in.
    missed: is told that somebody had no meeting to go to.
    """

    store: Store
    vault: Vault
    runtime_config: Callable[[], RuntimeConfig]
    recorder: VisitRecorder
    now: Callable[[], datetime]
    meetings_of: Callable[[MeetingSettings], Meetings] = meetings_of
    missed: Callable[[], None] = lambda: None

    def look(self, token: str) -> JoinView | None:
        now = self.now()
        with self.store.read() as conn:
            opened = self._found(conn, token, now)
            return None if opened is None else self._view(conn, *opened, now)

    def stay(self, token: str, device: str, *, by_script: bool) -> JoinView | None:
        now, events = self.now(), list[VisitEvent]()
        with self.store.write() as conn:
            opened = self._open(conn, token, now)
            if opened is None:
                return None
            visit, link, _ = opened
            view = self._view(conn, visit, link, now)
            if view is not None and view.stage in ("lobby", "waiting") and link.role is not VisitRole.PROVIDER:
                policy = self.runtime_config().policies[visit.environment]
                until = now + (SCRIPT_SAYS_SO if by_script else BUTTON_SAID_SO)
                limit = policy.environment.visits.devices
                came = visit_devices.stay(conn, link.key, device, now, until, limit=limit)
                if came:
                    what = VisitEventKind.WAITING
                    events.append(
                        self.recorder.note(conn, visit, what, at=now, who=link.role, source=PAGE, ref=link.key)
                    )
                view = self._view(conn, visit, link, now, crowded=came is None)
        self.recorder.log(events)
        return view

    def leave(self, token: str, device: str) -> JoinView | None:
        now, events = self.now(), list[VisitEvent]()
        with self.store.write() as conn:
            opened = self._open(conn, token, now)
            if opened is None:
                return None
            visit, link, _ = opened
            if visit_devices.leave(conn, link.key, device, now):
                events.append(self._left(conn, visit, link.key, link.role, now))
            view = self._view(conn, visit, link, now)
        self.recorder.log(events)
        return view

    def go(self, token: str, device: str) -> OnTheWay | None:
        now = self.now()
        with self.store.read() as conn:
            opened = self._found(conn, token, now)
            view = None if opened is None else self._view(conn, *opened, now)
            if opened is None or view is None:
                return None
            if view.stage != "admitted":
                return OnTheWay(view=view, url=None)
            place = self._place(conn, opened[0])
            given = meeting_places.meeting_of(conn, self.vault, place)
        visit, link = opened
        policy = self.runtime_config().policies[visit.environment]
        try:
            meetings = self.meetings_of(policy.environment.visits.meeting)
            # Outside of any transaction: a kind may ask another server.
            request = MeetingRequest(
                visit=place.id, code=place.code, window=place.window, start=place.start, given=given
            )
            meeting = meetings.create(request)
            ref = None if place.conference is None else visit_ref(self.vault.ring, visit.id)
            own = None if link.role is VisitRole.PROVIDER else visit.window
            url = _checked(meetings.join_url(meeting, link.role, now, ref, own), policy)
        except MeetingFault as fault:
            if fault.code != BEING_MADE:
                self.missed()
                self.recorder.journal.emit(
                    MeetingUnavailable(environment=visit.environment, appointment=visit.reference, code=fault.code)
                )
            return OnTheWay(view=view, url=None)
        # In a group a meeting may tell of the care team, and not which patient it is that came.
        tells = meetings.reports and (
            place.conference is None or link.role is VisitRole.PROVIDER or meetings.returns_refs
        )
        return self._gone(token, device, view, place, url, meeting.ref if meeting.ref != given else None, tells=tells)

    def answer(self, token: str, link: str | None, *, let_in: bool) -> bool:
        """`portal.join.provider.LetInDesk`: a provider lets somebody in, or all who wait, or asks somebody for more minutes."""
        now, events = self.now(), list[VisitEvent]()
        with self.store.write() as conn:
            opened = self._open(conn, token, now)
            if opened is None or opened[1].role is not VisitRole.PROVIDER:
                return False
            own, provider, locked = opened
            view = self._view(conn, own, provider, now)
            if view is None:
                return False
            known = {visit.id: visit for visit in self._together(conn, own, provider, now) if visit.id in locked}
            act, what = (
                (visit_devices.admit, VisitEventKind.ADMITTED)
                if let_in
                else (visit_devices.put_off, VisitEventKind.PUT_OFF)
            )
            answered = [row for row in _waiting(conn, known.values(), now) if link in (None, row.link)]
            for row in answered if view.stage == "admitted" else ():
                if act(conn, row.visit, row.link, now):
                    visit = known[row.visit]
                    who = VisitRole.PROVIDER
                    events.append(self.recorder.note(conn, visit, what, at=now, who=who, source=PAGE, ref=row.link))
        self.recorder.log(events)
        return True

    def _gone(
        self,
        token: str,
        device: str,
        view: JoinView,
        place: MeetingPlace,
        url: str,
        made: str | None,
        *,
        tells: bool,
    ) -> OnTheWay | None:
        """Note that somebody went, if they still may and it is still there: the meeting took its time to be made.

        Args:
            made: its reference, if that is not stored yet. tells: whether the meeting says by itself that they came.
        """
        now, events = self.now(), list[VisitEvent]()
        with self.store.write() as conn:
            opened = self._open(conn, token, now)
            if opened is None:
                return None
            visit, link, locked = opened
            again = self._view(conn, visit, link, now)
            present = self._place(conn, visit)
            if again is None or again.stage != "admitted" or present.id != place.id:
                return None if again is None else OnTheWay(view=again, url=None)
            if made is not None:
                meeting_places.set_meeting(conn, self.vault, present, made)
            visit_devices.leave(conn, link.key, device, now)
            what = VisitEventKind.CONNECTED
            for concerned in () if tells else self._together(conn, visit, link, now):
                if concerned.id in locked and concerned.window.opens_at <= now:
                    events.append(
                        self.recorder.note(conn, concerned, what, at=now, who=link.role, source=PAGE, ref=link.key)
                    )
        self.recorder.log(events)
        return OnTheWay(view=view, url=url)

    def _open(
        self, conn: Transaction, token: str, now: datetime
    ) -> tuple[VideoVisit, VisitLink, Collection[str]] | None:
        """The link and its visit, or on a provider's page all visits of the group, locked until the commit; what was decided before
        the lock is read again. Third, which visits are locked: nothing is noted of one that joins the group meanwhile."""
        opened = self._found(conn, token, now)
        if opened is None:
            return None
        ids = {opened[0].id, *(visit.id for visit in self._together(conn, *opened, now))}
        locked = self.recorder.begin_all(conn, ids)
        again = self._found(conn, token, now)
        return (*again, locked) if again is not None and again[0].id in locked else None

    def _found(self, conn: Transaction, token: str, now: datetime) -> tuple[VideoVisit, VisitLink] | None:
        """The link and its visit; of a provider in a group one that goes on, if its own does not."""
        opened = visit_links.find(conn, self.vault.ring, token, now)
        if opened is None or opened[1].role is not VisitRole.PROVIDER:
            return opened
        visit, link = opened
        group = link.conference or visit.conference
        is_there = link.conference in (None, visit.conference)
        if group is None or (is_there and not state_at(visit.state, visit.window, now).is_over):
            return opened
        others = conferences.going_on(conn, group, now)
        if others:
            return others[0], link
        return opened if is_there else None

    def _together(self, conn: Transaction, visit: VideoVisit, link: VisitLink, now: datetime) -> list[VideoVisit]:
        """The visits that what somebody does with this link concerns."""
        if link.role is not VisitRole.PROVIDER or visit.conference is None:
            return [visit]
        return conferences.going_on(conn, visit.conference, now)

    def _place(self, conn: Transaction, visit: VideoVisit) -> MeetingPlace:
        """Where a visit takes place. An address in a message is of its own patient, also in a group: nobody else is sent there."""
        settings = self.runtime_config().policies[visit.environment].environment.visits.meeting
        return (
            meeting_places.place_alone(visit) if settings.takes_given_address else meeting_places.place_of(conn, visit)
        )

    def _left(self, conn: Transaction, visit: VideoVisit, link: str, who: VisitRole, now: datetime) -> VisitEvent:
        others = visit_devices.others_wait(conn, visit.id, link, now)
        what = VisitEventKind.LEFT_LOBBY
        return self.recorder.note(conn, visit, what, at=now, who=who, source=PAGE, ref=link, others_wait=others)

    def _view(
        self, conn: Transaction, visit: VideoVisit, link: VisitLink, now: datetime, *, crowded: bool = False
    ) -> JoinView | None:
        """None: the environment is switched off, or has no links any more."""
        runtime_config = self.runtime_config()
        policy = runtime_config.policies.get(visit.environment)
        if policy is None or policy.join_url is None:
            return None
        settings = policy.environment.visits
        together = self._together(conn, visit, link, now)
        in_group = link.role is VisitRole.PROVIDER and visit.conference is not None
        opens_at = min((concerned.window.opens_at for concerned in together), default=visit.window.opens_at)
        since = visit_devices.since(conn, link.key, now)
        stage = "crowded" if crowded else _stage(visit, opens_at, link, policy, since, now)
        return JoinView(
            stage=stage,
            role=link.role.value,
            start=visit.start,
            zone=ZoneInfo(visit.zone),
            date_only=visit.date_only,
            ends=visit.window.ends_at - settings.ends_after,
            opens_at=opens_at,
            contact=runtime_config.organization.contact,
            organization=runtime_config.organization.name,
            provider=visit.provider if settings.show_provider else None,
            waits_since=since,
            put_off=link.put_off_at is not None,
            test=settings.device_test.enabled,
            moved=move_of(conn, visit) if stage == "early" else "none",
            languages=_languages(visit, link, policy),
            territory=policy.environment.sms.countries[0],
            waiting=_people(conn, together, now, named=in_group) if link.role is VisitRole.PROVIDER else (),
            in_group=in_group,
        )


def _waiting(conn: Transaction, together: Iterable[VideoVisit], now: datetime) -> list[WaitingLink]:
    known = {visit.id: visit.environment for visit in together}
    rows = visit_devices.waiting(conn, now, environments=set(known.values())) if known else []
    return [row for row in rows if row.visit in known]


def _people(
    conn: Transaction, together: Sequence[VideoVisit], now: datetime, *, named: bool
) -> tuple[WaitingPerson, ...]:
    """Args: named: with their appointments, by which a provider tells the patients of a group apart."""
    references = {visit.id: visit.reference for visit in together}
    return tuple(
        WaitingPerson(
            link=row.link,
            role=row.role.value,
            since=row.since,
            admitted=row.admitted_at is not None,
            put_off=row.put_off_at is not None,
            reference=references[row.visit] if named else None,
        )
        for row in _waiting(conn, together, now)
    )


def _languages(visit: VideoVisit, link: VisitLink, policy: EnvironmentPolicy) -> tuple[str, ...]:
    """Of the page: the language of the visit's texts, as `notifier.text.render` chooses it; a provider's page is English."""
    if link.role is VisitRole.PROVIDER:
        return ("en",)
    return (*fallbacks(visit.language), *fallbacks(policy.environment.sms.languages.fallback))


def _stage(
    visit: VideoVisit,
    opens_at: datetime,
    link: VisitLink,
    policy: EnvironmentPolicy,
    since: datetime | None,
    now: datetime,
) -> Stage:
    state = state_at(visit.state, visit.window, now)
    if state is VisitState.CANCELED:
        still_booked = visit.status in (AppointmentStatus.ACTIVE.value, AppointmentStatus.ENDED.value)
        return "changed" if still_booked else "canceled"
    if state.is_over:
        return "over"
    if now < opens_at:
        return "early"
    no_lobby = policy.environment.visits.lobby != "ours" or link.role is VisitRole.PROVIDER
    if no_lobby or link.admitted_at is not None:
        return "admitted"
    return "lobby" if since is None else "waiting"


def _checked(url: str, policy: EnvironmentPolicy) -> str:
    """An address that patients may be sent to. Raises: MeetingFault."""
    if not meeting_allowed(url, policy.environment):
        raise MeetingFault("not_allowed")
    return url
