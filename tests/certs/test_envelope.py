"""Splitting the signature off the bytes, for any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.envelope import (
    Fault,
    Header,
    Signed,
    Unsigned,
    canonical,
    decode_base64url,
    encode_base64url,
    read_header,
    signing_input,
    split,
)
from tests.certs.ring import VECTORS, thumbprint

LINES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"MSH|", b"ZSG|1|", b"ZSG", b"a", b"|", b"."]), max_size=30)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b"a\rb\r", b"a\rb"),
        (b"a\nb\n", b"a\rb"),
        (b"a\r\nb\r\n", b"a\rb"),
        (b"a\rb\nc\r", b"a\rb\nc"),
        (b"a\r\nb\nc\r\n", b"a\rb\nc"),
        (b"a\n\rb", b"a\n\rb"),
        (b"a\r\r\nb", b"a\r\rb"),
        (b"a\nb\r", b"a\rb"),  # the CR at the very end is removed before the question is asked
    ],
)
def test_canonical(content: bytes, expected: bytes) -> None:
    assert canonical(content) == expected


@given(LINES.map(b"".join))
def test_canonical_ends_and_carries_alike(content: bytes) -> None:
    body = canonical(content)
    assert not body.endswith((b"\r", b"\n"))
    assert body.count(b"\r") <= content.count(b"\r") + content.count(b"\n")
    if b"\n" not in body:
        assert canonical(body.replace(b"\r", b"\r\n")) == body
        assert canonical(body.replace(b"\r", b"\n")) == body


@given(st.one_of(st.binary(max_size=200), LINES.map(b"".join)))
def test_any_bytes_split_or_are_refused_by_code(content: bytes) -> None:
    body = canonical(content)
    part = split(content)
    if isinstance(part, Fault):
        assert part.code in ("NOHL7", "SIG02")
        assert (part.code == "NOHL7") == (b"MSH" not in body)
        assert part.text.isascii()
        return
    start = body.index(b"MSH")
    assert part.preamble == (start > 0)
    assert body[start:].startswith(part.payload[:-1])
    assert part.payload.endswith(b"\r")
    assert isinstance(part, Signed) == (b"\rZSG|" in body)


def test_the_worked_example_step_by_step() -> None:
    steps = VECTORS / "steps"
    part = split((steps / "9-message.hl7").read_bytes())
    assert isinstance(part, Signed)
    assert part.payload == (steps / "1-payload.bin").read_bytes()
    assert part.header == (steps / "3-header.b64url").read_bytes()
    assert encode_base64url(part.payload) == (steps / "4-payload.b64url").read_bytes()
    assert signing_input(part.header, part.payload) == (steps / "5-signing-input.txt").read_bytes()
    assert part.signature == (steps / "6-signature.bin").read_bytes()
    assert read_header(part.header) == Header(alg="RS256", thumbprint=thumbprint("prod"))


def test_unsigned() -> None:
    assert split(b"MSH|\nPID|\n") == Unsigned(payload=b"MSH|\rPID|\r", preamble=False)
    assert split(b"\xef\xbb\xbfMSH|\r") == Unsigned(payload=b"MSH|\r", preamble=True)


@given(st.binary(max_size=200))
def test_any_header_is_refused(raw: bytes) -> None:
    fault = read_header(encode_base64url(raw))
    assert isinstance(fault, Fault)
    assert (fault.code, fault.err3) == ("SIG03", "102")


@pytest.mark.parametrize("text", [b"A", b"AA==", b"AB", b"AAB", b"A A=", b"AA\n", b"+/8", b"_-9*", "é".encode()])
def test_what_is_not_base64url(text: bytes) -> None:
    assert decode_base64url(text) is None


@given(st.binary(max_size=80))
def test_base64url_round_trip(raw: bytes) -> None:
    assert decode_base64url(encode_base64url(raw)) == raw


@given(st.one_of(st.binary(max_size=6), st.text("AQgw_-=+/ \n", max_size=8).map(str.encode)))
def test_base64url_has_one_spelling(text: bytes) -> None:
    raw = decode_base64url(text)
    assert raw is None or encode_base64url(raw) == text
