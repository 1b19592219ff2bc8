"""A sequence of phrases: the same texts as the regular expression accepts, for any text in time proportional to its length."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.intent import Intent, intent, plain
from notifier.phrase_sequence import PhraseSequence
from notifier.reply_words import FOLDER, read_languages, read_reply_words

WORDS = read_reply_words()
LANGUAGES = [language for path in sorted(FOLDER.glob("*.yaml")) for language in read_languages(path)]
PHRASES = sorted({plain(entry) for language in LANGUAGES for entries in language.values() for entry in entries})
SEQUENCES = {
    name: getattr(WORDS, name)
    for name in ("stop_message", "stop_part", "start_message", "start_alone_message", "help_message")
}


def ambiguous_texts(phrases: Iterable[str]) -> list[str]:
    """Texts that divide into phrases in two ways, one for each ending that the two leave over (Sardinas and Patterson)."""
    phrases = sorted(phrases)
    texts = {longer[len(shorter) :]: longer for shorter in phrases for longer in phrases if _begins(longer, shorter)}
    endings, ambiguous = list(texts), []
    while endings:
        ending = endings.pop(0)
        for phrase in phrases:
            if phrase == ending:
                ambiguous.append(texts[ending])
            elif _begins(ending, phrase):
                _add(texts, endings, ending[len(phrase) :], texts[ending])
            elif _begins(phrase, ending):
                _add(texts, endings, phrase[len(ending) :], texts[ending] + phrase[len(ending) :])
    return ambiguous


def _begins(longer: str, shorter: str) -> bool:
    return longer != shorter and longer.startswith(shorter)


def _add(texts: dict[str, str], endings: list[str], ending: str, text: str) -> None:
    if ending not in texts:
        texts[ending] = text
        endings.append(ending)


AMBIGUOUS = {name: ambiguous_texts(sequence.phrases) for name, sequence in SEQUENCES.items()}


def test_the_shipped_words_have_texts_that_divide_in_two_ways() -> None:
    assert {name for name, texts in AMBIGUOUS.items() if texts} >= {"stop_message", "stop_part"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("tail", ["", "zqx", " zqx", "\nzqx", ". zqx"])
@pytest.mark.parametrize("text", sorted({text for texts in AMBIGUOUS.values() for text in texts}))
def test_a_text_that_divides_in_many_ways_has_an_intent(text: str, tail: str) -> None:
    for copies in (40, 400):
        assert intent(text * copies + tail, WORDS) in Intent
        assert intent(f"{text} " * copies + tail, WORDS) in Intent


@pytest.mark.timeout(60)
@given(
    st.lists(st.sampled_from(PHRASES), min_size=1, max_size=6),
    st.integers(1, 200),
    st.sampled_from(["", " "]),
    st.sampled_from(["", "zqx", "x", "\n", "."]),
)
def test_repeated_phrases_have_an_intent(phrases: list[str], copies: int, blank: str, tail: str) -> None:
    assert intent(blank.join(phrases * copies) + blank + tail, WORDS) in Intent


@pytest.mark.timeout(60)
def test_one_letter_phrases_that_divide_in_every_way() -> None:
    sequence = PhraseSequence.build(["a" * length for length in range(1, 30)])
    assert sequence.matches("a" * 2_000)
    assert not sequence.matches("a" * 2_000 + "b")


@given(
    st.sampled_from(sorted(SEQUENCES)),
    st.lists(st.sampled_from(PHRASES), max_size=4),
    st.sampled_from(["", "", "x", "s", "me"]),
    st.integers(0, 3),
)
def test_it_accepts_what_the_regular_expression_accepts(name: str, phrases: list[str], tail: str, cut: int) -> None:
    _assert_same(SEQUENCES[name], ("".join(phrases).replace(" ", "") + tail)[cut:])


@given(st.sets(st.text("ab", min_size=1, max_size=4), max_size=6), st.text("abc", max_size=12))
def test_it_accepts_what_the_regular_expression_accepts_of_any_phrases(phrases: set[str], text: str) -> None:
    _assert_same(PhraseSequence.build(phrases), text)


def _assert_same(sequence: PhraseSequence, text: str) -> None:
    alternatives = "|".join(map(re.escape, sorted(sequence.phrases))) or "(?!)"
    assert sequence.matches(text) == (re.fullmatch(f"(?:{alternatives})+", text) is not None)
