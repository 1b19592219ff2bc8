"""Twilio's webhooks read: signatures against Twilio's own validator, and every odd field as a value."""

from __future__ import annotations

import hmac
import string
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from notifier.gateway import DeliveryStatus
from notifier.replies import Help, OptIn, OptOut, Other, Reply, Unclear
from notifier.reply_words import read_reply_words
from notifier.twilio.codes import failure_of
from notifier.twilio.webhooks import SignatureCheck, SignedForm, read_inbound, read_status, sign_webhook
from notifier.webhook import StatusUpdate, Unreadable

PUBLIC = "https://sms.lamna.example"
CHECK = SignatureCheck(public_url=PUBLIC, tokens=("new-token", "old-token"))
SID = "SM" + "a" * 32
WORDS = read_reply_words()
SERVICE = "MG" + "b" * 32
PATIENT, SENDER = "+12025550143", "+14255550100"
QUERY = "m=k3J-_x9&a=2"
STATUS: dict[str, str] = {
    "MessageSid": SID,
    "MessageStatus": "delivered",
    "To": PATIENT,
    "From": SENDER,
    "ErrorCode": "",
}


def signature(url: str, fields: dict[str, str], token: str = "new-token") -> str:
    return str(RequestValidator(token).compute_signature(url, fields))


def accept(
    fields: dict[str, str], given: str | None, query: str = QUERY, check: SignatureCheck = CHECK
) -> SignedForm | None:
    return check.accept("/twilio/status", query, urlencode(fields).encode(), given)


def test_what_twilio_signs_is_accepted_with_blank_values_kept() -> None:
    signed = accept(STATUS, signature(f"{PUBLIC}/twilio/status?{QUERY}", STATUS))
    assert signed is not None
    assert (signed.form, signed.query) == (STATUS, {"m": "k3J-_x9", "a": "2"})


@given(
    st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8), st.text(max_size=20), max_size=6),
    st.sampled_from(["", "m=1&a=2", "m=&a=", "m=a%20b"]),
)
def test_any_form_that_twilios_validator_signs_is_accepted(fields: dict[str, str], query: str) -> None:
    url = f"{PUBLIC}/twilio/status" + (f"?{query}" if query else "")
    signed = accept(fields, signature(url, fields), query)
    assert signed is not None
    assert signed.form == fields


def test_repeated_fields_sign_as_twilio_signs_them() -> None:
    class Repeated(dict[str, Any]):
        def getall(self, name: str) -> list[str]:
            return {"a": ["2", "1", "2"], "b": [""]}[name]

    url = f"{PUBLIC}/twilio/inbound"
    fields = [("b", ""), ("a", "2"), ("a", "1"), ("a", "2")]
    assert sign_webhook(url, fields, "t") == RequestValidator("t").compute_signature(url, Repeated(a="", b=""))


def test_an_old_token_still_counts_while_it_is_rotated() -> None:
    given = signature(f"{PUBLIC}/twilio/status?{QUERY}", STATUS, "old-token")
    assert accept(STATUS, given) is not None
    assert accept(STATUS, given, check=SignatureCheck(public_url=PUBLIC, tokens=("new-token",))) is None


@pytest.mark.parametrize(
    ("configured", "signed_over"),
    [
        ("https://sms.lamna.example", "https://sms.lamna.example:443"),
        ("https://sms.lamna.example:443", "https://sms.lamna.example"),
        ("https://sms.lamna.example:8443", "https://sms.lamna.example"),
        ("https://sms.lamna.example:8443", "https://sms.lamna.example:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]"),
        ("https://lamna.example/carebell/", "https://lamna.example/carebell"),
    ],
)
def test_the_port_may_be_signed_or_not(configured: str, signed_over: str) -> None:
    check = SignatureCheck(public_url=configured, tokens=("t",))
    given = sign_webhook(f"{signed_over}/twilio/status?{QUERY}", list(STATUS.items()), "t")
    assert accept(STATUS, given, check=check) is not None


