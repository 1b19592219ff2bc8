"""parser/escapes.py: every sequence of section 2.7, and what only looks like one; python-hl7 is the oracle."""

from __future__ import annotations

import hl7
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.escapes import Delimiters, unescape


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", "plain"),
        ("\\F\\\\S\\\\T\\\\R\\\\E\\\\L\\", "|^&~\\#"),
        ("\\E\\F\\E\\", "\\F\\"),  # once: what was decoded is not read again
        ("\\X41\\", "A"),
        ("\\X4142\\\\X43\\", "ABC"),
        ("\\X0D0a\\PID", "\r\nPID"),
        ("\\XC3A9\\", "é"),
        ("\\XE9\\", "é"),  # not UTF-8: a character a byte
        ("a\\.br\\b", "a\nb"),
        ("a\\.sp3\\b\\.ce\\c", "a\nb\nc"),
        ("a\\.sp9999\\b", "a\nb"),  # no count blows a value up
        ("\\.in+4\\\\.ti-2\\\\.fi\\\\.nf\\x\\.sk3\\y", "x y"),
        ("\\H\\loud\\N\\ soft", "loud soft"),
        ("a\\C2842\\b\\M2842\\c\\M284212\\d", "abcd"),
        ("a\\Z01\\b\\Zlocal\\c", "abc"),
        ("C:\\temp\\new", "C:\\temp\\new"),  # stray escape characters are text
        ("\\\\server\\share", "\\\\server\\share"),
        ("a\\b c\\F\\d", "a\\b c|d"),
        ("\\Q\\", "\\Q\\"),
        ("\\f\\", "\\f\\"),  # sequences are case-sensitive
        ("\\X4\\\\X4G\\\\X\\", "\\X4\\\\X4G\\\\X\\"),
        ("\\F", "\\F"),
        ("\\", "\\"),
        ("\\\\", "\\\\"),
        ("tail\\", "tail\\"),
    ],
)
def test_escapes(raw: str, expected: str) -> None:
    assert unescape(raw, Delimiters()) == expected


def test_hexadecimal_is_in_the_messages_character_set() -> None:
    assert unescape("\\X82A0\\", Delimiters(codec="cp932")) == "あ"


# Every codec that MSH-18 can name, with text that its users write.
WRITTEN = {
    "utf-8": "ÑÉçß漢字あ한🏥Ж", "iso8859-1": "ÑÉçßü", "iso8859-2": "ŁódźÉ", "iso8859-5": "Жук", "iso8859-15": "€Éœ",
    "cp1252": "€Ñœ", "cp1251": "Жук", "cp932": "あ表ソ能漢ｱ", "iso2022_jp_ext": "漢字あ", "euc_jp": "あ表漢",
    "gb18030": "汉字丂€Ñ𠀀", "cp950": "漢功許", "cp949": "한국똠",
}  # fmt: skip


@pytest.mark.parametrize("codec", WRITTEN)
def test_a_character_may_be_a_sequence_a_byte_or_one_sequence_in_all(codec: str) -> None:
    for text in (WRITTEN[codec], *WRITTEN[codec]):
        octets = text.encode(codec)
        for raw in (f"\\X{octets.hex()}\\", "".join(f"\\X{octet:02X}\\" for octet in octets)):
            assert unescape(f"SALA {raw} UNO", Delimiters(codec=codec)) == f"SALA {text} UNO"


@pytest.mark.parametrize("codec", [codec for codec in WRITTEN if codec != "iso2022_jp_ext"])
def test_a_characters_second_byte_may_stand_as_it_is_where_it_is_ascii(codec: str) -> None:
    """A sender that escapes what is not ASCII writes the `\\` of Shift-JIS as `\\E\\` and an `A` as itself."""
    written = {0x5C: "\\E\\", 0x7C: "\\F\\", 0x5E: "\\S\\", 0x7E: "\\R\\", 0x26: "\\T\\"}
    octets = WRITTEN[codec].encode(codec)
    raw = "".join(written.get(octet, chr(octet)) if octet < 0x80 else f"\\X{octet:02X}\\" for octet in octets)
    assert unescape(raw, Delimiters(codec=codec)) == WRITTEN[codec]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("\\XC3\\\\X91\\", "Ñ"),
        ("\\XC3\\ \\X91\\", "Ã \x91"),  # a space between them: two characters, and neither is UTF-8
        ("\\XC3\\\\F\\\\X91\\", "Ã|\x91"),
        ("\\XC3\\\\X91\\\\XE9\\", "Ñé"),
        ("\\XE9\\a", "éa"),
        ("\\XC3\\", "Ã"),
        ("\\X0D\\\\X0A\\PID", "\r\nPID"),
        ("\\XC3\\\\H\\\\X91\\", "Ñ"),  # highlighting writes nothing
    ],
)
def test_only_neighbours_meet(raw: str, expected: str) -> None:
    assert unescape(raw, Delimiters()) == expected


# --- python-hl7 as the oracle

_SEQUENCE = st.sampled_from(
    ["\\F\\", "\\S\\", "\\T\\", "\\R\\", "\\E\\", "\\X41\\", "\\X7C5E\\", "\\X0D\\", "\\X0A7e\\"]
)


@settings(deadline=None)
@given(parts=st.lists(st.one_of(st.text(st.sampled_from("abFSTREX09|^&~. é字"), max_size=5), _SEQUENCE), max_size=12))
def test_unescapes_as_python_hl7_does(parts: list[str]) -> None:
    raw = "".join(parts)
    assert unescape(raw, Delimiters()) == hl7.parse("MSH|^~\\&|").unescape(raw)


@settings(deadline=None)
@given(raw=st.text(st.sampled_from("\\\\\\FSTREHNXZCM.br0149Aa|^ "), max_size=60))
def test_unescaping_never_fails_nor_grows(raw: str) -> None:
    assert len(unescape(raw, Delimiters())) <= len(raw)
