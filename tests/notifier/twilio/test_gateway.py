"""The Twilio gateway through the real client: what leaves, and what every kind of answer and silence means."""

from __future__ import annotations

import base64
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from twilio.http.response import Response

from notifier.gateway import (
    Accepted,
    Ambiguous,
    DeliveryStatus,
    Gateway,
    GatewayUnavailableError,
    NotSent,
    Receipt,
    Refused,
    SentMessage,
)
from notifier.twilio.codes import failure_of, refusal_of
from notifier.twilio.credentials import Credentials
from notifier.twilio.gateway import TwilioGateway
from notifier.twilio.http import BoundedHttpClient, InsecureBaseUrlError, make_client
from parser.phone_number import PhoneNumber
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
    wait_for,
)

ACCOUNT = "AC" + "1" * 32
SID = "SM" + "2" * 32
SERVICE = "MG" + "3" * 32
TOKEN = "token-of-spring"  # a test's
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
MESSAGE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json"


def message(**changes: object) -> dict[str, object]:
    return {
        "sid": SID,
        "account_sid": ACCOUNT,
        "status": "queued",
        "to": "+12025550143",
        "from": SMS.sender,
        "messaging_service_sid": None,
        "body": SMS.body,
        "direction": "outbound-api",
        "error_code": None,
        "date_created": format_datetime(NOW),
        "date_sent": None,
        **changes,
    }


def error(code: int, status: int) -> Act:
    return answer(status, {"code": code, "message": "no: +12025550143", "more_info": "", "status": status})


def gateway_at(url: str, public_url: str | None = "https://sms.lamna.example/", timeout: float = 30) -> TwilioGateway:
    http = BoundedHttpClient(url, timeout)
    http.session.trust_env = False  # a proxy of the machine that runs the tests is none of theirs
    client = make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN, "token-of-winter")), http)
    return TwilioGateway(client, http, public_url)


@contextmanager
def gateway(
    *acts: Act, public_url: str | None = "https://sms.lamna.example/", timeout: float = 30
) -> Iterator[tuple[Gateway, Script]]:
    with serving(*acts) as script:
        opened = gateway_at(script.url, public_url, timeout)
        try:
            yield opened, script
        finally:
            opened.close()


