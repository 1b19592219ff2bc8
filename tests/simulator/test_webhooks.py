"""Signed callbacks in every mode, opt-outs by text, and their signature as Twilio's own validator computes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from simulator.account import AccountSettings
from simulator.outcomes import CallbackMode, SimulatedOutcome, callbacks, timeline
from simulator.twilio_api import RunningSimulator, running_simulator
from simulator.webhooks import sign
from tests.simulator.client import twilio_client
from tests.simulator.conftest import ACCOUNT, NOW, OTHER_SENDER, PATIENT, SENDER, SERVICE, HandClock, Mailbox, until


def send(client: Any, mailbox: Mailbox, **more: Any) -> str:
    params = {"to": PATIENT, "from_": SENDER, "body": "x", "status_callback": f"{mailbox.url}/twilio/status?m=row&a=1"}
    return str(client.messages.create(**(params | more)).sid)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (CallbackMode.ON_TIME, ["sent", "undelivered"]),
        (CallbackMode.DOUBLED, ["sent", "sent", "undelivered", "undelivered"]),
        (CallbackMode.REORDERED, ["undelivered", "sent"]),
    ],
    ids=lambda value: value.value if isinstance(value, CallbackMode) else "",
)
def test_callbacks_arrive_as_their_mode_says(
    client: Any,
    simulator: RunningSimulator,
    clock: HandClock,
    mailbox: Mailbox,
    mode: CallbackMode,
    expected: list[str],
) -> None:
    simulator.script(PATIENT, SimulatedOutcome(final="undelivered", error_code=30003))
    simulator.callbacks(mode)
    sid = send(client, mailbox)
    assert mailbox.mail == []
    clock.move(seconds=5)
    until(lambda: len(mailbox.mail) == len(expected))
    assert mailbox.statuses() == expected
    for path, fields, _ in mailbox.mail:
        assert path == "/twilio/status?m=row&a=1"
        assert fields.get("ErrorCode") == ("30003" if fields["MessageStatus"] == "undelivered" else None)
        assert (fields["MessageSid"], fields["AccountSid"], fields["To"], fields["From"]) == (
            sid,
            ACCOUNT,
            PATIENT,
            SENDER,
        )
    until(lambda: len(simulator.ledger.webhooks) == len(expected))
    assert {d.status for d in simulator.ledger.webhooks} == {204}


def test_late_callbacks_keep_their_distance(
    client: Any, simulator: RunningSimulator, clock: HandClock, mailbox: Mailbox
) -> None:
    simulator.script(PATIENT, SimulatedOutcome(callbacks=CallbackMode.LATE, late=timedelta(hours=1)))
    send(client, mailbox)
    send(client, mailbox, to="+12025550144")
    clock.move(minutes=30)
    until(lambda: len(mailbox.mail) == 2)
    assert {fields["To"] for _, fields, _ in mailbox.mail} == {"+12025550144"}
    clock.move(minutes=31)
    until(lambda: len(mailbox.mail) == 4)


def test_dropped_callbacks_leave_only_the_fetch(
    client: Any, simulator: RunningSimulator, clock: HandClock, mailbox: Mailbox
) -> None:
    simulator.script(PATIENT, SimulatedOutcome(callbacks=CallbackMode.DROPPED))
    sid = send(client, mailbox)
    send(client, mailbox, to="+12025550144")
    clock.move(seconds=5)
    until(lambda: len(mailbox.mail) == 2)
    assert {fields["To"] for _, fields, _ in mailbox.mail} == {"+12025550144"}
    assert client.messages(sid).fetch().status == "delivered"


def test_callbacks_can_overtake_the_answer(client: Any, simulator: RunningSimulator, mailbox: Mailbox) -> None:
    """The final callback is there before the client knows the sid; the answer still tells the beginning."""
    simulator.callbacks(CallbackMode.BEFORE_RESPONSE)
    made = client.messages.create(to=PATIENT, from_=SENDER, body="x", status_callback=f"{mailbox.url}/s")
    assert mailbox.statuses() == ["sent", "delivered"]
    assert {fields["MessageSid"] for _, fields, _ in mailbox.mail} == {made.sid}
    assert (made.status, made.date_sent) == ("queued", None)


def test_signatures_are_those_of_twilios_own_validator(client: Any, clock: HandClock, mailbox: Mailbox) -> None:
    send(client, mailbox, body="blank and ñ", status_callback=f"{mailbox.url}/twilio/status?m=a%20b&blank=&a=1")
    clock.move(seconds=5)
    until(lambda: len(mailbox.mail) == 2)
    validator = RequestValidator("t0ken")
    for path, fields, signature in mailbox.mail:
        assert validator.validate(mailbox.url + path, fields, signature)
        assert not validator.validate(mailbox.url + path, fields | {"MessageStatus": "read"}, signature)


def test_a_published_example_signs_as_published() -> None:
    """Twilio's documentation of webhook security computes this one step by step (token 12345)."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert sign(url, fields, "12345") == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


