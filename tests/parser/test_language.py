"""parser/language.py: whatever senders write becomes a BCP 47 tag or nothing."""

from __future__ import annotations

import re

import babel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser.language import _KNOWN, language_tag
from tests.parser.reading import rules


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("eng", "en"),
        ("ENG", "en"),
        (" spa ", "es"),
        ("SPA", "es"),
        ("es-us", "es-US"),
        ("zh_hant", "zh-Hant"),
        ("es-419", "es-419"),
        ("fre", "fr"),
        ("fra", "fr"),
        ("chi", "zh"),
        ("hmn", "hmn"),
        ("English", "en"),
        ("SPANISH", "es"),
        ("", None),
        ("und", None),
        ("UNK", None),
        ("xx", None),
        ("Declined", None),
        ("e", None),
        ("en us", None),
        ("12", None),
    ],
)
def test_codes_and_words(code: str, tag: str | None) -> None:
    assert language_tag(code, rules().languages) == tag


@given(st.text(max_size=60))
def test_no_text_breaks_it(code: str) -> None:
    tag = language_tag(code, {})
    assert tag is None or re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag)


def test_every_two_letter_code_is_one_that_babel_knows() -> None:
    names = babel.Locale("en").languages
    assert {code for code in _KNOWN if len(code) == 2 and code not in names} == set()
