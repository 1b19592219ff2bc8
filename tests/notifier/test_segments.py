"""Segment counts against an independent counter (`smsutil`), the boundaries by hand, and what folding does."""

from __future__ import annotations

import random
import unicodedata

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.segments import INVISIBLE, Encoding, count, fold, fold_letters, split

BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCXYZÄÖÑÜ§¿abcxyzäöñüà"
EXTENSION = "\f^{}\\[~]|€"
OTHERS = "áíóúçłŻ中文字أ😀👍🏽\u0301\u202f"


def _random_texts(rounds: int) -> list[str]:
    chance = random.Random(20260302)
    texts = []
    for _ in range(rounds):
        alphabet = chance.choice((BASIC, BASIC + EXTENSION, EXTENSION, BASIC + OTHERS, OTHERS, BASIC * 20 + "😀"))
        # Lengths crowd around the places where the number of segments changes.
        length = chance.choice(
            (chance.randint(1, 20), chance.randint(60, 80), chance.randint(125, 165), chance.randint(1, 700))
        )
        texts.append("".join(chance.choice(alphabet) for _ in range(length)))
    return texts


def test_counts_as_smsutil_does_on_10_000_texts() -> None:
    texts = _random_texts(10_000)
    counts = [(count(text).segments, count(text).encoding is Encoding.GSM7, split(text)) for text in texts]
    reference_counts = []
    for text in texts:
        result = smsutil.split(text)
        parts = tuple(part.content for part in result.parts)
        reference_counts.append((len(parts), result.encoding == "gsm0338", parts))
    assert counts == reference_counts
    assert {segments for segments, _, _ in counts} >= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("text", "segments", "units"),
    [
        ("", 1, 0),
        ("a" * 160, 1, 160),
        ("a" * 161, 2, 161),
        ("a" * 306, 2, 306),
        ("a" * 307, 3, 307),
        ("€" * 80, 1, 160),
        ("€" * 81, 2, 162),
        # 153 is odd: a part holds 76 pairs, its last septet stays empty.
        ("€" * 152, 2, 304),
        ("€" * 153, 3, 306),
        ("a" * 152 + "€" + "a" * 153, 3, 307),
        ("á" * 70, 1, 70),
        ("á" * 71, 2, 71),
        ("á" * 134, 2, 134),
        ("á" * 135, 3, 135),
        ("😀" * 35, 1, 70),
        ("😀" * 36, 2, 72),
        # 67 is odd: a part holds 33 surrogate pairs.
        ("😀" * 66, 2, 132),
        ("😀" * 67, 3, 134),
    ],
    ids=lambda value: f"{value[:1]!a}x{len(value)}" if isinstance(value, str) else str(value),
)
def test_boundaries(text: str, segments: int, units: int) -> None:
    counted = count(text)
    assert (counted.segments, counted.units) == (segments, units)


def test_offending_characters_are_listed_once_in_order() -> None:
    counted = count("sáb – áé 中")
    assert counted.encoding is Encoding.UCS2
    assert counted.offending == ("á", "–", "中")


def test_escape_is_not_a_character_of_gsm7() -> None:
    assert count("a\x1bb").offending == ("\x1b",)


@settings(deadline=None)
@given(st.text(max_size=400))
def test_parts_join_to_the_text_and_none_is_too_long(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text
    assert len(parts) == count(text).segments
    room = 160 if count(text).encoding is Encoding.GSM7 else 70
    assert all(count(part).units <= room or count(part).encoding is not count(text).encoding for part in parts)


def test_typography_folds_to_gsm7() -> None:
    folded = fold("“Don’t” – ‘wait’… 2:05\u202fPM\u00a0• a\u2011b « c »\u2003×")
    assert folded == '"Don\'t" - \'wait\'... 2:05 PM - a-b " c " x'
    assert count(folded).encoding is Encoding.GSM7


def test_typewriters_characters_are_folded_too() -> None:
    assert fold("a\tb\vc`d") == "a b\nc'd"


def test_a_decomposed_letter_is_composed_and_counts_as_gsm7() -> None:
    assert fold("Jose\u0301") == "José"
    assert count(fold("Jose\u0301")).encoding is Encoding.GSM7


def test_letters_are_folded_only_where_asked() -> None:
    assert fold("María, sábado, ñ, é") == "María, sábado, ñ, é"
    assert fold_letters("María, sábado, ñ, é, 中, ł") == "Maria, sabado, ñ, é, 中, ł"


@settings(deadline=None)
@given(st.text())
def test_folding_twice_changes_nothing_more_and_leaves_nothing_invisible(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert not set(folded) & INVISIBLE
    assert all(unicodedata.category(char) != "Cf" or char not in INVISIBLE for char in folded)
