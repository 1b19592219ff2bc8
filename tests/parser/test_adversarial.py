"""Every reader of a field that a sender fills: texts of 100 kB, made to cost a pattern or a loop more than their length.

A reader that needs quadratic time for one of these does not end before the time-out: the bound is on work, not on speed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from certs.dtm import read_offset
from config.fieldmap import DurationSource
from parser.charsets import decode
from parser.display import find_link, find_text
from parser.duration import find_duration
from parser.er7 import Message
from parser.escapes import Delimiters, unescape
from parser.event import Action
from parser.language import language_tag
from parser.phone_choice import find_phone, masked, read_number
from parser.phone_spelling import digits_in, is_extension, is_placeholder, plain, spelled, uses_of
from parser.status import find_status
from parser.timestamps import Clocks, read_timestamp
from tests.parser.reading import rules

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
CLOCKS = Clocks.of(NOW, None, None, "America/Chicago")
LENGTH = 100_000
BEGINNINGS = ("", "2025550143 x", "tel:", "30 ", "https://a")
REPEATED = (
    "-", " ", "0", "1", "x", "(", "+", ".", ";", "; ", "=", "a", "C", "no ", "call ", "1 ", "1:", "1a", "1a ", "1,", "0 x", "n/a",
    "(+ ", "%20", "@", "-_", "\n", "\t", "\u200e", "\u0301\u0323", "\u00e9", "\u3000", "\uff10", "'s", "ext", "text no ",
    "202-555-0143 ",
)  # fmt: skip


def xtn(component: int, text: str) -> Message:
    parts = ["", "PRN", "CP", "", "1", "202", "5550143", "", "", "", "", ""]
    parts[component - 1] = text
    return Message("MSH|^~\\&|A\rPID|" + "|" * 12 + "^".join(parts) + "\r")


def phone_in(component: int, text: str) -> None:
    find_phone(xtn(component, text), rules().phones, CLOCKS, NOW)


def duration_of(text: str) -> None:
    message = Message(f"MSH|^~\\&|A\rSCH|||||||||{text}|{text}|^^{text}^{text}\r")
    units = {"min": "m", "s": "s"}
    for source in (
        DurationSource(length="SCH-9", unit="SCH-10"),
        DurationSource(interval="SCH-11.3"),
        DurationSource(end="SCH-11.4"),
    ):
        find_duration(message, [source], units, None, CLOCKS)


def status_of(text: str) -> None:
    message = Message("MSH|^~\\&|A\rSCH|" + "|" * 23 + text + "\r")
    find_status(message, Action.MODIFY, rules().field_map.status, rules().statuses)


def escapes_of(text: str) -> None:
    for codec in ("utf-8", "cp932", "gb18030", "iso2022_jp_ext", "cp1252"):
        unescape(text, Delimiters(codec=codec))


def display_of(text: str) -> None:
    message = Message(f"MSH|^~\\&|A\rSCH|{text}\r")
    find_text(message, "location", ["SCH-1"])
    find_link(message, "SCH-1", frozenset({"a.example"}))


READERS: dict[str, Callable[[str], object]] = {
    "spelled": spelled,
    "uses_of": uses_of,
    "is_extension": is_extension,
    "is_placeholder": is_placeholder,
    "plain": plain,
    "digits_in": digits_in,
    "masked": masked,
    "read_number": functools.partial(read_number, region="US"),
    **{f"XTN.{number}": functools.partial(phone_in, number) for number in range(1, 13)},
    "duration": duration_of,
    "timestamp": read_timestamp,
    "offset": read_offset,
    "status": status_of,
    "language": functools.partial(language_tag, words={}),
    "display": display_of,
    "escapes": escapes_of,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", READERS)
def test_no_field_costs_more_than_its_length(reader: str) -> None:
    for beginning in BEGINNINGS:
        for repeated in REPEATED:
            READERS[reader](beginning + repeated * (LENGTH // len(repeated)) + "1!")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("utf-8", "\\X" + "FF" * 300_000 + "\\"),
        ("utf-8", "\\XFF\\" * 150_000),
        ("utf-8", "\\XC3\\0" * 100_000),
        ("utf-8", "\\XE2\\" * 150_000),
        ("cp932", "\\X81\\@" * 100_000),  # second bytes that are not escaped
        ("cp932", "\\X" + "81" * 300_000 + "\\"),
        ("gb18030", "\\X81\\0" * 100_000),
        ("iso2022_jp_ext", "\\X1B\\$B" * 80_000),
        ("cp950", "\\X" + "FF" * 300_000 + "\\@" * 10),
        ("cp1252", "\\X" + "81" * 300_000 + "\\"),
    ],
)
def test_octets_that_are_no_character_cost_no_more_than_their_length(codec: str, body: str) -> None:
    assert unescape(body, Delimiters(codec=codec))


@pytest.mark.timeout(60)
def test_bytes_in_no_character_set_cost_no_more_than_their_length() -> None:
    for octet in (b"\x81", b"\xff", b"\xe2\x82", b"\x1b$B"):
        for name in (b"", b"UNICODE UTF-8", b"SHIFT-JIS", b"GB 18030-2000", b"ISO IR87"):
            assert decode(b"MSH|^~\\&|" + octet * 300_000, name, "cp1252").text