@pytest.mark.parametrize(
    ("fields", "given", "query"),
    [
        (STATUS, None, QUERY),
        (STATUS, "", QUERY),
        (STATUS, "x", QUERY),
        (STATUS, "ñ", QUERY),
        (STATUS, signature(f"{PUBLIC}/twilio/status?{QUERY}", STATUS, "stolen"), QUERY),
        (STATUS, signature(f"{PUBLIC}/twilio/status?{QUERY}", STATUS), "m=other&a=2"),
        (STATUS, signature(f"{PUBLIC}/twilio/inbound?{QUERY}", STATUS), QUERY),
        (STATUS, signature(f"https://elsewhere.example/twilio/status?{QUERY}", STATUS), QUERY),
        (STATUS | {"MessageStatus": "failed"}, signature(f"{PUBLIC}/twilio/status?{QUERY}", STATUS), QUERY),
        ({"x": "y"}, signature(f"{PUBLIC}/twilio/status?{QUERY}", STATUS), QUERY),
        ({str(i): "y" for i in range(300)}, "x", QUERY),
    ],
    ids=["none", "empty", "short", "not ascii", "token", "query", "path", "host", "field", "fields", "many"],
)
def test_anything_else_is_not_a_webhook(fields: dict[str, str], given: str | None, query: str) -> None:
    assert accept(fields, given, query) is None