def test_what_leaves() -> None:
    with gateway(answer(201, message())) as (twilio, script):
        assert twilio.send(SMS) == Accepted(message_id=SID)
    (seen,) = script.seen
    assert (seen.method, seen.path, seen.query) == ("POST", MESSAGES, {})
    assert seen.form == {
        "To": "+12025550143",
        "From": "+14255550100",
        "Body": SMS.body,
        "StatusCallback": f"https://sms.lamna.example/twilio/status?m={SMS.id}&a=1",
        "ValidityPeriod": "7200",
    }
    # The first token signs.
    assert seen.headers["Authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()


def test_a_messaging_service_as_sender_and_no_public_url() -> None:
    with gateway(answer(201, message(status="accepted")), public_url=None) as (twilio, script):
        assert twilio.send(sms(sender=SERVICE)) == Accepted(message_id=SID)
    assert script.seen[0].form["MessagingServiceSid"] == SERVICE
    assert not {"From", "StatusCallback"} & set(script.seen[0].form)


@pytest.mark.parametrize(
    ("useful", "seconds"),
    [(timedelta(0), "6"), (timedelta(seconds=-5), "6"), (timedelta(seconds=90), "90"), (timedelta(days=2), "36000")],
)
def test_the_validity_period_is_clamped(useful: timedelta, seconds: str) -> None:
    with gateway(answer(201, message())) as (twilio, script):
        twilio.send(sms(valid_for=useful))
    assert script.seen[0].form["ValidityPeriod"] == seconds


CLEAR: dict[str, tuple[Act, Receipt]] = {
    "21610": (error(21610, 400), Refused(failure=refusal_of(21610, 400))),
    "20003": (error(20003, 401), Refused(failure=refusal_of(20003, 401))),
    "20429": (error(20429, 429), Refused(failure=refusal_of(20429, 429))),
    "429-bare": (answer(429, raw=b"slow down"), Refused(failure=refusal_of(20429, 429))),
    "429-other": (error(63018, 429), Refused(failure=refusal_of(63018, 429))),
    "403-page": (answer(403, raw=b"<html>"), Refused(failure=refusal_of(0, 403))),
    "400-list": (answer(400, []), Refused(failure=refusal_of(0, 400))),
    "400-half": (answer(400, raw=b'{"code": 216'), Refused(failure=refusal_of(0, 400))),
    "407": (answer(407, raw=b""), NotSent(why="proxy_refused")),
    "problem-details": (
        answer(400, {"type": "https://x.example", "title": "no", "status": 400, "code": 21211}),
        Refused(failure=refusal_of(21211, 400)),
    ),
}

UNCLEAR: dict[str, tuple[Act, str]] = {
    "500": (error(20500, 500), "http_500"),
    "503": (error(20503, 503), "http_503"),
    "502-page": (answer(502, raw=b"<html>"), "http_502"),
    "302": (answer(302, raw=b""), "http_302"),
    "408": (answer(408, raw=b""), "http_408"),
    "reset": (reset, "connection_lost"),
    "hang-up": (hang_up, "connection_lost"),
    "cut-short": (answer(201, raw=b'{"sid": "SM22', length=400), "connection_lost"),
    "half-json": (answer(201, raw=b'{"sid": "SM22'), "unreadable_answer"),
    "no-json": (answer(200, raw=b"<html>welcome to the hotel's network</html>"), "unreadable_answer"),
    "empty": (answer(201), "unreadable_answer"),
    "list": (answer(201, [1]), "unreadable_answer"),
    "null": (answer(201, raw=b"null"), "unreadable_answer"),
    "no-sid": (answer(201, {"status": "queued"}), "unreadable_answer"),
    "odd-sid": (answer(201, message(sid="../../Messages")), "unreadable_answer"),
}


@pytest.mark.parametrize(("act", "receipt"), list(CLEAR.values()), ids=list(CLEAR))
def test_clear_answers(act: Act, receipt: Receipt) -> None:
    with gateway(act) as (twilio, script):
        assert twilio.send(SMS) == receipt
    assert len(script.seen) == 1


@pytest.mark.parametrize(("act", "why"), list(UNCLEAR.values()), ids=list(UNCLEAR))
def test_unclear_answers_are_ambiguous_and_never_repeated(act: Act, why: str) -> None:
    with gateway(act) as (twilio, script):
        assert twilio.send(SMS) == Ambiguous(why=why)
    assert [seen.method for seen in script.seen] == ["POST"]


def test_silence_is_ambiguous() -> None:
    scripts: list[Script] = []
    with gateway(wait_for(lambda: scripts[0]), timeout=0.2) as (twilio, script):
        scripts.append(script)
        assert twilio.send(SMS) == Ambiguous(why="read_timeout")
    assert len(script.seen) == 1


def test_a_connection_that_died_between_two_texts_is_ambiguous_not_retried() -> None:
    with gateway(answer(201, message()), reset, answer(201, message())) as (twilio, script):
        receipts = [twilio.send(SMS) for _ in range(3)]
    assert receipts == [
        Accepted(message_id=SID),
        Ambiguous(why="connection_lost"),
        Accepted(message_id=SID),
    ]
    assert len(script.seen) == 3


def test_many_threads_each_get_their_own_answer() -> None:
    """The library hands answers through an attribute that all its threads share; ours must not mix two texts up."""

    def echo(handler: BaseHTTPRequestHandler) -> None:
        # The answer to the request this very thread has just read.
        body = next(seen.form["Body"] for seen in script.seen if seen.form["To"] == handler.headers["X-Echo"])
        answer(201, message(sid=f"SM{int(body):032x}"))(handler)

    class Marked(BoundedHttpClient):
        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
            kwargs["headers"]["X-Echo"] = kwargs["data"]["To"]
            return super().request(method, url, *args, **kwargs)

    with serving(echo) as script:
        http = Marked(script.url, 30)
        http.session.trust_env = False
        twilio = TwilioGateway(make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http), http, None)
        texts = [sms(body=str(number), to=PhoneNumber(f"+120255501{number:02d}")) for number in range(60)]
        with ThreadPoolExecutor(12) as pool:
            receipts = list(pool.map(twilio.send, texts))
        twilio.close()
    assert receipts == [Accepted(message_id=f"SM{number:032x}") for number in range(60)]


def test_an_answer_in_one_thread_is_not_seen_in_another() -> None:
    http = BoundedHttpClient("http://127.0.0.1", 10)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(setattr, http, "_test_only_last_response", "of another text").result()
        assert http._test_only_last_response is None
        assert pool.submit(getattr, http, "_test_only_last_response").result() == "of another text"


