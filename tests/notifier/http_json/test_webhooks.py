"""The HTTP gateway's events: the proof, freshness and replays, and every odd field as a value."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.gateway import DeliveryStatus
from notifier.http_json.codes import delivery_failure_of
from notifier.http_json.webhooks import FRESH_FOR, SIGNATURE, TIMESTAMP, EventsWebhook, sign_event
from notifier.replies import Help, OptIn, OptOut, Other, Unclear
from notifier.reply_words import read_reply_words
from notifier.webhook import Forged, StatusUpdate, Unreadable, WebhookCall

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
HOOK = EventsWebhook(secrets=("new-secret", "old-secret"), now=lambda: NOW, words=read_reply_words())
PATIENT, SENDER = "+12025550143", "+14255550100"
STATUS = {"event": "status", "id": "gw-17", "key": "k3J-_x9", "status": "delivered"}
REPLY = {"event": "reply", "id": "in-4", "from": PATIENT, "to": SENDER, "text": "Stop"}


def seconds(at: datetime) -> str:
    return str(int(at.timestamp()))


def call(
    body: bytes, *, at: datetime = NOW, secret: str = "new-secret", headers: dict[str, str] | None = None
) -> WebhookCall:
    signed = {TIMESTAMP: seconds(at), SIGNATURE: sign_event(secret, seconds(at), body)}
    return WebhookCall(query="", headers=signed if headers is None else headers, body=body)


def read(event: object, **how: Any) -> object:
    return HOOK.read(call(json.dumps(event).encode(), **how))


# The proof


def test_the_signature_is_as_the_page_says() -> None:
    digest = hmac.new(b"new-secret", b"1767225600." + b'{"a":1}', hashlib.sha256).hexdigest()
    assert sign_event("new-secret", "1767225600", b'{"a":1}') == f"v1={digest}"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page's command needs openssl")
def test_the_command_of_the_page_signs_as_we_do() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "http-gateway.md"
    if not page.exists():
        pytest.skip("not in a checkout: the tests run from the built wheel")
    [command] = re.findall(r"```bash\n(.*openssl.*)\n```", page.read_text("utf-8"))
    environ = {
        "PATH": os.environ["PATH"],
        "timestamp": "1767225600",
        "body": json.dumps(STATUS),
        "secret": "new-secret",
    }
    done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=60, check=True)
    expected = sign_event("new-secret", "1767225600", json.dumps(STATUS).encode())
    assert f"v1={done.stdout.split()[0]}" == expected


@given(
    st.dictionaries(st.sampled_from([TIMESTAMP, SIGNATURE]), st.text(max_size=90)),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["event", "id", "key", "status", "code", "from", "to", "text", "intent"]),
                    inner,
                    max_size=9,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_no_call_is_an_exception(headers: dict[str, str], body: bytes) -> None:
    assert isinstance(HOOK.read(WebhookCall(query="", headers=headers, body=body)), Forged)
    assert not isinstance(HOOK.read(call(body)), Forged)


@pytest.mark.parametrize("secret", ["new-secret", "old-secret"])
def test_an_event_signed_with_any_secret_is_genuine(secret: str) -> None:
    assert isinstance(read(STATUS, secret=secret), StatusUpdate)


BODY = json.dumps(STATUS).encode()
GOOD = {TIMESTAMP: seconds(NOW), SIGNATURE: sign_event("new-secret", seconds(NOW), BODY)}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY),
        ({TIMESTAMP: seconds(NOW)}, BODY),
        ({SIGNATURE: GOOD[SIGNATURE]}, BODY),
        (GOOD | {SIGNATURE: ""}, BODY),
        (GOOD | {SIGNATURE: "v1="}, BODY),
        (GOOD | {SIGNATURE: "ñ"}, BODY),
        (GOOD | {SIGNATURE: GOOD[SIGNATURE][3:]}, BODY),
        (GOOD | {SIGNATURE: GOOD[SIGNATURE].replace("v1", "v2")}, BODY),
        (GOOD | {SIGNATURE: sign_event("stolen", seconds(NOW), BODY)}, BODY),
        (GOOD | {SIGNATURE: sign_event("", seconds(NOW), BODY)}, BODY),
        (GOOD | {TIMESTAMP: seconds(NOW + timedelta(seconds=1))}, BODY),
        (GOOD | {TIMESTAMP: f"{seconds(NOW)}.0"}, BODY),
        (GOOD | {TIMESTAMP: "\u0661" * 10}, BODY),
        (GOOD | {TIMESTAMP: "-1"}, BODY),
        (GOOD | {TIMESTAMP: "9" * 4000}, BODY),
        (GOOD, BODY.replace(b"delivered", b"failed")),
        (GOOD, BODY + b" "),
        (GOOD, b""),
    ],
    ids=[
        "nothing",
        "no signature",
        "no time",
        "empty",
        "no digest",
        "not ascii",
        "no version",
        "other version",
        "other secret",
        "empty secret",
        "other time",
        "fraction",
        "other digits",
        "negative",
        "long time",
        "other body",
        "blank",
        "no body",
    ],
)
def test_anything_else_is_forged(headers: dict[str, str], body: bytes) -> None:
    assert HOOK.read(WebhookCall(query="", headers=headers, body=body)) == Forged()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_is_good_for_its_own_body_alone(body: bytes, other: bytes) -> None:
    signed = call(body)
    assert HOOK.read(signed) != Forged()
    if body != other:
        assert HOOK.read(WebhookCall(query="", headers=signed.headers, body=other)) == Forged()


@pytest.mark.parametrize("secret", ["new-secret", "old-secret", "stolen"], ids=["first", "second", "none"])
def test_a_signature_is_compared_in_constant_time_with_every_secret(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def compare(expected: bytes, signature: bytes) -> bool:
        compared.append(signature)
        return real(expected, signature)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    event = call(BODY, secret=secret)
    assert isinstance(HOOK.read(event), StatusUpdate) == (secret != "stolen")
    assert compared == [event.headers[SIGNATURE].encode()] * 2


@pytest.mark.parametrize("side", [-1, 1], ids=["past", "future"])
def test_an_event_is_good_for_five_minutes(side: int) -> None:
    assert isinstance(read(STATUS, at=NOW + side * FRESH_FOR), StatusUpdate)
    assert read(STATUS, at=NOW + side * (FRESH_FOR + timedelta(seconds=1))) == Forged(code="stale")
    assert read(STATUS, at=NOW + side * timedelta(days=40), secret="stolen") == Forged(), "not even stale"


def test_secrets_and_content_are_in_no_repr() -> None:
    assert "secret" not in repr(HOOK).replace("secrets", "")
    assert "0143" not in repr(call(json.dumps(REPLY).encode()))


# Status


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, StatusUpdate(message_id="gw-17", status=DeliveryStatus.DELIVERED, outbox_id="k3J-_x9")),
        (
            {"status": "undelivered", "code": "unreachable"},
            StatusUpdate(
                message_id="gw-17",
                status=DeliveryStatus.UNDELIVERED,
                failure=delivery_failure_of("unreachable"),
                outbox_id="k3J-_x9",
            ),
        ),
        (
            {"status": "failed", "code": "teapot"},
            StatusUpdate(
                message_id="gw-17",
                status=DeliveryStatus.FAILED,
                failure=delivery_failure_of("teapot"),
                outbox_id="k3J-_x9",
            ),
        ),
        ({"status": "teleported"}, StatusUpdate(message_id="gw-17", status=None, outbox_id="k3J-_x9")),
        ({"key": None}, StatusUpdate(message_id="gw-17", status=DeliveryStatus.DELIVERED)),
        ({"key": "a b"}, StatusUpdate(message_id="gw-17", status=DeliveryStatus.DELIVERED)),
        ({"code": 7}, StatusUpdate(message_id="gw-17", status=DeliveryStatus.DELIVERED, outbox_id="k3J-_x9")),
        ({"id": ""}, Unreadable(code="no_id")),
        ({"id": 17}, Unreadable(code="no_id")),
        ({"id": "a" * 129}, Unreadable(code="no_id")),
        ({"status": ""}, Unreadable(code="no_status")),
        ({"status": ["sent"]}, Unreadable(code="no_status")),
        ({"event": "other"}, Unreadable(code="no_event")),
        ({"event": None}, Unreadable(code="no_event")),
    ],
)
def test_a_status_is_read(changed: dict[str, object], expected: object) -> None:
    assert read(STATUS | changed) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 60_000, b'"status"'])
def test_a_genuine_call_that_is_no_object_is_unreadable(body: bytes) -> None:
    assert HOOK.read(call(body)) == Unreadable(code="no_object")


# Replies


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("please stop", OptOut),
        ("Stop, I moved away", OptOut),
        ("I will stop by at 3", Unclear),
        ("START", OptIn),
        ("help", Help),
        ("See you then", Other),
        ("", Other),
    ],
)
def test_a_reply_becomes_what_it_asks_for(text: str, kind: type) -> None:
    reply = read(REPLY | {"text": text})
    assert type(reply) is kind
    assert isinstance(reply, OptOut | OptIn | Help | Unclear | Other)
    assert (reply.phone.e164(), reply.senders, reply.message_id, reply.classified) == (
        PATIENT,
        (SENDER,),
        "in-4",
        False,
    )
    assert text == "" or text not in repr(reply)


@pytest.mark.parametrize(("intent", "kind"), [("stop", OptOut), ("START", OptIn), ("help", Help)])
def test_the_gateways_own_classification_comes_first(intent: str, kind: type) -> None:
    reply = read(REPLY | {"text": "See you then", "intent": intent})
    assert type(reply) is kind
    assert getattr(reply, "classified", None) is True
    assert type(read(REPLY | {"text": "stop", "intent": "greeting"})) is OptOut


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"from": ""}, "no_sender"),
        ({"from": "74505"}, "no_sender"),
        ({"from": None}, "no_sender"),
        ({"to": ""}, "no_recipient"),
        ({"to": "a b"}, "no_recipient"),
        ({"text": "start", "id": ""}, "no_id"),
        ({"text": "start", "id": None}, "no_id"),
    ],
)
def test_a_reply_without_essentials_is_unreadable(changed: dict[str, object], code: str) -> None:
    assert read(REPLY | changed) == Unreadable(code=code)


def test_a_stop_is_heard_even_without_an_id() -> None:
    reply = read(REPLY | {"id": None})
    assert isinstance(reply, OptOut)
    assert reply.message_id is None