@pytest.mark.parametrize("token", ["token-of-today", "old-token", "stolen"], ids=["first", "second", "none"])
def test_a_signature_is_compared_in_constant_time_with_every_token_and_spelling(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them held, or how much of one, is not told by how long it takes."""
    compared: list[bytes] = []

    def compare(expected: bytes, signature_given: bytes) -> bool:
        compared.append(signature_given)
        return real(expected, signature_given)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    check = SignatureCheck(public_url=PUBLIC, tokens=("token-of-today", "old-token"))
    given = sign_webhook(f"{PUBLIC}/twilio/status?{QUERY}", list(STATUS.items()), token)
    assert (accept(STATUS, given, check=check) is not None) == (token != "stolen")
    assert compared == [given.encode()] * 4  # two tokens; the address with and without its port


def test_bytes_that_are_no_form_and_an_account_without_token_are_refused() -> None:
    assert CHECK.accept("/twilio/status", "", b"\xff\xfe", "x") is None
    unsigned = SignatureCheck(public_url=PUBLIC, tokens=())
    assert (
        accept(STATUS, sign_webhook(f"{PUBLIC}/twilio/status?{QUERY}", list(STATUS.items()), ""), check=unsigned)
        is None
    )


def test_a_public_url_that_is_none_is_found_at_once() -> None:
    with pytest.raises(ValueError, match="port"):
        SignatureCheck(public_url="https://sms.lamna.example:port", tokens=("t",))


def test_tokens_and_fields_are_in_no_repr() -> None:
    assert "token" not in repr(CHECK).replace("tokens", "")
    assert "0143" not in repr(SignedForm(STATUS, {}))


def status(fields: dict[str, str], query: dict[str, str] | None = None) -> StatusUpdate | Unreadable:
    return read_status(SignedForm(fields, {"m": "k3J-_x9", "a": "2"} if query is None else query))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (DeliveryStatus.DELIVERED, None)),
        ({"MessageStatus": "undelivered", "ErrorCode": "30003"}, (DeliveryStatus.UNDELIVERED, 30003)),
        ({"MessageStatus": "undelivered", "ErrorCode": "34567"}, (DeliveryStatus.UNDELIVERED, 34567)),
        ({"MessageStatus": "teleported"}, (None, None)),
        ({"MessageStatus": "DELIVERED"}, (DeliveryStatus.DELIVERED, None)),
        ({"MessageStatus": "", "SmsStatus": "sent"}, (DeliveryStatus.SENT, None)),
        ({"ErrorCode": "0"}, (DeliveryStatus.DELIVERED, None)),
        ({"ErrorCode": "many"}, (DeliveryStatus.DELIVERED, None)),
        ({"ErrorCode": "9" * 40}, (DeliveryStatus.DELIVERED, None)),
    ],
    ids=["plain", "error", "unmapped", "unknown", "case", "old name", "zero", "no number", "huge"],
)
def test_a_status_callback_is_read(changed: dict[str, str], expected: tuple[DeliveryStatus | None, int | None]) -> None:
    expected_status, code = expected
    failure = None if code is None else failure_of(code)
    assert status(STATUS | changed) == StatusUpdate(
        message_id=SID, status=expected_status, failure=failure, outbox_id="k3J-_x9", attempt=2
    )


@pytest.mark.parametrize(
    ("query", "outbox_id", "attempt"),
    [
        ({}, None, None),
        ({"m": "", "a": ""}, None, None),
        ({"m": "a b", "a": "x"}, None, None),
        ({"m": "x" * 65}, None, None),
    ],
)
def test_a_marker_that_is_not_ours_is_none(query: dict[str, str], outbox_id: None, attempt: None) -> None:
    update = status(STATUS, query)
    assert isinstance(update, StatusUpdate)
    assert (update.outbox_id, update.attempt) == (outbox_id, attempt)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"MessageSid": ""}, "no_sid"),
        ({"MessageSid": "../../etc"}, "no_sid"),
        ({"MessageStatus": ""}, "no_status"),
        ({"MessageStatus": "a\nb"}, "no_status"),
    ],
    ids=["no sid", "odd sid", "no status", "odd status"],
)
def test_a_callback_without_essentials_is_unreadable(changed: dict[str, str], code: str) -> None:
    assert status(STATUS | changed) == Unreadable(code=code)


def inbound(**fields: str) -> object:
    return read_inbound(
        SignedForm({"From": PATIENT, "To": SENDER, "MessageSid": SID, "Body": "hello"} | fields, {}), WORDS
    )


def test_twilios_own_classification_comes_first() -> None:
    for word, kind in (("STOP", OptOut), ("START", OptIn), ("HELP", Help)):
        reply = inbound(OptOutType=word, Body="anything")
        assert type(reply) is kind
        assert reply.classified
    assert type(inbound(OptOutType="", Body="stop")) is OptOut
    assert type(inbound(OptOutType="NEW", Body="hello")) is Other


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"Body": "C2"}, "C2"),
        ({"Body": "yes"}, "yes"),
        ({"Body": "yes", "OptOutType": "START"}, ""),
        ({"Body": "stop C"}, ""),
        ({"Body": "help"}, ""),
        ({"Body": "x" * 61}, ""),
    ],
)
def test_only_what_may_answer_a_question_keeps_its_words_and_shows_them_to_nobody(
    fields: dict[str, str], written: str
) -> None:
    reply = inbound(**fields)
    assert isinstance(reply, Reply)
    assert reply.written == written
    assert "written" not in repr(reply)


def test_an_opt_out_names_the_patient_and_every_sender_it_is_meant_for() -> None:
    reply = inbound(Body="STOP", MessagingServiceSid=SERVICE)
    assert isinstance(reply, OptOut)
    assert (reply.phone.e164(), reply.senders, reply.message_id) == (PATIENT, (SERVICE, SENDER), SID)
    alone = inbound(Body="STOP", MessagingServiceSid="")
    assert isinstance(alone, OptOut)
    assert alone.senders == (SENDER,)
    short = inbound(Body="STOP", To="74505")
    assert isinstance(short, OptOut)
    assert short.senders == ("74505",)


def test_the_words_and_the_number_are_in_no_repr() -> None:
    shown = repr(inbound(Body="my secret illness"))
    assert "secret" not in shown
    assert PATIENT not in shown


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"From": ""}, "no_sender"),
        ({"From": "74505"}, "no_sender"),
        ({"From": f"whatsapp:{PATIENT}"}, "no_sender"),
        ({"To": "", "MessagingServiceSid": "MGx"}, "no_recipient"),
        ({"Body": "start", "MessageSid": ""}, "no_sid"),
        ({"Body": "start", "MessageSid": "\u0661" * 34}, "no_sid"),
    ],
    ids=["missing", "short code", "channel", "no recipient", "no sid", "odd sid"],
)
def test_a_text_without_essentials_is_unreadable(changed: dict[str, str], code: str) -> None:
    assert inbound(**changed) == Unreadable(code=code)


def test_a_stop_is_heard_even_without_an_id() -> None:
    reply = inbound(Body="stop", MessageSid="")
    assert isinstance(reply, OptOut)
    assert reply.message_id is None


@pytest.mark.parametrize(
    ("body", "kind", "in_words"),
    [
        ("please stop", OptOut, False),
        ("Stop, I moved away", OptOut, True),
        ("I will stop by at 3", Unclear, None),
        ("Start, please", OptIn, None),
        ("Info", Help, None),
        ("See you then", Other, None),
    ],
)
def test_a_text_becomes_what_it_asks_for(body: str, kind: type, in_words: bool | None) -> None:
    reply = inbound(Body=body)
    assert type(reply) is kind
    assert getattr(reply, "in_words", None) == in_words
