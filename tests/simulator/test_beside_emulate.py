"""The same questions to two simulated Twilios: ours and npm `emulate@0.8.0`, for what both offer.

Two independent readings of Twilio's API agreeing is worth more than one agreeing with itself. `emulate` knows no opt-outs,
rates, faults or final-status rule, its pages overlap, and it refuses other things with other codes; none of that is asked here.

Needs node; npm installs the package, pinned (`tests.interop.npm`), or the tests skip with the reason.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from simulator.account import AccountSettings
from simulator.twilio_api import running_simulator
from tests.interop.npm import installed
from tests.simulator.client import twilio_client
from tests.simulator.conftest import PATIENT, HandClock

ACCOUNT, TOKEN = "AC" + "0" * 32, "twilio_test_auth_token"
SENDER = "+13035550101"
START = """
const { createEmulator } = await import(process.argv[1]);
const emulator = await createEmulator({ service: "twilio", port: Number(process.argv[2]) });
console.log(emulator.url);
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["ours", pytest.param("emulate", marks=pytest.mark.interop)])
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    """The base URL of one of the two."""
    if request.param == "ours":
        with running_simulator(AccountSettings(account_sid=ACCOUNT, auth_token=TOKEN), clock=HandClock()) as simulator:
            yield simulator.url
        return
    module = installed() / "node_modules" / "emulate" / "dist" / "api.js"
    command = ["node", "--input-type=module", "-e", START, module.as_uri(), str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
def client(base: str) -> Iterator[Any]:
    with twilio_client(base, ACCOUNT, TOKEN) as made:
        made.incoming_phone_numbers.create(phone_number=SENDER, friendly_name="Clinic")
        yield made


def test_a_text_is_created_fetched_and_listed(client: Any) -> None:
    made = client.messages.create(to=PATIENT, from_=SENDER, body="See you at 9:00")
    seen = [made, client.messages(made.sid).fetch(), *client.messages.list(to=PATIENT, from_=SENDER)]
    assert [(m.sid, m.to, m.from_, m.body, m.num_segments) for m in seen] == [
        (made.sid, PATIENT, SENDER, "See you at 9:00", "1")
    ] * 3
    assert (made.status, made.direction, made.error_code, made.account_sid) == ("queued", "outbound-api", None, ACCOUNT)
    assert made.sid.startswith("SM")
    assert made.date_created.utcoffset().total_seconds() == 0
    assert client.messages.list(to="+12025550144") == []


def test_a_bought_number_is_listed_linked_and_released(client: Any) -> None:
    (bought,) = client.incoming_phone_numbers.list(phone_number=SENDER)
    assert (bought.phone_number, bought.friendly_name) == (SENDER, "Clinic")
    linked = client.incoming_phone_numbers(bought.sid).update(sms_url="https://sms.lamna.example/twilio/inbound")
    assert linked.sms_url == "https://sms.lamna.example/twilio/inbound"
    assert client.incoming_phone_numbers(bought.sid).delete() is True
    assert client.incoming_phone_numbers.list(phone_number=SENDER) == []


def test_the_same_refusals(client: Any, base: str) -> None:
    def refusal(call: Any, **params: Any) -> tuple[int, int]:
        with pytest.raises(TwilioRestException) as caught:
            call(**params)
        return caught.value.status, caught.value.code

    assert refusal(client.messages.create, to=PATIENT, body="x") == (400, 21603)
    assert refusal(client.messages("SM" + "0" * 32).fetch) == (404, 20404)
    with twilio_client(base, ACCOUNT, "wrong") as stranger:
        assert refusal(stranger.messages("SM" + "0" * 32).fetch) == (401, 20003)
        assert refusal(stranger.messages.create, to=PATIENT, from_=SENDER, body="x") == (401, 20003)
