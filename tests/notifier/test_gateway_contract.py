"""One suite for every gateway: what the port promises holds whatever carries the text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from io import StringIO
from pathlib import Path

import pytest

from notifier.console import ConsoleGateway
from notifier.file_gateway import FileGateway
from notifier.gateway import (
    Accepted,
    Ambiguous,
    DeliveryStatus,
    Gateway,
    GatewayUnavailableError,
    NotSent,
    Receipt,
    Refused,
    Resend,
    SentMessage,
)
from notifier.gateways import failure_of
from tests.notifier.http_json import test_gateway as http_json
from tests.notifier.samples import NOW, SMS, sms
from tests.notifier.scripted_server import (
    Act,
    Script,
    answer,
    drip,
    hang_up,
    redirect,
    refused_url,
    reset,
    serving,
    trickle,
    wait_for,
)
from tests.notifier.twilio import test_gateway as twilio


@dataclass(frozen=True)
class Kind:
    """A gateway that talks to a server.

    Attributes:
        open_at: (url, seconds of the time-out) -> the gateway.
        taken: an answer to a create that was taken; `taken_kept_alive` leaves the connection open.
        refusals: answers that refuse it, with the code that the failure must have.
    """

    name: str
    open_at: Callable[[str, float], Gateway]
    taken: Act
    taken_kept_alive: Act
    message_id: str
    refusals: tuple[tuple[Act, int], ...]

    @contextmanager
    def opened(self, *acts: Act, timeout: float = 30) -> Iterator[tuple[Gateway, Script]]:
        with serving(*acts) as script:
            gateway = self.open_at(script.url, timeout)
            try:
                yield gateway, script
            finally:
                gateway.close()


NETWORKED = (
    Kind(
        name="twilio",
        open_at=lambda url, timeout: twilio.gateway_at(url, timeout=timeout),
        taken=answer(201, twilio.message()),
        taken_kept_alive=answer(201, twilio.message(), close=False),
        message_id=twilio.SID,
        refusals=((twilio.error(21610, 400), 21610), (answer(429), 20429), (answer(418), 0)),
    ),
    Kind(
        name="http",
        open_at=lambda url, timeout: http_json.gateway_at(url, timeout=timeout),
        taken=answer(202, http_json.TAKEN),
        taken_kept_alive=answer(202, http_json.TAKEN, close=False),
        message_id="gw-17",
        refusals=((answer(403, {"code": "opted_out"}), 104), (answer(429), 140), (answer(418), 199)),
    ),
)
networked = pytest.mark.parametrize("kind", NETWORKED, ids=lambda kind: kind.name)


@pytest.fixture(params=["console", "file", *(kind.name for kind in NETWORKED)])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """One that takes every text."""
    kinds = {kind.name: kind for kind in NETWORKED}
    served: AbstractContextManager[tuple[Gateway, object]]
    if request.param in kinds:
        served = kinds[request.param].opened(kinds[request.param].taken)
    elif request.param == "file":
        served = nullcontext((FileGateway(tmp_path / "outbox.jsonl", lambda: NOW), None))
    else:
        served = nullcontext((ConsoleGateway(StringIO()), None))
    with served as (opened, _):
        yield opened
        opened.close()


# Every gateway


def test_a_text_that_is_taken_has_an_id_and_a_status_of_ours(gateway: Gateway) -> None:
    receipt = gateway.send(SMS)
    assert isinstance(receipt, Accepted)
    assert receipt.message_id
    assert isinstance(receipt.status, DeliveryStatus)


def test_it_says_what_may_be_sent_once_more(gateway: Gateway) -> None:
    assert isinstance(gateway.resends, Resend)


def test_threads_share_it(gateway: Gateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(gateway.send, [sms(id=f"{number:032x}") for number in range(24)]))
    assert [type(receipt) for receipt in receipts] == [Accepted] * 24


def test_what_is_looked_up_is_a_message_none_or_no_answer(gateway: Gateway) -> None:
    receipt = gateway.send(SMS)
    assert isinstance(receipt, Accepted)
    assert isinstance(gateway.fetch(receipt.message_id), SentMessage | None)
    assert isinstance(gateway.find(SMS, NOW), list | None)
    assert isinstance(gateway.forget(receipt.message_id), bool)


def test_it_can_be_closed_more_than_once(gateway: Gateway) -> None:
    gateway.send(SMS)
    for _ in range(3):
        gateway.close()


# Those that talk to a server

FAULTS: dict[str, Callable[[Callable[[], Script]], Act]] = {
    "500": lambda _: answer(500, {"code": 20500}),
    "503": lambda _: answer(503),
    "408": lambda _: answer(408),
    "no body": lambda _: answer(200),
    "no json": lambda _: answer(200, raw=b"<html>"),
    "no object": lambda _: answer(200, [1]),
    "no id": lambda _: answer(201, {"status": "sent"}),
    "half an answer": lambda _: answer(200, {"id": "x", "sid": "y"}, length=4000),
    "reset": lambda _: reset,
    "hung up": lambda _: hang_up,
    "silence": lambda script: wait_for(script),
}


@networked
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_is_no_clear_answer_is_ambiguous_and_asked_once(kind: Kind, fault: str) -> None:
    scripts: list[Script] = []
    act = FAULTS[fault](lambda: scripts[0])
    with kind.opened(act, timeout=0.2 if fault == "silence" else 30) as (gateway, script):
        scripts.append(script)
        receipt = gateway.send(SMS)
    assert isinstance(receipt, Ambiguous)
    assert receipt.why.replace("_", "").isalnum()
    assert [seen.method for seen in script.seen] == ["POST"]


@networked
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("before", "piece"),
    [
        pytest.param(b"HTTP/1.1 200 O", b"K", id="status line"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", id="interim answers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a", id="a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b" ", id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x", id="a chunk's extension"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b" ", id="body up to the end of the connection"),
    ],
)
def test_an_answer_that_comes_byte_by_byte_is_given_up_at_the_time_out(kind: Kind, before: bytes, piece: bytes) -> None:
    scripts: list[Script] = []
    with kind.opened(trickle(before, piece, lambda: scripts[0]), timeout=0.5) as (gateway, script):
        scripts.append(script)
        assert gateway.send(SMS) == Ambiguous(why="read_timeout")
    assert [seen.method for seen in script.seen] == ["POST"]


@networked
def test_a_connection_is_used_again_after_a_whole_answer(kind: Kind) -> None:
    ports: list[int] = []

    def act(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        kind.taken_kept_alive(handler)

    with kind.opened(act) as (gateway, _):
        receipts = [gateway.send(SMS) for _ in range(3)]
    assert all(isinstance(receipt, Accepted) for receipt in receipts)
    assert (len(ports), len(set(ports))) == (3, 1)


@networked
@pytest.mark.parametrize("number", [0, 1, 2], ids=["opted out", "rate limited", "unknown"])
def test_a_refusal_is_a_failure_of_the_gateways_table(kind: Kind, number: int) -> None:
    act, code = kind.refusals[number]
    with kind.opened(act) as (gateway, script):
        receipt = gateway.send(SMS)
    assert isinstance(receipt, Refused)
    assert receipt.failure.code == code
    assert receipt.failure.opt_out == (number == 0)
    if number < 2:
        assert failure_of(code) == receipt.failure, "a stored code means what it meant"
    assert len(script.seen) == 1


@networked
def test_nobody_listening_is_not_sent(kind: Kind) -> None:
    gateway = kind.open_at(refused_url(), 30)
    assert isinstance(gateway.send(SMS), NotSent)
    assert gateway.find(SMS, NOW) is None
    assert not gateway.forget(kind.message_id)
    with pytest.raises(GatewayUnavailableError):
        gateway.fetch(kind.message_id)
    gateway.close()


@networked
def test_no_redirect_carries_a_text_elsewhere(kind: Kind) -> None:
    with (
        serving(kind.taken) as elsewhere,
        kind.opened(redirect(307, lambda: f"{elsewhere.url}/inside")) as (gateway, script),
    ):
        assert not isinstance(gateway.send(SMS), Accepted)
        assert (len(script.seen), elsewhere.seen) == (1, [])


@networked
def test_a_message_that_the_gateway_does_not_know_is_none_and_gone(kind: Kind) -> None:
    with kind.opened(answer(404)) as (gateway, _):
        assert gateway.fetch(kind.message_id) is None
        assert gateway.forget(kind.message_id)


@networked
@pytest.mark.parametrize("act", [answer(500), answer(401), reset], ids=["500", "401", "reset"])
def test_a_look_up_without_an_answer_says_so(kind: Kind, act: Act) -> None:
    with kind.opened(act) as (gateway, _):
        assert gateway.find(SMS, NOW) is None
        assert not gateway.forget(kind.message_id)
        with pytest.raises(GatewayUnavailableError) as raised:
            gateway.fetch(kind.message_id)
    assert str(raised.value) == raised.value.code
    assert raised.value.code.replace("_", "").isalnum()


@networked
@pytest.mark.parametrize(
    "act",
    [answer(500), answer(400, {"code": 21211, "message": "no: +12025550143"}), reset, drip],
    ids=["500", "400", "reset", "drip"],
)
def test_nothing_of_a_patient_or_the_token_is_logged_or_in_a_receipt(
    kind: Kind, act: Act, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), kind.opened(act) as (gateway, script):
        receipt: Receipt = gateway.send(SMS)
        gateway.find(SMS, NOW)
    assert script.seen
    for shown in (caplog.text, repr(receipt), repr(gateway)):
        assert "2025550143" not in shown
        assert "reminder of your visit" not in shown
        assert http_json.TOKEN not in shown
        assert twilio.TOKEN not in shown