def test_the_date_of_each_answer_is_passed_on_to_compare_the_clocks() -> None:
    dates: list[str | None] = []
    with serving(answer(201, message()), error(21211, 400)) as script:
        http = BoundedHttpClient(script.url, 30, dates.append)
        http.session.trust_env = False
        client = make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http)
        twilio = TwilioGateway(client, http, None)
        for _ in range(2):
            twilio.send(SMS)
        twilio.close()
    assert len(dates) == 2
    assert all(parsedate_to_datetime(date or "").tzinfo is not None for date in dates)


def test_nobody_listening_is_not_sent() -> None:
    assert gateway_at(refused_url()).send(SMS) == NotSent(why="not_connected")


def test_an_unknown_host_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert gateway_at("https://twilio.invalid").send(SMS) == NotSent(why="not_connected")


def test_a_proxy_that_is_not_there_or_refuses_is_not_sent() -> None:
    for proxy, why in ((refused_url(), "not_connected"), (None, "proxy_refused")):
        with serving(answer(500)) as script:
            http = BoundedHttpClient("https://api.twilio.com", 30)
            http.session.trust_env = False
            http.proxy = {"https": proxy or script.url}  # the scripted server knows no CONNECT: 501
            client = make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http)
            assert TwilioGateway(client, http, None).send(SMS) == NotSent(why=why)
            http.close()
        assert script.seen == []


def test_a_certificate_nobody_vouches_for_never_gets_the_text(tmp_path: Path) -> None:
    with serving(answer(201, message()), tls=self_signed(tmp_path)) as script:
        twilio = gateway_at(script.url)
        assert twilio.send(SMS) == NotSent(why="certificate")
        twilio.close()
    assert script.seen == []


def test_plain_http_speaking_server_behind_https_never_gets_the_text() -> None:
    with serving(answer(201, message())) as script:
        receipt = gateway_at(script.url.replace("http:", "https:").replace("127.0.0.1", "localhost")).send(SMS)
    assert isinstance(receipt, NotSent | Ambiguous)
    assert script.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_answer_sends_a_text_or_the_token_elsewhere(status: int) -> None:
    with (
        serving(answer(200, message())) as elsewhere,
        gateway(redirect(status, lambda: f"{elsewhere.url}/inside")) as (twilio, script),
    ):
        assert twilio.send(SMS) == Ambiguous(why=f"http_{status}")
        with pytest.raises(GatewayUnavailableError):
            twilio.fetch(SID)
        assert twilio.find(SMS, NOW) is None
        assert not twilio.forget(SID)
        assert len(script.seen) == 4
        assert elsewhere.seen == []


@pytest.mark.parametrize("url", ["http://api.twilio.com", "http://127.example", "ftp://localhost", "api.twilio.com"])
def test_the_token_does_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(InsecureBaseUrlError):
        BoundedHttpClient(url, 10)


def test_the_environment_variables_of_the_library_change_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "evil")
    monkeypatch.setenv("TWILIO_REGION", "evil")
    client = make_client(
        Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), BoundedHttpClient("https://api.twilio.com", 10)
    )
    assert client.get_hostname("https://api.twilio.com/x") == "https://api.twilio.com/x"


def test_nothing_of_a_patient_is_logged_or_kept(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        serving(answer(201, message()), error(21610, 400), answer(200, {"messages": []})) as script,
    ):
        http = BoundedHttpClient(script.url, 30)
        http.session.trust_env = False
        twilio = TwilioGateway(make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http), http, None)
        twilio.send(SMS)
        receipt = twilio.send(SMS)
        twilio.find(SMS, NOW)
        twilio.close()
        kept = repr(vars(http))
    assert len(script.seen) == 4
    for shown in (caplog.text, repr(receipt), kept):
        assert "2025550143" not in shown
        assert "reminder of your visit" not in shown


def test_a_path_in_the_base_url_is_kept() -> None:
    with serving(answer(201, message())) as script:
        twilio = gateway_at(f"{script.url}/twilio/")
        twilio.send(SMS)
        twilio.close()
    assert script.seen[0].path == f"/twilio{MESSAGES}"


# fetch


def test_fetch() -> None:
    sent = message(status="undelivered", error_code=30003, date_sent=format_datetime(NOW))
    with gateway(answer(200, sent)) as (twilio, script):
        messages = twilio.fetch(SID)
    assert messages == SentMessage(
        message_id=SID,
        status=DeliveryStatus.UNDELIVERED,
        failure=failure_of(30003),
        to=PhoneNumber("+12025550143"),
        body=SMS.body,
        sent_at=NOW,
    )
    assert (script.seen[0].method, script.seen[0].path) == ("GET", MESSAGE)


