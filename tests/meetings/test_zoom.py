"""Zoom meetings over the guarded fetcher, against the simulated account."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from meetings.port import MeetingFault, MeetingRequest
from meetings.service_api import ServiceApi
from meetings.webhook import MeetingCall
from meetings.zoom import ZoomMeetings
from meetings.zoom_events import FRESH_FOR, ZoomWebhook
from oauth.fetcher import Fetcher, FetchPolicy
from scheduler.visit_life import VisitEventKind, VisitRole, VisitWindow
from simulator.meetings.server import running_service
from simulator.meetings.zoom import MakingFault, SimulatedZoom

NOW: Final = datetime(2026, 3, 12, 21, 0, tzinfo=UTC)
WINDOW: Final = VisitWindow(opens_at=NOW - timedelta(hours=1), ends_at=NOW + timedelta(hours=3))
REQUEST: Final = MeetingRequest(visit="v1", code="7fqxk2mzp9rtvbn4w", window=WINDOW, start=NOW)
SIGNING: Final = b"signing"


@dataclass
class Account:
    zoom: SimulatedZoom
    meetings: ZoomMeetings
    url: str


def api_of(url: str, client_secret: str = "client-secret") -> ServiceApi:
    import base64

    basic = base64.b64encode(f"client:{client_secret}".encode()).decode()
    return ServiceApi(
        fetcher=Fetcher(FetchPolicy(loopback=True)),
        base=f"{url}/v2",
        token_url=f"{url}/oauth/token",
        token_form={"grant_type": "account_credentials", "account_id": "acc"},
        authorization=f"Basic {basic}",
    )


@pytest.fixture
def account() -> Iterator[Account]:
    zoom = SimulatedZoom(
        account_id="acc",
        client_id="client",
        client_secret="client-secret",
        secret_token=SIGNING,
        host="visits@lamna.example",
        clock=lambda: NOW,
    )
    zoom.host = "visits%40lamna.example"
    zoom.page = 2
    with running_service(zoom) as url:
        yield Account(zoom=zoom, meetings=ZoomMeetings(api=api_of(url), host="visits@lamna.example"), url=url)


def test_a_meeting_has_a_waiting_room_and_nobody_enters_before_the_host(account: Account) -> None:
    made = account.meetings.create(REQUEST)
    [meeting] = account.zoom.meetings.values()
    settings = meeting.wanted["settings"]
    assert (settings["waiting_room"], settings["join_before_host"], settings["use_pmi"]) == (True, False, False)
    assert (meeting.wanted["start_time"], meeting.wanted["duration"]) == ("2026-03-12T21:00:00Z", 180)
    assert meeting.topic == "Visit 7fqxk2mzp9rtvbn4w"
    patient = account.meetings.join_url(made, VisitRole.PATIENT, NOW)
    provider = account.meetings.join_url(made, VisitRole.PROVIDER, NOW)
    assert patient == f"https://us05web.zoom.us/j/{meeting.number}?pwd=known"
    assert "zak" in provider
    assert "zak" not in made.ref


def test_a_visit_has_one_meeting_also_behind_other_pages(account: Account) -> None:
    others = [replace(REQUEST, visit=f"o{n}", code=f"other{n}") for n in range(5)]
    for other in others:
        account.meetings.create(other)
    assert account.meetings.create(REQUEST) == account.meetings.create(replace(REQUEST, again=True))
    assert len(account.zoom.meetings) == 6


@pytest.mark.parametrize("fault", list(MakingFault))
def test_a_meeting_that_may_have_been_made_is_found_again(account: Account, fault: MakingFault) -> None:
    account.zoom.faults = [fault]
    with pytest.raises(MeetingFault) as raised:
        account.meetings.create(REQUEST)
    assert raised.value.may_help
    assert raised.value.unsure is (fault is not MakingFault.BUSY)
    account.meetings.create(replace(REQUEST, again=True))
    assert len(account.zoom.meetings) == 1


def test_a_wrong_secret_is_said(account: Account) -> None:
    wrong = ZoomMeetings(api=api_of(account.url, "wrong"), host="visits@lamna.example")
    with pytest.raises(MeetingFault, match="token_refused"):
        wrong.create(REQUEST)


def test_this_machine_is_not_asked_without_a_rehearsal(account: Account) -> None:
    guarded = ZoomMeetings(api=replace(api_of(account.url), fetcher=Fetcher()), host="visits@lamna.example")
    with pytest.raises(MeetingFault, match="token_not_https"):
        guarded.create(REQUEST)


def test_the_report_is_there_when_everybody_has_left(account: Account) -> None:
    made = account.meetings.create(REQUEST)
    [number] = account.zoom.meetings
    stays = [account.zoom.enter(number, host=True), account.zoom.enter(number), account.zoom.enter(number)]
    assert account.meetings.report(made, REQUEST.code) is None
    account.zoom.clock = lambda: NOW + timedelta(minutes=7)
    for stay in stays:
        account.zoom.leave(number, stay)
    reported = account.meetings.report(made, REQUEST.code)
    assert reported is not None
    assert [event.what for event in reported] == [VisitEventKind.CONNECTED, VisitEventKind.DISCONNECTED] * 3
    assert [event.who for event in reported[::2]] == [VisitRole.PROVIDER, VisitRole.PATIENT, VisitRole.PATIENT]
    assert {event.at for event in reported} == {NOW, NOW + timedelta(minutes=7)}
    account.meetings.end(made)


# Webhooks


def _calls(account: Account) -> list[MeetingCall]:
    calls: list[MeetingCall] = []

    def post(body: bytes, headers: object) -> int:
        calls.append(MeetingCall(path="zoom", headers=dict(headers), body=body))  # type: ignore[call-overload]
        return 200

    account.zoom.post = post
    account.meetings.create(REQUEST)
    [number] = account.zoom.meetings
    account.zoom.leave(number, account.zoom.enter(number))
    account.zoom.close(number)
    return calls


def test_who_comes_and_goes(account: Account) -> None:
    webhook = ZoomWebhook(secrets=[b"old", SIGNING])
    events = [event for call in _calls(account) for event in webhook.read(call, NOW).events]
    kinds = VisitEventKind
    assert [event.what for event in events] == [kinds.CONNECTED, kinds.DISCONNECTED, kinds.ENDED]
    assert {event.code for event in events} == {REQUEST.code}


def test_a_call_is_proved_whole_and_fresh(account: Account) -> None:
    [call, *_] = _calls(account)
    webhook = ZoomWebhook(secrets=[SIGNING])
    forged = [
        replace(call, body=call.body + b" "),
        replace(call, headers={**call.headers, "x-zm-request-timestamp": "1"}),
        replace(call, headers={**call.headers, "x-zm-signature": "v0="}),
        replace(call, headers={}),
    ]
    for each_call in forged:
        assert webhook.read(each_call, NOW).status == 403
    assert webhook.read(call, NOW + FRESH_FOR).status == 200
    assert webhook.read(call, NOW + FRESH_FOR + timedelta(seconds=1)).status == 403
    assert ZoomWebhook(secrets=[b"another"]).read(call, NOW).status == 403


def test_the_address_is_validated(account: Account) -> None:
    body, headers = account.zoom.signed({"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}})
    answer = ZoomWebhook(secrets=[SIGNING]).read(MeetingCall(path="zoom", headers=headers, body=body), NOW)
    proof = hmac.new(SIGNING, b"abc", hashlib.sha256).hexdigest()
    assert answer.document == {"plainToken": "abc", "encryptedToken": proof}


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"event": "meeting.participant_joined", "event_ts": 1, "payload": {"object": {"topic": "Rounds"}}}, 200),
        ({"event": "meeting.started", "event_ts": 1, "payload": {"object": {"topic": "Visit x"}}}, 200),
        ({"event": "meeting.ended", "event_ts": 1, "payload": {"object": {"topic": "Visit x"}}}, 400),
        ({"event": "meeting.participant_left"}, 400),
    ],
)
def test_what_is_of_no_visit_is_left_alone(account: Account, document: dict[str, object], status: int) -> None:
    body, headers = account.zoom.signed(document)
    answer = ZoomWebhook(secrets=[SIGNING]).read(MeetingCall(path="zoom", headers=headers, body=body), NOW)
    assert (answer.status, answer.events) == (status, ())
