"""parser/charsets.py: names as senders write them, multi-byte sets that hold delimiters, and what cannot be decoded."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.message import VerifiedMessage
from parser.charsets import _CODECS, codec_of, decode
from parser.er7 import Message
from tests.parser.test_er7 import verified


def message_in(codec: str, name: str, declared: str) -> VerifiedMessage:
    """A message whose MSH-18 is `declared` and whose PID-5 is `name` and PAT."""
    text = f"MSH|^~\\&|EPIC|LAMNA|||||SIU^S12|M1|P|2.5.1||||||{declared}\rPID|||||{name}^PAT||F\r"
    return verified(text.encode(codec), declared.partition("~")[0].encode())


NAMES: list[tuple[str, str, str]] = [
    ("UNICODE UTF-8", "utf-8", "Łukasz 字 é"),
    ("UTF-8", "utf-8", "字"),
    ("utf8", "utf-8", "字"),
    ("UNICODE", "utf-8", "字"),
    ("8859/1", "iso8859-1", "Müller"),
    ("ISO-8859-1", "iso8859-1", "Müller"),
    ("ISO 8859-1", "iso8859-1", "Müller"),
    ("8859/2", "iso8859-2", "Łukasz"),
    ("8859/5", "iso8859-5", "Иван"),
    ("8859/15", "iso8859-15", "Cœur €"),
    ("WINDOWS-1252", "cp1252", "Cœur € ’"),
    ("windows-1251", "cp1251", "Иван"),
    ("BIG-5", "cp950", "育功許"),
    ("BIG5", "cp950", "育功許"),
    ("GB 18030-2000", "gb18030", "亅剕僜"),
    ("GBK", "gbk", "亅剕僜"),
    ("KS X 1001", "cp949", "김"),
    ("ISO IR14", "cp932", "ﾔﾏﾀﾞ"),
    ("SJIS", "cp932", "ポ表ソ"),
    ("ISO IR87", "iso2022_jp_ext", "山田太郎"),
    ("ISO IR159", "iso2022_jp_ext", "山田"),
    ("~ISO IR87", "iso2022_jp_ext", "山田太郎"),  # the usual Japanese way: ASCII, then the sets it shifts to
    ("ISO IR6~ISO IR87~ISO IR159", "iso2022_jp_ext", "山田太郎"),
]


@pytest.mark.parametrize(("declared", "codec", "name"), NAMES, ids=[declared for declared, _, _ in NAMES])
def test_the_name_arrives(declared: str, codec: str, name: str) -> None:
    message = Message.of(message_in(codec, name, declared), "cp1252")
    assert message.get("PID-5") == name
    assert message.get("PID-5.2") == "PAT"
    assert message.get("PID-7") == "F"
    assert message.warnings == ()


@pytest.mark.parametrize("delimiter", list(b"|^~\\"))
@pytest.mark.parametrize(
    ("declared", "codec", "lead"),
    [("BIG-5", "cp950", 0xA4), ("GB 18030-2000", "gb18030", 0x81), ("SJIS", "cp932", 0x83)],
)
def test_trail_bytes_that_look_like_delimiters(declared: str, codec: str, lead: int, delimiter: int) -> None:
    name = bytes([lead, delimiter]).decode(codec)
    assert len(name) == 1
    message = Message.of(message_in(codec, name, declared), "cp1252")
    assert message.get("PID-5") == name
    assert message.get("PID-5.2") == "PAT"


def test_shifted_bytes_that_look_like_delimiters() -> None:
    shifted = b"\x1b$B" + b"".join(bytes([0x30, trail]) for trail in b"|^~&\\") + b"\x1b(B"
    name = shifted.decode("iso2022_jp")
    assert len(name) == 5
    message = Message.of(message_in("iso2022_jp_ext", name, "~ISO IR87"), "cp1252")
    assert message.get("PID-5") == name
    assert message.get("PID-5.2") == "PAT"


def test_shifts_count_only_where_msh_18_names_them() -> None:
    """Otherwise two characters in a free text would hide every delimiter behind them."""
    message = Message.of(verified(b"MSH|^~\\&|A\rPID|||||x\x1b$By^PAT||F\r"), "cp1252")
    assert message.get("PID-7") == "F"


MISFITS: list[tuple[bytes, str, str, str, list[str]]] = [
    ("字".encode(), "", "cp1252", "字", []),  # undeclared UTF-8 is commonplace
    ("字".encode(), "ASCII", "cp1252", "字", []),
    (b"M\xfcller", "", "cp1252", "Müller", ["CHARSET_FALLBACK"]),
    (b"M\xfcller", "ASCII", "8859/1", "Müller", ["CHARSET_FALLBACK"]),
    (b"M\xfcller", "UNICODE UTF-8", "cp1252", "Müller", ["CHARSET_MISMATCH", "CHARSET_FALLBACK"]),
    (b"M\xfcller", "KLINGON", "cp1252", "Müller", ["CHARSET_UNKNOWN", "CHARSET_FALLBACK"]),
    ("字".encode(), "CNS 11643-1992", "cp1252", "字", ["CHARSET_UNKNOWN"]),
    ("字".encode(), "UNICODE UTF-16", "cp1252", "字", ["CHARSET_UNKNOWN"]),
    (b"+AHw-\xe9", "UTF-7", "cp1252", "+AHw-é", ["CHARSET_UNKNOWN", "CHARSET_FALLBACK"]),
    (b"a\x81b", "", "cp1252", "a�b", ["CHARSET_REPLACED"]),
    (b"a\x81b", "BIG-5", "cp1252", "a�b", ["CHARSET_MISMATCH", "CHARSET_REPLACED"]),
    (b"M\xfcller", "", "utf-7", "Müller", ["CHARSET_FALLBACK"]),  # no such fallback: cp1252
    (b"plain", "KLINGON", "cp1252", "plain", []),
    (b"\xff\xfe", "\xff?\x00|", "nonsense", "ÿþ", ["CHARSET_FALLBACK"]),
]


@pytest.mark.parametrize(
    ("payload", "declared", "fallback", "text", "codes"), MISFITS, ids=[str(number) for number in range(len(MISFITS))]
)
def test_what_does_not_fit(payload: bytes, declared: str, fallback: str, text: str, codes: list[str]) -> None:
    decoded = decode(payload, declared.encode("latin-1"), fallback)
    assert decoded.text == text
    assert [warning.code for warning in decoded.warnings] == codes
    assert {warning.field for warning in decoded.warnings} <= {"MSH-18"}


@pytest.mark.parametrize("codec", sorted({codec for name in _CODECS if (codec := codec_of(name))}))
def test_every_codec_keeps_ascii_and_cr(codec: str) -> None:
    harmless = bytes(range(0x20, 0x7F)) + b"\r"
    assert codecs.lookup(codec).name
    assert harmless.decode(codec) == harmless.decode("ascii")


@pytest.mark.parametrize("fallback", ["koi8-r", "KOI8_R", "mac_roman", "cp437", "latin-1", "8859/5"])
def test_the_fallback_may_be_any_codec_that_keeps_ascii(fallback: str) -> None:
    payload = b"MSH|^~\\&|\xc9"
    expected = payload.decode({"8859/5": "iso8859-5"}.get(fallback, fallback))
    assert decode(payload, b"", fallback).text == expected


@pytest.mark.parametrize(
    "fallback",
    [
        "utf-7",
        "utf-16",
        "hz",
        "unicode_escape",
        "raw_unicode_escape",
        "punycode",
        "idna",
        "cp037",
        "hex",
        "rot13",
        "",
        "a\0b",
    ],
)
def test_a_fallback_that_does_not_keep_ascii_is_cp1252(fallback: str) -> None:
    decoded = decode(b"MSH|^~\\&|\xe9\\x7C+AHw-~{!!~}", b"", fallback)
    assert (decoded.text, decoded.codec) == ("MSH|^~\\&|é\\x7C+AHw-~{!!~}", "cp1252")


def test_utf_7_and_other_transformations_cannot_be_chosen() -> None:
    names = (
        "UTF-7",
        "utf7",
        "PUNYCODE",
        "ROT13",
        "HEX",
        "IDNA",
        "UTF-16",
        "UTF-32",
        "CP037",
        "CP500",
        "HZ",
        "BASE64",
        "",
    )
    assert [codec_of(name) for name in names] == [None] * len(names)


@settings(deadline=None)
@given(
    payload=st.binary(max_size=80),
    declared=st.sampled_from([*_CODECS, "", "?"]),
    fallback=st.sampled_from(["cp1252", "BIG5", "x"]),
)
def test_decoding_never_fails(payload: bytes, declared: str, fallback: str) -> None:
    decoded = decode(payload, declared.encode(), fallback)
    assert len(decoded.text) <= len(payload)
    assert all(warning.code.startswith("CHARSET_") for warning in decoded.warnings)


def test_a_header_of_many_repetitions_is_read_to_the_twentieth() -> None:
    header = b"MSH|^~\\&" + b"|" * 16 + b"~".join([b""] * 30_000) + b"~ISO IR87\r\x1b"
    assert decode(header, b"", "cp1252").codec == "utf-8"
    assert decode(b"MSH", b"", "cp1252").text == "MSH"
