"""What a refusal tells the analyst at the other end, beyond its code: one hint each, and nothing of the message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from certs.keyring import Held, State
from certs.message import Refusal, VerifiedMessage
from tests.certs.ring import (
    NOW,
    VECTORS,
    b64,
    certificate,
    header,
    payload,
    production,
    rsa_key,
    signed,
    trial,
    validate,
)

P = payload(body=b"NTE|1||wish\r")
RETIRED = "accept/14-retired-rsa2048.cer"


def text(outcome: VerifiedMessage | Refusal) -> str:
    assert isinstance(outcome, Refusal)
    return f"{outcome.code}: {outcome.text}"


def signed_otherwise(given: bytes) -> bytes:
    """`P` as its sender signs it who gets the bytes wrong: signature and ZSG-3 are of `given`."""
    head = b64(json.dumps(header()).encode())
    signature = rsa_key().sign(f"{head}.{b64(given)}".encode("ascii"), padding.PKCS1v15(), SHA256())
    said = f"{len(given)}^{hashlib.sha256(given).hexdigest()}"
    return P + f"ZSG|1|{head}..{b64(signature)}|{said}\r".encode("ascii")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (P.replace(b"\r", b"\r\n"), ": it was signed with CRLF"),
        (P.replace(b"\r", b"\n"), ": it was signed with LF"),
        (P[:-1], ": it was signed without the CR before ZSG"),
        (P.replace(b"wish", b"wise"), ""),
        (b"", ""),
    ],
    ids=["crlf", "lf", "no-last-cr", "other-text", "nothing"],
)
def test_common_mistakes_of_signing_are_named(given: bytes, hint: str) -> None:
    counts = f"({len(given)} signed, {len(P)} received)"
    assert text(validate(signed_otherwise(given))) == f"SIG07: bytes changed after signing {counts}{hint}"


def test_bytes_agree_but_the_key_is_another() -> None:
    head, rest = signed_otherwise(P).split(b"..")
    forged = head + b".." + b64(bytes(384)).encode() + rest[rest.index(b"|") :]
    assert text(validate(forged)) == "SIG07: bytes agree: wrong key"


@pytest.mark.parametrize("state", [State.PENDING, State.RETIRED])
def test_a_known_certificate_that_is_not_active(state: State) -> None:
    own = certificate(RETIRED)
    message = signed(P, header(thumbprint=own.thumbprint), key=rsa_key("retired-rsa2048"))
    held = {each: replace(production(), certificates=(Held(certificate=own, state=each),)) for each in State}
    outcome = validate(message, held[state])
    assert text(outcome) == f"SIG05: the signing certificate {own.thumbprint[:8]} is {state.value}, not active"
    assert isinstance(outcome, Refusal)
    assert outcome.environment == "production"
    assert isinstance(validate(message, held[State.ACTIVE]), VerifiedMessage)


def test_dates_of_a_certificate() -> None:
    own = certificate("accept/01-prod-rsa3072.cer")
    assert "not valid before 2026-01-01" in text(validate(signed(P), at=own.not_before - timedelta(days=1)))
    assert "expired on 2036-01-01" in text(validate(signed(P), at=own.not_after + timedelta(seconds=1)))


@pytest.mark.parametrize("encode", [lambda t: b"\xff\xfe" + t.encode("utf-16-le"), lambda t: t.encode("utf-16-be")])
def test_utf16(encode: Callable[[str], bytes]) -> None:
    assert text(validate(encode(signed(P).decode("ascii")))).startswith("NOHL7: UTF-16")


def test_times_that_are_too_far_off() -> None:
    old = payload(sent=(NOW - timedelta(days=9)).strftime("%Y%m%d%H%M%S+0000"))
    ahead = payload(sent=(NOW + timedelta(minutes=90)).strftime("%Y%m%d%H%M%S+0000"))
    assert text(validate(signed(old))) == "SIG09: MSH-7 is 9 days old, which is too old"
    assert text(validate(signed(ahead))) == "SIG09: MSH-7 is 90 minutes ahead of our clock"


@pytest.mark.parametrize(
    ("charset", "expected"),
    [("~ISO IR87", None), ("ISO IR14~ISO IR87", None), ("UNICODE UTF-8", "SIG11"), ("", "SIG11")],
    ids=["ir87", "ir14-ir87", "utf-8", "none"],
)
def test_escape_belongs_to_the_sets_that_shift_with_it(charset: str, expected: str | None) -> None:
    line = payload().split(b"\r", 1)[0] + b"||||||" + charset.encode("ascii")
    japanese = "\u5c71\u7530".encode("iso2022_jp")
    assert b"\x1b" in japanese
    for tail, wanted in ((b"", expected), (b"\x00", "SIG11")):
        outcome = validate(signed(line + b"\rNTE|1||" + japanese + tail + b"\r"))
        assert (outcome.code if isinstance(outcome, Refusal) else None) == wanted


def test_unsigned_over_tls_names_the_client_certificate() -> None:
    unknown = certificate(RETIRED).thumbprint
    trust = production(authentication="mutual-tls")
    assert (
        text(validate(P, trust, peer=unknown)) == f"SIG05: the TLS client certificate {unknown[:8]} is not known here"
    )
    elsewhere = validate(P, trust, trial(), peer=certificate("accept/09-test-rsa2048.cer").thumbprint)
    assert text(elsewhere) == "SIG01: no ZSG segment: the message is not signed"
    needed = "SIG05: this environment needs a TLS client certificate"
    assert text(validate(signed(P), trust)) == needed


def test_signed_and_unsigned_over_tls_are_the_same_message() -> None:
    own = certificate("accept/01-prod-rsa3072.cer")
    trust = production(authentication="mutual-tls")
    outcomes = [validate(content, trust, peer=own.thumbprint) for content in (P, signed(P), P.rstrip(b"\r"))]
    digests = {outcome.digest for outcome in outcomes if isinstance(outcome, VerifiedMessage)}
    assert len(outcomes) == 3
    assert digests == {hashlib.sha256(P).digest()}


def test_every_text_is_printable_ascii_and_short() -> None:
    for file in sorted((VECTORS / "messages/refuse").glob("*.hl7")):
        outcome = validate(file.read_bytes())
        if isinstance(outcome, Refusal):
            assert outcome.text.isascii()
            assert outcome.text.isprintable()
            assert len(f"{outcome.code} {outcome.text}") <= 120, "MSA-3 is cut there"
