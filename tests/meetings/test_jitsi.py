"""A room and its tokens, as the server's prosody verifies them, and what prosody posts back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from meetings.jitsi import JitsiMeetings
from meetings.jitsi_events import JitsiWebhook
from meetings.port import MeetingFault, MeetingRequest
from meetings.webhook import MeetingCall
from scheduler.visit_life import VisitEventKind, VisitRole, VisitWindow
from simulator.meetings.jitsi import NotAdmitted, SimulatedJitsi

NOW: Final = datetime(2026, 3, 12, 21, 0, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
WINDOW: Final = VisitWindow(opens_at=NOW - timedelta(hours=1), ends_at=NOW + timedelta(hours=3))
REQUEST: Final = MeetingRequest(visit="v1", code="7fqxk2mzp9rtvbn4w", window=WINDOW)
MEETINGS: Final = JitsiMeetings(url="https://meet.example", app_id="carebell", secret=b"shared")
BEARER: Final = "known-to-both"


class Prosody(SimulatedJitsi):
    def __init__(self, secret: bytes = b"shared", app_id: str = "carebell") -> None:
        super().__init__(app_id=app_id, secret=secret, bearer=BEARER, post=self._kept, clock=lambda: self.now)
        self.now = NOW
        self.posted: list[MeetingCall] = []

    def _kept(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        lower = {name.lower(): value for name, value in headers.items()}
        self.posted.append(MeetingCall(path=path, headers=lower, body=body))
        return 200


def _address(role: VisitRole, now: datetime = NOW) -> str:
    return MEETINGS.join_url(MEETINGS.create(REQUEST), role, now)


@pytest.mark.parametrize("role", [VisitRole.PATIENT, VisitRole.GUEST, VisitRole.INTERPRETER, VisitRole.PROVIDER])
def test_each_role_gets_in_and_the_provider_alone_moderates(role: VisitRole) -> None:
    occupant = Prosody().enter(_address(role))
    assert occupant.role == role.value
    assert occupant.moderator is (role is VisitRole.PROVIDER)


@pytest.mark.parametrize(
    ("prosody", "at", "said"),
    [
        (Prosody(secret=b"other"), NOW, "not signed with this server's secret"),
        (Prosody(app_id="other"), NOW, "another application"),
        (Prosody(), WINDOW.opens_at - timedelta(seconds=1), "not the token's time"),
        (Prosody(), WINDOW.ends_at, "not the token's time"),
    ],
)
def test_a_token_is_good_for_its_server_and_time_alone(prosody: Prosody, at: datetime, said: str) -> None:
    prosody.now = at
    with pytest.raises(NotAdmitted, match=said):
        prosody.enter(_address(VisitRole.PATIENT))


@pytest.mark.parametrize(
    ("opens", "ends", "closed"), [(-30, 60, [-31, 60]), (-30, 300, [-31, 180]), (None, None, [-61, 180])]
)
def test_in_a_group_a_token_is_good_for_the_own_time_alone(
    opens: int | None, ends: int | None, closed: list[int]
) -> None:
    """Never longer than for the room's."""
    own = None
    if opens is not None and ends is not None:
        own = VisitWindow(opens_at=NOW + opens * MINUTE, ends_at=NOW + ends * MINUTE)
    url = MEETINGS.join_url(MEETINGS.create(REQUEST), VisitRole.PATIENT, NOW, "word", own)
    prosody = Prosody()
    assert prosody.enter(url).role == "patient.word"
    for minutes in closed:
        prosody.now = NOW + minutes * MINUTE
        with pytest.raises(NotAdmitted, match="not the token's time"):
            prosody.enter(url)


def test_nobody_is_sent_into_a_group_when_their_own_visit_is_over() -> None:
    own = VisitWindow(opens_at=NOW - MINUTE, ends_at=NOW)
    with pytest.raises(MeetingFault, match="over"):
        MEETINGS.join_url(MEETINGS.create(REQUEST), VisitRole.PATIENT, NOW, "word", own)


def test_a_token_is_good_for_its_room_alone() -> None:
    with pytest.raises(NotAdmitted, match="another room"):
        Prosody().enter(_address(VisitRole.PATIENT).replace("/7fqxk2mzp9rtvbn4w?", "/another?"))


def test_nobody_is_sent_into_a_visit_that_is_over() -> None:
    with pytest.raises(MeetingFault, match="over"):
        _address(VisitRole.PATIENT, WINDOW.ends_at)


def test_the_same_visit_has_the_same_room() -> None:
    assert MEETINGS.create(REQUEST) == MEETINGS.create(REQUEST)


# What prosody posts


def test_who_came_and_went_and_the_report_of_the_session() -> None:
    prosody = Prosody()
    patient = prosody.enter(_address(VisitRole.PATIENT))
    prosody.now += timedelta(minutes=5)
    prosody.leave(REQUEST.code, patient)
    webhook = JitsiWebhook(bearers=[b"old", BEARER.encode()])
    events = [event for call in prosody.posted for event in webhook.read(call, NOW).events]
    assert [(event.what, event.reported, event.at) for event in events] == [
        (VisitEventKind.CONNECTED, False, NOW),
        (VisitEventKind.DISCONNECTED, False, prosody.now),
        (VisitEventKind.CONNECTED, True, NOW),
        (VisitEventKind.DISCONNECTED, True, prosody.now),
    ]
    assert {(event.code, event.who) for event in events} == {(REQUEST.code, VisitRole.PATIENT)}


def _call(document: Any, bearer: str = BEARER) -> MeetingCall:
    headers = {"authorization": f"Bearer {bearer}"}
    return MeetingCall(path="events/x", headers=headers, body=json.dumps(document).encode())


@pytest.mark.parametrize("bearer", ["", "other", BEARER + "x", BEARER[:-1], "\udc80"])
def test_a_call_without_the_bearer_token_is_forged(bearer: str) -> None:
    answer = JitsiWebhook(bearers=[BEARER.encode()]).read(_call({}, bearer), NOW)
    assert (answer.status, answer.events) == (403, ())


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"event_name": "muc-occupant-joined", "room_name": "x"},
        {"event_name": "muc-occupant-joined", "room_name": "x", "occupant": {"occupant_jid": "a", "joined_at": "soon"}},
        {"event_name": "muc-occupant-joined", "room_name": "x", "occupant": {"occupant_jid": "a", "joined_at": 1e30}},
        {"event_name": "muc-occupant-joined", "room_name": "x", "occupant": {"joined_at": 1}},
        {"event_name": "another", "room_name": "x"},
        {"event_name": "muc-room-destroyed", "room_name": ["x"], "all_occupants": []},
    ],
)
def test_a_genuine_call_without_usable_content_is_said(document: Any) -> None:
    assert JitsiWebhook(bearers=[BEARER.encode()]).read(_call(document), NOW).status == 400
