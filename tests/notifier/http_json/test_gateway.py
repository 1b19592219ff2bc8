"""The HTTP gateway against a scripted server on loopback: what leaves, and what each answer means."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from notifier.gateway import (
    Accepted,
    Ambiguous,
    DeliveryStatus,
    GatewayUnavailableError,
    NotSent,
    Receipt,
    Refused,
    Resend,
    SentMessage,
)
from notifier.http_json.client import LARGEST_ANSWER, JsonClient, tls_context
from notifier.http_json.codes import delivery_failure_of, refusal_of
from notifier.http_json.gateway import HttpJsonGateway
from tests.notifier.samples import NOW, SMS, sms
from tests.notifier.scripted_server import (
    Act,
    Script,
    answer,
    hang_up,
    redirect,
    refused_url,
    reset,
    self_signed,
    serving,
    trickle,
    wait_for,
)

TOKEN = "bearer-t0ken"
PUBLIC = "https://sms.lamna.example/"
TAKEN = {"id": "gw-17", "status": "accepted"}


def gateway_at(
    url: str,
    public_url: str | None = PUBLIC,
    timeout: float = 30,
    tls: ssl.SSLContext | None = None,
) -> HttpJsonGateway:
    return HttpJsonGateway(JsonClient(TOKEN, timeout, tls or tls_context()), url, public_url)


@contextmanager
def gateway(*acts: Act, timeout: float = 30) -> Iterator[tuple[HttpJsonGateway, Script]]:
    with serving(*acts) as script:
        opened = gateway_at(f"{script.url}/v1/texts", timeout=timeout)
        try:
            yield opened, script
        finally:
            opened.close()


def test_what_leaves() -> None:
    with gateway(answer(202, TAKEN)) as (http, script):
        assert http.send(sms(body="Señor – 😀\nnew line")) == Accepted(message_id="gw-17")
    (seen,) = script.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/texts", {})
    assert json.loads(seen.body) == {
        "to": "+12025550143",
        "from": "+14255550100",
        "text": "Señor – 😀\nnew line",
        "segments": 1,
        "valid_seconds": 7200,
        "events_url": "https://sms.lamna.example/gateway/events",
    }
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["Idempotency-Key"] == SMS.id
    assert seen.headers["Content-Type"] == "application/json"


def test_the_date_of_each_answer_is_passed_on_to_compare_the_clocks() -> None:
    dates: list[str | None] = []
    with serving(answer(202, TAKEN), answer(500), reset) as script:
        client = JsonClient(TOKEN, 30, tls_context(), dates.append)
        http = HttpJsonGateway(client, script.url, None)
        for _ in range(3):
            http.send(sms())
        http.close()
    assert len(dates) == 2  # what was reset has no answer
    assert all(parsedate_to_datetime(date or "").tzinfo is not None for date in dates)


def test_every_attempt_of_a_text_has_the_same_key_and_another_text_another() -> None:
    with gateway(answer(202, TAKEN)) as (http, script):
        for number, text in ((1, SMS.id), (2, SMS.id), (1, "ab" * 16)):
            http.send(sms(id=text, attempt=number))
        assert http.resends is Resend.ALWAYS
    assert [seen.headers["Idempotency-Key"] for seen in script.seen] == [SMS.id, SMS.id, "ab" * 16]


@pytest.mark.parametrize(
    ("useful", "seconds"), [(timedelta(seconds=-5), 1), (timedelta(seconds=90), 90), (timedelta(days=2), 172_800)]
)
def test_a_text_says_how_long_it_is_of_use(useful: timedelta, seconds: int) -> None:
    with serving(answer(202, TAKEN)) as script:
        http = gateway_at(script.url, public_url=None)
        http.send(sms(valid_for=useful))
        http.close()
    sent = json.loads(script.seen[0].body)
    assert sent["valid_seconds"] == seconds
    assert "events_url" not in sent


CLEAR: dict[str, tuple[Act, Receipt]] = {
    "200": (answer(200, TAKEN), Accepted(message_id="gw-17")),
    "sent": (answer(201, {"id": "1", "status": "sent"}), Accepted(message_id="1", status=DeliveryStatus.SENT)),
    "other-status": (answer(201, {"id": "1", "status": "queued"}), Accepted(message_id="1")),
    "no-status": (answer(201, {"id": "1", "more": [1]}), Accepted(message_id="1")),
    "failed-at-once": (
        answer(200, {"id": "1", "status": "failed", "code": "landline"}),
        Refused(failure=delivery_failure_of("landline")),
    ),
    "failed-without-a-word": (
        answer(200, {"id": "1", "status": "failed"}),
        Refused(failure=delivery_failure_of("undelivered")),
    ),
    "400-word": (answer(400, {"code": "invalid_number"}), Refused(failure=refusal_of("invalid_number", 400))),
    "403-word": (answer(403, {"code": "opted_out"}), Refused(failure=refusal_of("opted_out", 403))),
    "401": (answer(401, raw=b"<html>"), Refused(failure=refusal_of("unauthorized", 401))),
    "404": (answer(404), Refused(failure=refusal_of("wrong_address", 404))),
    "418": (answer(418, {"code": "teapot"}), Refused(failure=refusal_of(None, 418))),
    "422-list": (answer(422, ["code"]), Refused(failure=refusal_of(None, 422))),
    "422-number": (answer(422, {"code": 7}), Refused(failure=refusal_of(None, 422))),
    "429": (
        answer(429, headers={"Retry-After": "120"}),
        Refused(failure=refusal_of("rate_limited", 429), retry_after=timedelta(minutes=2)),
    ),
    "429-date": (
        answer(429, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
        Refused(failure=refusal_of("rate_limited", 429)),
    ),
    "429-forever": (
        answer(429, headers={"Retry-After": "999999"}),
        Refused(failure=refusal_of("rate_limited", 429), retry_after=timedelta(hours=24)),
    ),
    "503-not-taken": (
        answer(503, {"code": "unavailable"}, headers={"Retry-After": "30"}),
        Refused(failure=refusal_of("unavailable", 503), retry_after=timedelta(seconds=30)),
    ),
}


@pytest.mark.parametrize("case", CLEAR)
def test_clear_answers(case: str) -> None:
    act, expected = CLEAR[case]
    with gateway(act) as (http, script):
        assert http.send(SMS) == expected
    assert len(script.seen) == 1


UNCLEAR: dict[str, tuple[Act, str]] = {
    "500": (answer(500), "http_500"),
    "500-word": (answer(500, {"code": "invalid_number"}), "http_500"),
    "502": (answer(502, raw=b"<html>"), "http_502"),
    "503": (answer(503), "http_503"),
    "503-other-word": (answer(503, {"code": "rate_limited"}), "http_503"),
    "500-unavailable": (answer(500, {"code": "unavailable"}), "http_500"),
    "408": (answer(408), "http_408"),
    "409": (answer(409, {"code": "invalid_request"}), "http_409"),
    "empty": (answer(200), "unreadable_answer"),
    "no-json": (answer(200, raw=b"OK"), "unreadable_answer"),
    "not-utf-8": (answer(200, raw=b'{"id": "\xff"}'), "unreadable_answer"),
    "list": (answer(200, [TAKEN]), "unreadable_answer"),
    "deep": (answer(200, raw=b"[" * 60_000), "unreadable_answer"),
    "no-id": (answer(200, {"status": "accepted"}), "unreadable_answer"),
    "number-id": (answer(200, {"id": 17}), "unreadable_answer"),
    "blank-id": (answer(200, {"id": "a b"}), "unreadable_answer"),
    "long-id": (answer(200, {"id": "a" * 129}), "unreadable_answer"),
    "endless": (answer(200, raw=b" " * (LARGEST_ANSWER + 1)), "unreadable_answer"),
    "cut-short": (answer(200, TAKEN, length=900), "connection_lost"),
    "reset": (reset, "connection_lost"),
    "hung-up": (hang_up, "connection_lost"),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_unclear_answers_are_ambiguous_and_nothing_is_repeated(case: str) -> None:
    act, why = UNCLEAR[case]
    with gateway(act) as (http, script):
        assert http.send(SMS) == Ambiguous(why=why)
    assert len(script.seen) == 1


def test_an_answer_that_does_not_come_is_ambiguous() -> None:
    scripts: list[Script] = []
    with gateway(wait_for(lambda: scripts[0]), timeout=0.2) as (http, script):
        scripts.append(script)
        assert http.send(SMS) == Ambiguous(why="read_timeout")
    assert len(script.seen) == 1


@pytest.mark.timeout(60)
def test_over_tls_too_an_answer_that_comes_byte_by_byte_is_given_up_at_the_time_out(tmp_path: Path) -> None:
    scripts: list[Script] = []
    slow = trickle(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a", lambda: scripts[0])
    with serving(answer(202, TAKEN), slow, tls=self_signed(tmp_path)) as script:
        scripts.append(script)
        http = gateway_at(script.url, timeout=5, tls=tls_context((tmp_path / "server.pem").read_text("ascii")))
        assert isinstance(http.send(SMS), Accepted)
        assert http.send(SMS) == Ambiguous(why="read_timeout")
        http.close()


def test_nobody_listening_is_not_sent() -> None:
    assert gateway_at(refused_url()).send(SMS) == NotSent(why="not_connected")


def test_a_certificate_nobody_vouches_for_never_gets_the_text(tmp_path: Path) -> None:
    with serving(answer(202, TAKEN), tls=self_signed(tmp_path)) as script:
        http = gateway_at(script.url)
        assert http.send(SMS) == NotSent(why="certificate")
        http.close()
    assert script.seen == []


def test_a_private_authority_vouches_for_its_own(tmp_path: Path) -> None:
    with serving(answer(202, TAKEN), tls=self_signed(tmp_path)) as script:
        pem = (tmp_path / "server.pem").read_text("ascii")
        http = gateway_at(script.url, tls=tls_context(pem[pem.index("-----BEGIN CERT") :]))
        assert http.send(SMS) == Accepted(message_id="gw-17")
        http.close()
        other = gateway_at(
            script.url.replace("127.0.0.1", "localhost"), tls=tls_context(pem[pem.index("-----BEGIN C") :])
        )
        assert other.send(SMS) == NotSent(why="certificate"), "another name than the certificate's"
        other.close()
    assert len(script.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_answer_sends_a_text_or_the_token_elsewhere(status: int) -> None:
    with (
        serving(answer(200, TAKEN)) as elsewhere,
        gateway(redirect(status, lambda: f"{elsewhere.url}/inside")) as (http, script),
    ):
        assert http.send(SMS) == Refused(failure=refusal_of("wrong_address", status))
        with pytest.raises(GatewayUnavailableError):
            http.fetch("gw-17")
        assert http.find(SMS, NOW) is None
        assert not http.forget("gw-17")
        assert len(script.seen) == 4
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    "url", ["http://gateway.example", "http://127.example/v1", "ftp://localhost", "gateway.example"]
)
def test_the_token_does_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError, match=r"https|URL"):
        gateway_at(url)


def test_the_machines_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, refused_url())
    with gateway(answer(202, TAKEN)) as (http, _):
        assert http.send(SMS) == Accepted(message_id="gw-17")


def test_a_private_authority_that_is_none_is_found_at_once() -> None:
    with pytest.raises(ssl.SSLError):
        tls_context("-----BEGIN NOTHING-----")


# What is asked for


def test_a_text_is_asked_for_by_the_gateways_id() -> None:
    with gateway(answer(200, {"id": "gw/17", "status": "undelivered", "code": "unreachable"})) as (http, script):
        assert http.fetch("gw/17") == SentMessage(
            message_id="gw/17", status=DeliveryStatus.UNDELIVERED, failure=delivery_failure_of("unreachable")
        )
    assert (script.seen[0].method, script.seen[0].path) == ("GET", "/v1/texts/gw%2F17")
    assert script.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [404, 410])
def test_a_text_that_the_gateway_does_not_know(status: int) -> None:
    with gateway(answer(status)) as (http, _):
        assert http.fetch("gw-17") is None


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (answer(500), "http_500"),
        (answer(401), "http_401"),
        (answer(200), "unreadable_answer"),
        (reset, "connection_lost"),
    ],
)
def test_a_gateway_that_does_not_tell_is_asked_again_later(act: Act, code: str) -> None:
    with gateway(act) as (http, _), pytest.raises(GatewayUnavailableError) as raised:
        http.fetch("gw-17")
    assert raised.value.code == code


def test_an_ambiguous_text_is_looked_up_by_its_key() -> None:
    with gateway(answer(200, {"id": "gw-17", "status": "delivered"})) as (http, script):
        assert http.find(SMS, NOW) == [SentMessage(message_id="gw-17", status=DeliveryStatus.DELIVERED)]
    assert (script.seen[0].method, script.seen[0].path, script.seen[0].query) == ("GET", "/v1/texts", {"key": SMS.id})


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (answer(404), []),
        (answer(405), []),
        (answer(410), []),
        (answer(501), []),
        (answer(500), None),
        (answer(403), None),
        (answer(200, [TAKEN]), None),
        (reset, None),
    ],
)
def test_what_a_look_up_without_the_text_means(act: Act, expected: list[SentMessage] | None) -> None:
    with gateway(act) as (http, _):
        assert http.find(SMS, NOW) == expected


@pytest.mark.parametrize(
    ("act", "gone"),
    [
        (answer(204), True),
        (answer(200, {}), True),
        (answer(404), True),
        (answer(410), True),
        (answer(409), False),
        (answer(405), False),
        (answer(500), False),
        (reset, False),
    ],
)
def test_the_gateways_copy_is_deleted(act: Act, gone: bool) -> None:
    with gateway(act) as (http, script):
        assert http.forget("gw-17") is gone
    assert (script.seen[0].method, script.seen[0].path) == ("DELETE", "/v1/texts/gw-17")
