"""The application over a real socket: webhooks genuine, forged and malformed, health and metrics."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

import portal.app
from notifier.gateway import DeliveryStatus
from notifier.replies import OptOut
from notifier.twilio.webhooks import TWIML
from notifier.webhook import StatusUpdate
from portal.app import build
from portal.health import Health, HealthPart
from portal.server import serve
from portal.webhooks import LARGEST_BODY, WebhookEvent
from tests.portal.conftest import PUBLIC, Ask, Behind

PATIENT, SENDER = "+12025550143", "+14255550100"
STATUS = {"MessageSid": "SM" + "a" * 32, "MessageStatus": "delivered", "To": PATIENT, "From": SENDER, "ErrorCode": ""}
TARGET = "/twilio/status?m=row-7&a=1"
FORM = "application/x-www-form-urlencoded"


def signed(target: str, fields: dict[str, str], token: str = "t0ken") -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(token).compute_signature(PUBLIC + target, fields)}


async def test_a_genuine_status_callback_is_taken_in(ask: Ask, behind: Behind) -> None:
    answer = await ask("POST", TARGET, data=STATUS, headers=signed(TARGET, STATUS))
    assert (answer.status_code, answer.content) == (200, TWIML)
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    assert behind.statuses == [
        StatusUpdate(message_id=STATUS["MessageSid"], status=DeliveryStatus.DELIVERED, outbox_id="row-7", attempt=1)
    ]
    assert behind.events == [WebhookEvent(webhook="status", answer=200, code="ok", peer="127.0.0.1")]


async def test_a_stop_is_taken_in_and_answered_with_nothing_to_say(ask: Ask, behind: Behind) -> None:
    fields = {"From": PATIENT, "To": SENDER, "Body": "STOP", "OptOutType": "STOP", "MessageSid": STATUS["MessageSid"]}
    answer = await ask("POST", "/twilio/inbound", data=fields, headers=signed("/twilio/inbound", fields))
    assert (answer.status_code, answer.content) == (200, TWIML)
    (reply,) = behind.replies
    assert isinstance(reply, OptOut)
    assert (reply.phone.e164(), reply.senders) == (PATIENT, (SENDER,))


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Twilio-Signature": ""}, {"X-Twilio-Signature": "forged"}, signed(TARGET, STATUS, "stolen")],
    ids=["missing", "empty", "forged", "other token"],
)
@pytest.mark.parametrize("path", [TARGET, "/twilio/inbound"], ids=["status", "inbound"])
async def test_a_forged_webhook_is_403_and_changes_nothing(
    ask: Ask, behind: Behind, headers: dict[str, str], path: str
) -> None:
    answer = await ask("POST", path, data=STATUS, headers=headers)
    assert (answer.status_code, answer.content) == (403, b"")
    assert (behind.statuses, behind.replies) == ([], [])
    assert [(e.answer, e.code) for e in behind.events] == [(403, "signature")]


async def test_the_host_header_does_not_enter_the_signature(ask: Ask, behind: Behind) -> None:
    forged = RequestValidator("t0ken").compute_signature("https://attacker.example" + TARGET, STATUS)
    headers = {"X-Twilio-Signature": forged, "Host": "attacker.example", "X-Forwarded-Host": "attacker.example"}
    assert (await ask("POST", TARGET, data=STATUS, headers=headers)).status_code == 403
    headers = signed(TARGET, STATUS) | {"Host": "127.0.0.1"}
    assert (await ask("POST", TARGET, data=STATUS, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status"),
    [
        ("GET", TARGET, {}, 405),
        ("PUT", TARGET, {"data": STATUS}, 405),
        ("POST", "/twilio/status/", {"data": STATUS}, 404),
        ("POST", "/twilio", {"data": STATUS}, 404),
        ("POST", TARGET, {"json": {"MessageSid": "x"}}, 415),
        ("POST", TARGET, {"data": b"MessageSid=x"}, 415),
        ("POST", TARGET, {"data": b"x" * (LARGEST_BODY + 1), "headers": {"Content-Type": FORM}}, 413),
        ("POST", TARGET, {"data": iter([b"x" * 40_000, b"x" * 40_000]), "headers": {"Content-Type": FORM}}, 413),
        ("POST", TARGET, {"data": b"\xff\xff", "headers": {"Content-Type": FORM}}, 403),
        ("POST", "/health", {}, 405),
        ("GET", "/", {}, 404),
        ("GET", "/docs", {}, 404),
    ],
)
async def test_odd_requests_are_refused(
    ask: Ask, behind: Behind, method: str, path: str, kwargs: dict[str, object], status: int
) -> None:
    answer = await ask(method, path, **kwargs)
    assert answer.status_code == status
    assert "row-7" not in answer.text + str(answer.headers)
    assert (behind.statuses, behind.replies) == ([], [])


async def test_a_genuine_webhook_that_says_nothing_is_400(ask: Ask, behind: Behind) -> None:
    answer = await ask("POST", TARGET, data={"To": PATIENT}, headers=signed(TARGET, {"To": PATIENT}))
    assert (answer.status_code, answer.content) == (400, b"")
    assert [e.code for e in behind.events] == ["no_sid"]


async def test_a_fault_of_ours_is_503_and_told_to_the_journal_alone(
    ask: Ask, behind: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    behind.broken = RuntimeError("database is locked")
    answer = await ask("POST", TARGET, data=STATUS, headers=signed(TARGET, STATUS))
    assert (answer.status_code, answer.content) == (503, b"")
    assert [(e.code, e.error) for e in behind.events] == [("failed", behind.broken)]
    behind.broken = None
    assert (await ask("POST", TARGET, data=STATUS, headers=signed(TARGET, STATUS))).status_code == 200
    of_client = ("urllib3", "asyncio")  # this test's own client
    own_lines = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith(of_client))
    assert "row-7" not in own_lines
    assert "0143" not in own_lines


async def test_doubled_callbacks_are_all_passed_on(ask: Ask, behind: Behind) -> None:
    answers = await asyncio.gather(
        *(ask("POST", TARGET, data=STATUS, headers=signed(TARGET, STATUS)) for _ in range(5))
    )
    assert [a.status_code for a in answers] == [200] * 5
    assert len(behind.statuses) == 5


async def test_health_tells_each_part_and_503_when_a_needed_one_fails(ask: Ask, behind: Behind) -> None:
    behind.health = Health(
        parts={
            "database": HealthPart(ok=True),
            "dispatcher": HealthPart(ok=True, detail={"lag_seconds": 1.5}),
            "gateway": HealthPart(ok=False, needed=False, detail={"breakers": ["production"]}),
        }
    )
    answer = await ask("GET", "/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "live": True,
        "ready": True,
        "database": {"ok": True},
        "dispatcher": {"ok": True, "lag_seconds": 1.5},
        "gateway": {"ok": False, "breakers": ["production"]},
    }
    behind.health = Health(parts={"database": HealthPart(ok=False)})
    answer = await ask("GET", "/health")
    assert (answer.status_code, answer.json()["live"], answer.json()["ready"]) == (503, True, False)


async def test_health_that_cannot_be_told_is_503(ask: Ask, behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    behind.broken = RuntimeError("no")
    answer = await ask("GET", "/health")
    assert (answer.status_code, answer.json()) == (503, {"live": False, "ready": False})
    monkeypatch.setattr(portal.app, "HEALTH_TIMEOUT", 0.01)
    behind.hang = asyncio.Event()
    assert (await ask("GET", "/health")).status_code == 503
    behind.hang.set()


async def test_an_orchestrator_asks_whether_it_is_ready(ask: Ask, behind: Behind) -> None:
    behind.health = Health(
        parts={"database": HealthPart(ok=True), "gateway": HealthPart(ok=False, needed=False, detail={"failures": 3})}
    )
    for path in ("/readyz", "/healthz"):
        answer = await ask("GET", path)
        assert (answer.status_code, answer.text) == (200, "ok")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await ask("HEAD", path)).status_code == 200
    verbose = await ask("GET", "/readyz?verbose")
    assert verbose.text == "[+]database ok\n[-]gateway failed (not needed)\nreadyz check passed\n"
    behind.health = Health(parts={"database": HealthPart(ok=False, detail={"code": "STORE_DOWN"})})
    answer = await ask("GET", "/readyz")
    assert (answer.status_code, answer.text) == (503, "[-]database failed: STORE_DOWN\nreadyz check failed\n")
    behind.broken = RuntimeError("no")
    answer = await ask("GET", "/healthz")
    assert answer.status_code == 503
    assert answer.text.startswith("[-]health failed")


async def test_a_process_that_answers_is_alive_whatever_its_database_does(ask: Ask, behind: Behind) -> None:
    behind.broken = RuntimeError("no")
    assert (await ask("GET", "/livez")).status_code == 200
    assert (await ask("GET", "/livez?verbose")).text == "[+]ping ok\nlivez check passed\n"


async def test_metrics_are_prometheus_text(ask: Ask) -> None:
    answer = await ask("GET", "/metrics")
    assert (answer.status_code, answer.content) == (200, b"carebell_up 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_a_gateway_without_webhooks_has_none(behind: Behind) -> None:
    app = build(
        webhooks=(),
        on_status=behind.on_status,
        on_inbound=behind.on_inbound,
        health=behind.ask_health,
        metrics=lambda: b"",
        report=behind.events.append,
    )
    async with serve(app, "127.0.0.1", 0) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        body = urlencode(STATUS).encode()
        head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        assert (await reader.readline()).split()[1] == b"404"
        await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_public_keys_are_shown_where_there_are_any(ask: Ask, behind: Behind) -> None:
    assert (await ask("GET", "/jwks.json")).status_code == 404
    behind.public_keys = {"keys": [{"kty": "EC", "kid": "1"}]}
    answer = await ask("GET", "/jwks.json")
    assert (answer.status_code, answer.json()) == (200, behind.public_keys)
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert (await ask("POST", "/jwks.json")).status_code == 405