def test_webhooks_are_signed_for_one_url_and_delivered_to_another(
    settings: AccountSettings, clock: HandClock, mailbox: Mailbox
) -> None:
    with (
        running_simulator(settings, clock=clock, deliver_to=mailbox.url) as simulator,
        twilio_client(simulator.url, ACCOUNT, "t0ken") as client,
    ):
        public = "https://sms.lamna.example/twilio/status?m=1&a=1"
        client.messages.create(to=PATIENT, from_=SENDER, body="x", status_callback=public)
        clock.move(seconds=5)
        until(lambda: len(mailbox.mail) == 2)
        path, fields, signature = mailbox.mail[0]
        assert path == "/twilio/status?m=1&a=1"
        assert RequestValidator("t0ken").validate(public, fields, signature)


def test_nobody_listening_is_written_down(client: Any, simulator: RunningSimulator, clock: HandClock) -> None:
    client.messages.create(to=PATIENT, from_=SENDER, body="x", status_callback="http://127.0.0.1:1/s")
    clock.move(seconds=5)
    until(lambda: len(simulator.ledger.webhooks) == 2)
    assert [d.status for d in simulator.ledger.webhooks] == [None, None]


def test_stop_blocks_the_service_and_the_number_until_start(
    client: Any, simulator: RunningSimulator, mailbox: Mailbox, clock: HandClock
) -> None:
    number = client.incoming_phone_numbers.list(phone_number=SENDER)[0]
    number.update(sms_url=f"{mailbox.url}/twilio/inbound")
    text = {"from": PATIENT, "to": SENDER, "body": " stop "}
    answer = requests.post(f"{simulator.url}/simulator/inbound", json=text, timeout=20).json()
    assert answer == {"opt_out_type": "STOP"}
    for sender in ({"from_": SENDER}, {"messaging_service_sid": SERVICE}):
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to=PATIENT, body="x", **sender)
        assert caught.value.code == 21610
    client.messages.create(to=PATIENT, from_=OTHER_SENDER, body="x")
    client.messages.create(to="+12025550144", from_=SENDER, body="x")
    assert simulator.receive(PATIENT, SERVICE, "Start") == "START"
    for sender in ({"from_": SENDER}, {"messaging_service_sid": SERVICE}):
        client.messages.create(to=PATIENT, body="x", **sender)
    assert simulator.receive(PATIENT, SENDER, "help") == "HELP"
    assert simulator.receive(PATIENT, SENDER, "please stop") is None
    until(lambda: len(mailbox.mail) == 4)
    by_body = {fields["Body"]: fields for _, fields, _ in mailbox.mail}
    assert [by_body[b].get("OptOutType") for b in (" stop ", "Start", "help", "please stop")] == [
        "STOP",
        "START",
        "HELP",
        None,
    ]
    assert {(f["From"], f["To"], f["MessagingServiceSid"]) for f in by_body.values()} == {(PATIENT, SENDER, SERVICE)}
    validator = RequestValidator("t0ken")
    assert all(validator.validate(mailbox.url + path, fields, signature) for path, fields, signature in mailbox.mail)
    assert [m.direction for m in client.messages.list(from_=PATIENT)] == ["inbound"] * 4


def test_an_inbound_text_to_a_strange_number_is_404(simulator: RunningSimulator) -> None:
    text = {"from": PATIENT, "to": "+13035550100", "body": "STOP"}
    assert requests.post(f"{simulator.url}/simulator/inbound", json=text, timeout=20).status_code == 404


@pytest.mark.parametrize("service", [False, True], ids=["number", "service"])
@pytest.mark.parametrize("final", ["delivered", "undelivered", "failed", "sent"])
def test_a_timeline_only_moves_forward_and_its_start_is_never_told(service: bool, final: str) -> None:
    steps = timeline(
        SimulatedOutcome(final=final, error_code=None),
        accepted=NOW,
        wait=timedelta(seconds=3),
        valid_for=timedelta(hours=1),
        service=service,
    )
    assert [s.at for s in steps] == sorted(s.at for s in steps)
    assert (steps[0].status, steps[-1].status) == ("accepted" if service else "queued", final)
    told = [s.status for s in callbacks(steps, CallbackMode.ON_TIME, timedelta(0))]
    assert told == [s.status for s in steps[1:] if s.status != "sending"]
