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