def test_fetch_of_what_twilio_does_not_know() -> None:
    with gateway(error(20404, 404)) as (twilio, _):
        assert twilio.fetch(SID) is None


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (error(20500, 500), "http_500"),
        (error(20003, 401), "http_401"),
        (reset, "connection_lost"),
        (answer(200, [1]), "unreadable_answer"),
    ],
)
def test_fetch_without_a_clear_answer_raises_a_word(act: Act, code: str) -> None:
    with gateway(act) as (twilio, _), pytest.raises(GatewayUnavailableError) as caught:
        twilio.fetch(SID)
    assert (caught.value.code, str(caught.value)) == (code, code)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# find


def listing(*messages: dict[str, object]) -> Act:
    return answer(200, {"messages": list(messages), "page": 0, "page_size": 20, "next_page_uri": None})


def test_find_asks_for_the_numbers_and_the_time() -> None:
    with gateway(listing(message())) as (twilio, script):
        messages = twilio.find(SMS, NOW)
    assert messages is not None
    assert [message.message_id for message in messages] == [SID]
    (seen,) = script.seen
    assert seen.path == MESSAGES
    assert seen.query == {
        "To": "+12025550143",
        "From": "+14255550100",
        "DateSent>": "2026-03-02T15:04:00Z",
        "PageSize": "20",
    }


def test_find_looks_again_for_what_has_not_left_the_queue() -> None:
    with gateway(listing(), listing(message())) as (twilio, script):
        messages = twilio.find(SMS, NOW)
    assert messages is not None
    assert [message.message_id for message in messages] == [SID]
    assert "DateSent>" not in script.seen[1].query


@pytest.mark.parametrize(
    "other",
    [
        {"to": "+12025550144"},
        {"from": "+14255550199"},
        {"direction": "inbound"},
        {"date_created": format_datetime(NOW - timedelta(seconds=6))},
        {"date_created": None, "date_sent": format_datetime(NOW - timedelta(seconds=6))},
    ],
    ids=["to", "from", "inbound", "earlier", "sent-earlier"],
)
def test_find_is_not_taken_in_by_other_messages(other: dict[str, object]) -> None:
    with gateway(listing(message(**other))) as (twilio, _):
        assert twilio.find(SMS, NOW) == []


@pytest.mark.parametrize("body", ["another text", "", None], ids=["other", "redacted", "none"])
def test_find_tells_the_very_text_from_others_to_the_number(body: str | None) -> None:
    other = message(sid="SM" + "3" * 32, body=body)
    with gateway(listing(other), listing(other, message())) as (twilio, _):
        messages = twilio.find(SMS, NOW)
    assert messages is not None
    assert [(message.message_id, message.same) for message in messages] == [(SID, True), ("SM" + "3" * 32, False)]


def test_find_allows_for_twilios_clock_and_a_trial_accounts_prefix() -> None:
    odd = message(
        date_created=format_datetime(NOW - timedelta(seconds=5)),
        body=f"Sent from your Twilio trial account - {SMS.body}",
    )
    with gateway(listing(odd)) as (twilio, _):
        assert len(twilio.find(SMS, NOW) or []) == 1


def test_find_by_messaging_service() -> None:
    matching, other = message(messaging_service_sid=SERVICE), message(messaging_service_sid="MG" + "4" * 32)
    with gateway(listing(other, matching)) as (twilio, script):
        assert len(twilio.find(sms(sender=SERVICE), NOW) or []) == 1
    assert "From" not in script.seen[0].query


@pytest.mark.parametrize(
    "act", [error(20500, 500), reset, answer(200, raw=b"{"), answer(200, {"messages": [{}]})], ids=range(4)
)
def test_find_says_when_it_cannot_tell(act: Act) -> None:
    with gateway(act) as (twilio, _):
        assert twilio.find(SMS, NOW) in (None, [])


def test_find_cannot_tell_without_an_answer() -> None:
    with gateway(listing(), error(20500, 500)) as (twilio, _):
        assert twilio.find(SMS, NOW) is None


# forget


@pytest.mark.parametrize(
    ("act", "gone"),
    [
        (answer(204), True),
        (error(20404, 404), True),
        (error(20009, 400), False),
        (error(20009, 404), False),
        (error(20003, 401), False),
        (error(20500, 500), False),
        (reset, False),
    ],
    ids=["deleted", "unknown", "not-final", "not-final-404", "auth", "500", "reset"],
)
def test_forget(act: Act, gone: bool) -> None:
    with gateway(act) as (twilio, script):
        assert twilio.forget(SID) is gone
    assert (script.seen[0].method, script.seen[0].path) == ("DELETE", MESSAGE)
